// Group H: introspection, revocation, metadata.
import { GRANT, basic } from '../lib/client.mjs';
import { Key, b64u, compact, decode, now_s, proof } from '../lib/forge.mjs';
import { Ledger, checkEcho } from '../lib/ledger.mjs';
import { Suite, check, equal, oneOf } from '../lib/tap.mjs';
import { RS1, RS2, World, likeAccessToken } from '../lib/world.mjs';

const suite = new Suite('attack H');
const world = await World.start();
const { daemon, C1, C2, CB, CW, R1, R2, RX } = world;
world.keys = await world.keysOfEveryAlg();
const ledger = new Ledger();
ledger.plant(...world.planted);
const get = (path, method = 'GET', headers = []) => CB.wire.request({ method, path, headers });

async function active(client, token, label) {
  const answer = await client.introspect(token);
  equal([answer.status, answer.json?.active], [200, true], `${label}: ${answer.text}`);
  ledger.answer(answer, 'allow', label);
  return answer.json;
}

async function inactive(client, token, label, options) {
  ledger.plantToken(token);
  ledger.inactive(await client.introspect(token, options), label);
}

function forged(minted, claims = {}, header = {}) {
  const base = likeAccessToken(minted, { claims, header });
  return compact(base.header, base.claims, world.keys.ES256);
}

// Around each row: a token that is alive, and one that can be revoked.
function row(name, run, options) {
  suite.row(
    name,
    async () => {
      await active(R1, await CB.get({ scope: 'read' }), `${name}: twin before`);
      await run();
      const token = await CB.get({ scope: 'read' });
      await active(R1, token, `${name}: twin after`);
      equal((await CB.revoke(token)).status, 200, `${name}: revoked`);
      await inactive(R1, token, `${name}: and dead`);
    },
    options,
  );
}

row('H02 a resource server that is not in the audience sees nothing', async () => {
  const token = await CB.get({ resource: RS1, scope: 'read' });
  await inactive(R2, token, 'RS2');
  await inactive(CB, token, 'the client itself');
  await inactive(C2, token, 'another client');
  await active(R1, token, 'RS1');
  await active(RX, await CB.get({ resource: RS2, scope: 'read' }), 'an explicit right');
  const claims = decode(token).claims;
  const seen = await active(R1, token, 'what RS1 sees');
  for (const name of ['sub', 'client_id', 'iss', 'exp', 'iat', 'jti', 'scope']) equal(seen[name], claims[name], name);
  equal(seen.token_type, 'Bearer', 'token_type');
  await active(CW, await CB.get({ audience: world.worker.id, scope: 'read' }), 'an agent that is the audience');
});

row('H04 whatever is not a live access token is inactive', async () => {
  const token = await CB.get({ scope: 'read' });
  const revoked = await CB.get({ scope: 'read' });
  await CB.revoke(revoked);
  const now = now_s();
  const list = [
    ['expired', forged(token, { iat: now - 900, nbf: now - 900, exp: now - 600 })],
    ['expired one second ago', forged(token, { iat: now - 900, nbf: now - 900, exp: now - 1 })],
    ['not yet valid', forged(token, { nbf: now + 500 })],
    ['revoked', revoked],
    ['unknown text', 'unknown'],
    ['total nonsense', '\ud83d\ude00"}{'],
    ['opaque', b64u(Buffer.alloc(32, 1))],
    ['an assertion', C1.assertion()],
    ['a proof', proof(Key.generate('ES256'), { url: `${world.issuer}/oauth/token` })],
    ['typ JWT', forged(token, {}, { typ: 'JWT' })],
    ['an id token', forged(token, { nonce: 'x' }, { typ: undefined })],
    ['a token introspection response', forged(token, {}, { typ: 'token-introspection+jwt' })],
    ['signed by nobody', compact({ ...decode(token).header, alg: 'none' }, decode(token).claims, () => '')],
    ['another issuer', forged(token, { iss: 'https://other.example' })],
    ['40 kB', 'a'.repeat(40000)],
    ['ULID', '01ARZ3NDEKTSV4RRFFQ69G5FAV'],
    ['Bearer in front', `Bearer ${token}`],
  ];
  for (const [label, text] of list) await inactive(R1, text, label);
});

