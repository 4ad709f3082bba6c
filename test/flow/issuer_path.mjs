// An issuer with a path: where its metadata is found (RFC 8414 section 3.1, and the OpenID alias behind the path), and that all endpoints and
// the htu of proofs lie below it.
import { Daemon } from '../lib/daemon.mjs';
import { Key, decode, proof } from '../lib/forge.mjs';
import { Client, GRANT } from '../lib/client.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { freePort } from '../lib/wire.mjs';

const suite = new Suite('an issuer with a path');
const port = await freePort();
const issuer = `http://127.0.0.1:${port}/t`;
const daemon = await Daemon.start({ port, config: { issuer } });
suite.end(() => daemon.stop());
const get = (path) => daemon.wire().request({ path });

suite.row('metadata stands before the path, the OpenID alias also behind it, and nowhere else', async () => {
  for (const path of ['/.well-known/oauth-authorization-server/t', '/.well-known/openid-configuration/t', '/t/.well-known/openid-configuration']) {
    const answer = await get(path);
    equal([answer.status, answer.json?.issuer], [200, issuer], path);
    equal([answer.json.token_endpoint, answer.json.jwks_uri], [`${issuer}/oauth/token`, `${issuer}/.well-known/jwks.json`], `${path}: endpoints`);
  }
  for (const path of ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration', '/t/.well-known/oauth-authorization-server',
    '/.well-known/oauth-authorization-server/t/', '/.well-known/oauth-authorization-server/other', '/.well-known/jwks.json', '/oauth/token'])
    equal((await get(path)).status, 404, path);
  equal((await get('/t/.well-known/jwks.json')).json.keys.length > 0, true, 'keys');
});

suite.row('the token endpoint, and the htu of a proof for it', async () => {
  await daemon.create('resources', { id: 'https://rs.example/', name: 'rs', scopes: ['read'] });
  const agent = await daemon.create('agents', { name: 'a', owner: 'team@example', org: 'org1', ceiling: [{ resource: 'https://rs.example/', scopes: ['read'] }] });
  const made = await daemon.create('clients', { name: 'c', auth: 'client_secret_basic', agent: agent.id, grants: [GRANT.credentials], default_resource: 'https://rs.example/' });
  const client = new Client(daemon, { id: made.id, secret: made.client_secret, auth: 'basic' });
  const key = Key.generate('ES256');
  const post = (options = {}) => client.post('/t/oauth/token', [['grant_type', GRANT.credentials], ['scope', 'read']], options);
  const ask = (htu) => post({ proof: proof(key, { url: htu }) });
  const answer = await ask(`${issuer}/oauth/token`);
  equal([answer.status, answer.json.token_type], [200, 'DPoP'], answer.text);
  const { claims } = decode(answer.json.access_token);
  equal([claims.iss, claims.cnf.jkt], [issuer, key.kid], 'claims');
  for (const htu of [`http://127.0.0.1:${port}/oauth/token`, `${issuer}/t/oauth/token`, `${issuer}/oauth/token/`]) {
    const no = await ask(htu);
    equal([no.status, no.json.error], [400, 'invalid_dpop_proof'], htu);
  }
  check((await post()).json.access_token, 'twin: Bearer');
});

await suite.run();
