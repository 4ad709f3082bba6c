// A real identity provider (oidc-provider) and a user's browser, as far as the provider needs one.
import http from 'node:http';
import { Provider } from '../interop/packages.mjs';
import { Key, b64u, randomId, sha256 } from './forge.mjs';

const REDIRECT = 'http://127.0.0.1:9/back';

export class Portal {
  static CLIENT = 'portal'; // the application that users sign in to: the aud of their ID tokens

  // `claims`: what the ID token of each user says besides sub, by the user's name.
  static async start(claims = {}) {
    const portal = new Portal();
    console.info = console.error; // the provider's notices are no TAP
    portal.secret = randomId(24);
    portal.server = http.createServer();
    await new Promise((resolve) => portal.server.listen(0, '127.0.0.1', resolve));
    portal.issuer = `http://127.0.0.1:${portal.server.address().port}`;
    portal.key = Key.generate('RS256');
    portal.provider = new Provider(portal.issuer, {
      clients: [{ client_id: Portal.CLIENT, client_secret: portal.secret, redirect_uris: [REDIRECT], grant_types: ['authorization_code'] }],
      jwks: { keys: [{ ...portal.key.privateKey.export({ format: 'jwk' }), kid: 'idp-1', alg: 'RS256', use: 'sig' }] },
      cookies: { keys: [randomId()] },
      claims: { openid: ['sub', ...new Set(Object.values(claims).flatMap(Object.keys))] },
      conformIdTokenClaims: false,
      findAccount: (context, id) => ({ accountId: id, claims: () => ({ sub: id, ...claims[id] }) }),
    });
    portal.server.on('request', portal.provider.callback());
    return portal;
  }

  // Cookies, redirects, and a user who fills in the two forms: the ID token.
  async signIn(user) {
    const jar = new Map();
    const verifier = randomId(32);
    const query = new URLSearchParams({
      response_type: 'code', client_id: Portal.CLIENT, redirect_uri: REDIRECT, scope: 'openid', nonce: randomId(),
      code_challenge: b64u(sha256(verifier)), code_challenge_method: 'S256',
    });
    const browse = async (url, form = null) => {
      const answer = await fetch(url, {
        method: form ? 'POST' : 'GET', redirect: 'manual', body: form ? new URLSearchParams(form) : null,
        headers: { Cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') },
      });
      for (const line of answer.headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
        jar.set(name, value);
      }
      await answer.text();
      return answer;
    };
    let url = `${this.issuer}/auth?${query}`;
    for (let step = 0; step < 12; step += 1) {
      let answer = await browse(url);
      if (answer.status === 200) answer = await browse(url, step < 3 ? { prompt: 'login', login: user, password: 'x' } : { prompt: 'consent' });
      const next = new URL(answer.headers.get('location'), this.issuer);
      if (next.href.startsWith(REDIRECT)) return this.#redeem(next.searchParams.get('code'), verifier);
      url = next.href;
    }
    throw new Error(`the sign-in does not end: ${url}`);
  }

  async #redeem(code, verifier) {
    const answer = await fetch(`${this.issuer}/token`, {
      method: 'POST',
      headers: { Authorization: `Basic ${Buffer.from(`${Portal.CLIENT}:${this.secret}`).toString('base64')}` },
      body: new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: REDIRECT, code_verifier: verifier }),
    });
    const body = await answer.json();
    if (!body.id_token) throw new Error(`no ID token: ${JSON.stringify(body)}`);
    return body.id_token;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