row('H05 token_type_hint is a hint', async () => {
  const token = await CB.get({ scope: 'read' });
  for (const hint of ['access_token', 'refresh_token', 'unknown', '', 'x'.repeat(100)]) {
    const answer = await R1.post('/oauth/introspect', [['token', token], ['token_type_hint', hint]]);
    equal(answer.json.active, true, `hint ${hint}`);
  }
  for (const path of ['/oauth/introspect', '/oauth/revoke'])
    for (const name of ['token_type_hint', 'token']) {
      const client = path === '/oauth/revoke' ? CB : R1;
      const pairs = [['token', token], ['token_type_hint', 'access_token'], [name, name === 'token' ? token : 'access_token']];
      const answer = await client.post(path, pairs);
      ledger.refusal(answer, { status: 400, error: 'invalid_request', label: `${path} ${name} twice` });
      checkEcho(answer, token, path);
    }
  await active(R1, token, 'nothing was revoked');
  for (const hint of ['refresh_token', 'unknown']) {
    const one = await CB.get({ scope: 'read' });
    equal((await CB.post('/oauth/revoke', [['token', one], ['token_type_hint', hint]])).status, 200, hint);
    await inactive(R1, one, `revoked with the hint ${hint}`);
  }
});

row('H06 two cuts on one token: the stricter one always counts', async () => {
  const agent = await world.agent('cut', [{ resource: RS1, scopes: ['read'] }]);
  const its = await world.client('cut', 'basic', { agent, default_resource: RS1 });
  ledger.plant(its.secret);
  const past = (token) => forged(token, { iat: now_s() - 5, nbf: now_s() - 5 });
  const sample = await its.get({ scope: 'read' });
  await active(R1, sample, 'before');
  await daemon.admin('POST', '/revocations', { kind: 'client', id: its.id }, { want: 201 });
  await inactive(R1, sample, 'client cut');
  await daemon.admin('POST', '/revocations', { kind: 'agent', id: agent.id }, { want: 201 });
  await inactive(R1, sample, 'both cut');
  await inactive(R1, past(sample), 'older than both');
  // Tokens issued after the cuts, in a later second, live.
  let token;
  for (let i = 0; i < 30; i += 1) {
    token = await its.get({ scope: 'read' });
    if ((await R1.introspect(token)).json.active) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await active(R1, token, 'issued later');
  await inactive(R1, sample, 'still dead');
});

row('H08 revoking the token of another client', async () => {
  const token = await CB.get({ scope: 'read' });
  for (const other of [C2, R1, CW, C1]) {
    const answer = await other.revoke(token);
    ledger.refusal(answer, { status: 400, error: 'unauthorized_client', label: 'foreign' });
    checkEcho(answer, token, 'foreign');
  }
  await active(R1, token, 'untouched');
});

row('H09 revoking what is unknown, expired, garbage, or nothing', async () => {
  const token = await CB.get({ scope: 'read' });
  const now = now_s();
  for (const [label, text] of [
    ['unknown', 'unknown'],
    ['opaque', b64u(Buffer.alloc(32, 2))],
    ['expired', forged(token, { iat: now - 900, nbf: now - 900, exp: now - 600 })],
    ['another issuer', forged(token, { iss: 'https://other.example' })],
    ['garbage', '..'],
  ]) {
    const answer = await CB.revoke(text);
    equal([answer.status, answer.text], [200, ''], label);
    ledger.answer(answer, 'any', label);
  }
  for (const pairs of [[], [['token', '']]]) ledger.refusal(await CB.post('/oauth/revoke', pairs), { status: 400, error: 'invalid_request', label: 'empty' });
  await active(R1, token, 'untouched');
  equal((await CB.revoke(token)).status, 200, 'once');
  equal((await CB.revoke(token)).status, 200, 'and again');
});

row('H14 the administrator revokes by a blank or a wildcard', async () => {
  const token = await CB.get({ scope: 'read' });
  const count = async () => (await daemon.admin('GET', '/revocations', undefined, { want: 200 })).json.items.length;
  const before = await count();
  for (const kind of ['agent', 'client', 'org', 'task', 'grant', 'jti'])
    for (const id of ['', ' ', null, undefined, 5, [], {}, true]) {
      const answer = await daemon.admin('POST', '/revocations', { kind, id });
      equal(answer.status, 400, `${kind} ${JSON.stringify(id)}: ${answer.text}`);
      check(/^application\/problem\+json/.test(answer.header('content-type')), 'problem+json');
    }
  for (const body of [{}, { kind: 'agent' }, { id: 'x' }, { kind: 'owner', id: 'x' }, { kind: '', id: 'x' }, { kind: 'agent', id: '%', all: true }, [], 'x', '{"kind":"agent","kind":"jti","id":"x"}', '{', ''])
    equal((await daemon.admin('POST', '/revocations', body)).status, 400, JSON.stringify(body));
  for (const id of ['%', '*', '_']) {
    const answer = await daemon.admin('POST', '/revocations', { kind: 'agent', id });
    oneOf(answer.status, [201, 400, 404], id);
  }
  await active(R1, token, 'nothing was revoked');
  check((await count()) <= before + 3, 'entries');
});

row('H15 GET with the token in the query', async () => {
  const token = await CB.get({ scope: 'read' });
  ledger.plantToken(token);
  for (const path of ['/oauth/introspect', '/oauth/revoke', '/oauth/token'])
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      const answer = await get(`${path}?token=${token}`, method, [['Authorization', basic(R1.id, R1.secret)]]);
      ledger.refusal(answer, { status: 405, label: `${method} ${path}` });
      equal(answer.header('allow'), 'POST', `${method} ${path}: Allow`);
      checkEcho(answer, token, `${method} ${path}`);
    }
  ledger.refusal(await R1.post('/oauth/introspect', [['token', 'x']], { query: `?token=${token}` }), { status: 400, error: 'invalid_request', label: 'POST with a query' });
  await active(R1, token, 'untouched');
});

