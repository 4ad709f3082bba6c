// An OAuth client made of plain requests: nothing of it is shared with the product, so that every byte can be bent.
import { form } from './wire.mjs';
import { assertion, proof } from './forge.mjs';

export const GRANT = {
  credentials: 'client_credentials',
  exchange: 'urn:ietf:params:oauth:grant-type:token-exchange',
};
export const TYPE = {
  access: 'urn:ietf:params:oauth:token-type:access_token',
  refresh: 'urn:ietf:params:oauth:token-type:refresh_token',
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
  assertion: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
};
export const FORM = 'application/x-www-form-urlencoded';

const encoded = (text) => encodeURIComponent(text).replace(/%20/g, '+');

export function basic(id, secret) {
  return `Basic ${Buffer.from(`${encoded(id)}:${encoded(secret)}`).toString('base64')}`;
}

export class Client {
  // auth: 'basic', 'post' or 'jwt'
  constructor(daemon, { id, secret, key, auth, agent, dpop = null, wire = null }) {
    Object.assign(this, { daemon, id, secret, key, auth, agent, dpop });
    this.wire = wire ?? daemon.wire();
  }

  // The same client from another connection.
  over(wire) {
    return new Client(this.daemon, { ...this, wire });
  }

  withDpop(key) {
    return new Client(this.daemon, { ...this, dpop: key });
  }

  get url() {
    return `${this.daemon.issuer}/oauth/token`;
  }

  assertion(change = {}) {
    return assertion(this.key, { client: this.id, issuer: this.daemon.issuer, ...change });
  }

  // [headers, form pairs] that authenticate.
  credentials() {
    if (this.auth === 'basic') return [[['Authorization', basic(this.id, this.secret)]], []];
    if (this.auth === 'post') return [[], [['client_id', this.id], ['client_secret', this.secret]]];
    if (this.auth === 'jwt') return [[], [['client_assertion_type', TYPE.assertion], ['client_assertion', this.assertion()]]];
    return [[], []];
  }

  // Posts pairs to an endpoint. `credentials` and `proof` replace what would be sent; `headers` are added.
  post(path, pairs, { credentials = null, proof: dpop = undefined, headers = [], query = '', type = FORM } = {}) {
    const [authHeaders, authPairs] = credentials ?? this.credentials();
    const all = [['Content-Type', type], ...authHeaders, ...headers];
    if (dpop === undefined && this.dpop && path === '/oauth/token') dpop = proof(this.dpop, { url: this.url, nonce: this.nonce });
    for (const one of Array.isArray(dpop) ? dpop : dpop ? [dpop] : []) all.push(['DPoP', one]);
    const body = typeof pairs === 'string' ? pairs : form([...authPairs, ...pairs]);
    return this.wire.request({ method: 'POST', path: path + query, headers: all, body });
  }

  token(pairs = {}, options = {}) {
    const list = Array.isArray(pairs) ? pairs : Object.entries({ grant_type: GRANT.credentials, ...pairs });
    return this.post('/oauth/token', list, options);
  }

  exchange(subject, pairs = {}, options = {}) {
    return this.token(
      { grant_type: GRANT.exchange, subject_token: subject, subject_token_type: TYPE.access, ...pairs },
      options,
    );
  }

  introspect(token, options = {}) {
    return this.post('/oauth/introspect', [['token', token]], options);
  }

  revoke(token, options = {}) {
    return this.post('/oauth/revoke', [['token', token]], options);
  }

  // A token or an error that says why not.
  async get(pairs = {}, options = {}) {
    const answer = await this.token(pairs, options);
    if (answer.status !== 200) throw new Error(`no token: ${answer.status} ${answer.text}`);
    return answer.json.access_token;
  }

  async delegate(subject, pairs = {}, options = {}) {
    const answer = await this.exchange(subject, pairs, options);
    if (answer.status !== 200) throw new Error(`no exchange: ${answer.status} ${answer.text}`);
    return answer.json.access_token;
  }
}
