// Tokens and proofs for the table: made with the server's own key, bent as a case says.
import { Key, b64u, compact, decode, hmac, now_s, proof, randomId, sha256 } from '../lib/forge.mjs';
import { RS1, likeAccessToken } from '../lib/world.mjs';

const ORIGIN = new URL(RS1).origin;

const without = (object, names = []) => Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));
const flip = (signature) => Buffer.from(signature.map((byte, i) => (i === 5 ? byte ^ 1 : byte)));

export class Material {
  static async make(world) {
    const one = new Material();
    one.world = world;
    one.server = (await world.keysOfEveryAlg()).ES256;
    one.keys = { key: Key.generate('ES256'), other: Key.generate('ES256'), ed: Key.generate('EdDSA') };
    one.stranger = Key.generate('ES256');
    one.minted = await world.CB.get({ scope: 'read' });
    const first = await world.CB.get({ audience: world.worker.id, scope: 'read' });
    one.live = {
      'for an agent': first,
      delegated: await world.CW.delegate(first, { resource: RS1, scope: 'read' }),
      revoked: await world.CB.get({ scope: 'read' }),
    };
    await world.CB.revoke(one.live.revoked);
    return one;
  }

  // A signer for compact(): what it gets is the signing input.
  signer(how, key) {
    const stranger = (input) => this.stranger.sign(input);
    return {
      none: () => Buffer.alloc(0),
      flip: (input) => flip(key.sign(input)),
      hmac: (input) => hmac('HS256', key.publicKey.export({ type: 'spki', format: 'pem' }), input),
      stranger,
      'stranger, known kid': stranger,
    }[how] ?? key;
  }

  token(spec = {}, scope = 'read') {
    if (spec.live) return this.live[spec.live];
    const { header, claims } = likeAccessToken(this.minted, { claims: { scope, ...spec.claims } });
    if (spec.at) for (const name of ['iat', 'nbf', 'exp']) claims[name] += spec.at;
    if (spec.bound) claims.cnf = { jkt: this.keys[spec.bound].kid };
    if (spec.x5t) claims.cnf = { 'x5t#S256': spec.x5t };
    header.kid = spec.sign === 'stranger' ? this.stranger.kid : this.server.kid;
    const jwk = spec.header?.jwk === 'own' ? { jwk: this.stranger.jwk } : {};
    return compact({ ...header, alg: 'ES256', ...spec.header, ...jwk }, without(claims, spec.drop), this.signer(spec.sign, this.server));
  }

  // The values of the DPoP headers.
  proofs(spec, { method, path, token, nonce }) {
    const key = this.keys[spec.key ?? 'key'];
    if (spec.raw) return [spec.raw];
    const url = ORIGIN + path.split('?')[0];
    const header = { ...spec.header };
    if (header.jwk === 'private') header.jwk = key.privateKey.export({ format: 'jwk' });
    const make = () => {
      const claims = { iat: now_s() + (spec.at ?? 0), ...spec.claims };
      if (spec.ath) claims.ath = b64u(sha256(spec.ath));
      const good = proof(key, { method, url, token, nonce: spec.nonce ?? nonce, header, claims });
      if (!spec.sign) return good;
      const [head, body] = good.split('.');
      const input = `${head}.${body}`;
      return `${input}.${b64u(this.signer(spec.sign, key)(input))}`;
    };
    if (spec.twice === 'lines') return [make(), make()];
    if (spec.twice === 'comma') return [`${make()}, ${make()}`];
    return [make()];
  }

  // The request of a case through a way, as send() wants it; the way knows the last nonce and the scopes that are needed.
  request(one, way) {
    const method = one.method ?? 'GET';
    const { nonce } = way;
    const scope = way.scopeOf?.(method);
    const path = one.path ?? '/api/items';
    const token = this.token(one.token === 'none' ? {} : one.token, scope);
    const fill = (text) => text.replaceAll('TOKEN', token);
    let credentials = one.token === 'none' ? [] : [`${one.scheme ?? 'Bearer'} ${token}`];
    if (one.authorization) credentials = [one.authorization].flat().map(fill);
    const headers = [
      ...(one.headers ?? []).map(([name, value]) => [name, fill(value)]),
      ...credentials.map((value) => ['Authorization', value]),
      ...(one.proof ? this.proofs(one.proof, { method, path, token, nonce }) : []).map((value) => ['DPoP', value]),
    ];
    const body = one.body === undefined ? null : fill(one.body);
    return { method, path: fill(path), host: one.host ?? null, headers, body, isChunked: one.isChunked === true, token, id: randomId() };
  }
}

export const claimsOf = (token) => decode(token).claims;