row('H16 no error repeats what was in the body', async () => {
  const secret = 'MARKER-7c1f0b2e9d4a48f5b6c3-SECRET';
  ledger.plant(secret);
  const none = { credentials: [[], []] };
  const tries = [
    ['/oauth/token', [['grant_type', 'x'], ['client_secret', secret]]],
    ['/oauth/token', [['grant_type', secret]]],
    ['/oauth/token', [['grant_type', GRANT.credentials], ['client_id', secret], ['client_secret', secret]]],
    ['/oauth/token', [['grant_type', GRANT.exchange], ['subject_token', secret], ['subject_token_type', secret], ['client_id', 'x'], ['client_secret', secret]]],
    ['/oauth/introspect', [['token', secret]]],
    ['/oauth/introspect', [['token', secret], ['token', secret]]],
    ['/oauth/revoke', [['token', secret], ['client_secret', secret], ['client_secret', secret]]],
    ['/oauth/none-such', [['token', secret]]],
  ];
  for (const [path, pairs] of tries) {
    const answer = await CB.post(path, pairs, none);
    check(answer.status >= 400, path);
    checkEcho(answer, secret, path);
    check(!answer.text.includes('MARKER'), `${path}: ${answer.text}`);
    if (answer.status !== 404) ledger.answer(answer, 'deny', path);
  }
  for (const type of ['application/json', 'text/plain', 'multipart/form-data; boundary=x', '']) {
    const answer = await CB.post('/oauth/token', `{"client_secret":"${secret}"}`, { ...none, type });
    oneOf(answer.status, [400, 415], type);
    checkEcho(answer, secret, type);
  }
  const asked = 'what-was-asked-for-is-no-secret';
  for (const scope of [asked, `"${asked}"`, `${asked}\u00e9`, `${asked}\n`]) {
    const answer = await CB.token({ scope });
    ledger.refusal(answer, { status: 400, error: 'invalid_scope', label: 'scope' });
    checkEcho(answer, asked, 'scope');
  }
  ledger.refusal(await CB.token({ resource: `https://${asked}.example/` }), { status: 400, error: 'invalid_target', label: 'resource' });
});

suite.row('H16 text of the caller in the log: one line, nothing of it that breaks a terminal', async () => {
  for (const scope of ['a\u001b[31mb', 'a\r\n{"x":1}', '\u202eevil', '\ufeff', 'a\u0000b', '"}', '\\u0000'])
    ledger.refusal(await CB.token({ scope }), { status: 400, error: ['invalid_scope', 'invalid_request'], label: JSON.stringify(scope) });
  const text = daemon.auditText();
  check(!/[^\x20-\x7e\n]/.test(text), 'the log has other characters');
  daemon.audit();
});

suite.row('H17 the well-known documents: exact paths, GET alone', async () => {
  const paths = ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration', '/.well-known/jwks.json'];
  for (const path of paths) {
    const good = await get(path);
    equal(good.status, 200, path);
    check(/^application\/(json|jwk-set\+json)/.test(good.header('content-type')), `${path}: type`);
    equal((await get(`${path}?x=1`)).status, 200, `${path}: a query does not count`);
    for (const method of ['POST', 'PUT', 'DELETE']) {
      const answer = await CB.wire.request({ method, path, headers: [], body: method === 'DELETE' ? null : '' });
      equal(answer.status, 405, `${method} ${path}`);
      check(/\bGET\b/.test(answer.header('allow') ?? ''), `${method} ${path}: Allow`);
    }
    for (const bad of [`${path}/`, `/${path}`, `${path}//`, `${path}/../x`, `/x/..${path}`, path.replace('well-known', 'Well-Known'), path.replace('.well', '%2ewell'), `${path}/../../../../etc/passwd`, `${path}/%2e%2e/%2e%2e/etc/passwd`, `${path}%00`, `${path}/tenant`, `${path}.json.bak`, `${path};x`]) {
      const answer = await get(bad);
      oneOf(answer.status, [400, 404], bad);
      check(!answer.text.includes('root:'), 'a file');
    }
  }
  for (const path of ['/', '', '/etc/passwd', '/../../etc/passwd', '/admin/v1/agents', '/metrics', '/livez', '/oauth', '/oauth/token/', '/OAuth/token', '/.git/config', '/deputy.db'])
    oneOf((await get(path || '/x')).status, [400, 404], path);
});

suite.row('H18 the metadata: what is advertised answers, what is off is not advertised', async () => {
  const answer = await get('/.well-known/oauth-authorization-server');
  const meta = answer.json;
  equal((await get('/.well-known/openid-configuration')).json, meta, 'the alias says the same');
  equal(meta.issuer, world.issuer, 'issuer');
  const endpoints = Object.entries(meta).filter(([name]) => /_(endpoint|uri)$/.test(name));
  check(endpoints.length >= 4, 'endpoints');
  for (const [name, value] of endpoints) {
    check(value.startsWith(`${world.issuer}/`), `${name} is ours`);
    const path = value.slice(world.issuer.length);
    const got = name === 'jwks_uri' ? await get(path) : await CB.post(path, [], { credentials: [[], []] });
    // The schema of MCP's SDK wants an authorization endpoint to be named; without a response type nothing is there.
    const statuses = name === 'authorization_endpoint' && meta.response_types_supported.length === 0 ? [404] : [200, 400, 401];
    check(statuses.includes(got.status), `${name}: ${got.status}`);
  }
  for (const off of ['authorization_endpoint', 'registration_endpoint', 'pushed_authorization_request_endpoint', 'device_authorization_endpoint'])
    if (!(off in meta)) {
      const path = { authorization_endpoint: '/oauth/authorize', registration_endpoint: '/oauth/register', pushed_authorization_request_endpoint: '/oauth/par', device_authorization_endpoint: '/oauth/device_authorization' }[off];
      equal((await CB.post(path, [])).status, 404, off);
    }
  for (const [name, value] of Object.entries(meta)) if (Array.isArray(value)) check(value.length > 0 || name === 'response_types_supported', `${name} is empty`);
  for (const grant of [GRANT.credentials, GRANT.exchange]) check(meta.grant_types_supported.includes(grant), grant);
  for (const grant of meta.grant_types_supported) {
    const error = (await CB.token({ grant_type: grant })).json.error;
    check(error !== 'unsupported_grant_type', `${grant} is advertised`);
  }
  for (const grant of ['password', 'refresh_token', 'authorization_code', 'implicit'])
    if (!meta.grant_types_supported.includes(grant)) equal((await CB.token({ grant_type: grant })).json.error, 'unsupported_grant_type', grant);
  for (const method of ['client_secret_basic', 'client_secret_post', 'private_key_jwt']) check(meta.token_endpoint_auth_methods_supported.includes(method), method);
  check(!meta.token_endpoint_auth_methods_supported.includes('none'), 'none');
  check(meta.dpop_signing_alg_values_supported.includes('ES256'), 'DPoP');
  check(!meta.dpop_signing_alg_values_supported.some((alg) => /^(none|HS|RS)/.test(alg)), 'DPoP without RSA and MAC');
  check(!JSON.stringify(meta).includes('"none"'), 'none');
  const jwks = (await get('/.well-known/jwks.json')).json;
  for (const key of jwks.keys)
    for (const name of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'oth']) check(!(name in key), `${name} in the JWKS`);
  // Each advertised algorithm of assertions works.
  for (const alg of meta.token_endpoint_auth_signing_alg_values_supported) {
    const client = { ES256: C1, EdDSA: world.CE, Ed25519: world.CE, RS256: world.CR, PS256: world.CS }[alg];
    check(client, `unknown algorithm ${alg}`);
    ledger.token(await client.token({ scope: 'read' }), alg);
  }
});

suite.row('H every refusal has exactly one record, no token stands in any', async () => {
  check(ledger.settle(daemon).length > 100, 'records');
});

suite.end(() => daemon.stop());
await suite.run();

