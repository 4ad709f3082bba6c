// Tokens of foreign issuers: the groups A and D at the doors d5 (jwt-bearer grant, ID-JAG) and d2 (ID token as subject token), and how the
// issuer's keys are fetched. The issuer is played by this test.
import http from 'node:http';
import net from 'node:net';
import { TYPE } from '../lib/client.mjs';
import { Key, b64u, compact, decode, now_s, randomId } from '../lib/forge.mjs';
import { Ledger } from '../lib/ledger.mjs';
import { Suite, check, equal, oneOf } from '../lib/tap.mjs';
import { RS1, RS2, World } from '../lib/world.mjs';
import { cases } from './a_cases.mjs';
import { AssertionDoor, Base } from './doors.mjs';

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token';
const GRANTS = ['client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange', JWT_BEARER];
const ALGS = ['ES256', 'EdDSA', 'RS256', 'PS256'];

const suite = new Suite('attack: foreign issuers');
const keys = Object.fromEntries(ALGS.map((alg) => [alg, Key.generate(alg)]));
// Keys without alg, but where it would be another one (A06).
const published = ALGS.map((alg) => (alg === 'PS256' ? keys[alg].registered : { ...keys[alg].jwk, kid: keys[alg].kid, use: 'sig' }));

// path -> { status, body } or 'hang up'; the metadata and the good set by default.
const documents = new Map();
const idp = http.createServer((request, response) => {
  idp.fetched.push(request.url);
  const answer = documents.get(request.url);
  if (answer === 'hang up') return request.socket.destroy();
  if (!answer) return response.writeHead(404).end();
  return response.writeHead(answer.status ?? 200, { 'Content-Type': 'application/json' }).end(answer.body);
});
idp.fetched = [];
await new Promise((resolve) => idp.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${idp.address().port}`;
const good = { body: JSON.stringify({ keys: published }) };
const metadata = { body: JSON.stringify({ issuer, jwks_uri: `${issuer}/keys`, authorization_endpoint: `${issuer}/a`, token_endpoint: `${issuer}/t` }) };
documents.set('/keys', good);
documents.set('/.well-known/openid-configuration', metadata);
documents.set('/.well-known/oauth-authorization-server', metadata);
const fetches = () => idp.fetched.filter((path) => path === '/keys').length;

const listener = net.createServer((socket) => {
  listener.seen += 1;
  socket.destroy();
});
listener.seen = 0;
await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
listener.url = `http://127.0.0.1:${listener.address().port}`;

const world = await World.start();
const { daemon } = world;
const ledger = new Ledger();
ledger.plant(...world.planted);
const ceiling = [{ resource: RS1, scopes: ['read', 'write'] }];
await daemon.create('issuers', { id: issuer, name: 'corp', org: 'org1', uses: ['subject', 'id-jag'], ceiling });
const client = await world.client('foreign', 'basic', { agent: world.orchestrator, grants: GRANTS, default_resource: RS1 });
const other = await world.client('foreign 2', 'basic', { agent: world.helper, grants: GRANTS, default_resource: RS1 });
ledger.plant(client.secret, other.secret);

const grantClaims = (more = {}) => {
  const now = now_s();
  return { iss: issuer, sub: 'alice', aud: world.issuer, iat: now, exp: now + 200, jti: randomId(), client_id: client.id, resource: RS1, scope: 'read', ...more };
};
const idClaims = (more = {}) => {
  const now = now_s();
  return { iss: issuer, sub: 'alice', aud: world.issuer, iat: now, exp: now + 200, ...more };
};
const sign = (typ, claims, key = keys.ES256, header = {}) => compact({ typ, alg: key.alg, kid: key.kid, ...header }, claims, key);
const idJag = (more, key, header) => sign('oauth-id-jag+jwt', grantClaims(more), key, header);
const idToken = (more, key, header) => sign('JWT', idClaims(more), key, header);
const grant = (object, pairs = {}, as = client) => as.token({ grant_type: JWT_BEARER, assertion: object, resource: RS1, ...pairs });
const exchange = (object, pairs = {}, as = client) =>
  as.exchange(object, { subject_token_type: ID_TOKEN, resource: RS1, scope: 'read', ...pairs });

class GrantDoor extends AssertionDoor {
  id = 'd5 ID-JAG';
  kind = 'assertion';

  async base(alg = 'ES256') {
    const key = keys[alg];
    return new Base(this, { header: { typ: 'oauth-id-jag+jwt', alg, kid: key.kid }, claims: grantClaims(), key });
  }

  present(object) {
    return grant(object);
  }

  refused(answer, label) {
    this.ledger.refusal(answer, { status: [400, 413], error: ['invalid_grant', 'invalid_request'], label });
    // Only what is too long to be looked at, or no text, is a malformed request.
    if (answer.status === 400 && answer.json.error === 'invalid_request') check(/too long|the form is malformed/.test(answer.json.error_description), () => `${label}: ${answer.text}`);
  }
}

class IdTokenDoor extends GrantDoor {
  id = 'd2 ID token';
  kind = 'foreign';

  async base(alg = 'ES256') {
    const key = keys[alg];
    return new Base(this, { header: { typ: 'JWT', alg, kid: key.kid }, claims: idClaims(), key });
  }

  present(object) {
    return exchange(object);
  }

  refused(answer, label) {
    this.ledger.refusal(answer, { status: [400, 413], error: 'invalid_request', label });
  }
}

async function twin(door, label) {
  for (const alg of door.algs) {
    const object = (await door.base(alg)).make();
    ledger.plantToken(object);
    door.accepted(await door.present(object), `${door.id} ${label}: the good one (${alg})`);
  }
}

for (const door of [new GrantDoor(world, ledger), new IdTokenDoor(world, ledger)]) {
  door.listener = listener;
  for (const [id, make] of Object.entries(cases)) {
    if ((await make(await door.base(), door)).length === 0) continue;
    suite.row(`${id} ${door.id}`, async () => {
      await twin(door, id);
      for (const [label, object] of await make(await door.base(), door)) await door.refuse(object, `${id} ${label}`);
      await twin(door, `${id} after`);
      equal(listener.seen, 0, `${id}: connections to the attacker's address`);
    });
  }
}

suite.row('D33 ID-JAG: audience, client, jti, lifetime, issuer, signature, type', async () => {
  const now = now_s();
  const stranger = Key.generate('ES256');
  const twinGrant = async (label) => ledger.token(await grant(idJag()), label);
  await twinGrant('before');
  for (const [label, object] of [
    ['another audience', idJag({ aud: 'https://other.example' })],
    ['the token endpoint as audience', idJag({ aud: `${world.issuer}/oauth/token` })],
    ['two audiences', idJag({ aud: [world.issuer, 'https://other.example'] })],
    ['another client', idJag({ client_id: other.id })],
    ['no client', idJag({ client_id: undefined })],
    ['no jti', idJag({ jti: undefined })],
    ['longer than five minutes', idJag({ exp: now + 400 })],
    ['longer than five minutes, dated back', idJag({ iat: now - 400, exp: now + 100 })],
    ['no exp', idJag({ exp: undefined })],
    ['no iat', idJag({ iat: undefined })],
    ['no sub', idJag({ sub: undefined })],
    ['expired', idJag({ iat: now - 200, exp: now - 60 })],
    ['another issuer', idJag({ iss: 'https://other.example' })],
    ['this server as issuer', idJag({ iss: world.issuer })],
    ['a stranger signs', idJag({}, stranger, { kid: keys.ES256.kid })],
    ['an access token of ours', await world.CB.get({ scope: 'read' })],
    ['an assertion of a client', world.C1.assertion()],
    ['typ of a proof', sign('dpop+jwt', grantClaims())],
    ['text', 'x'],
  ]) {
    ledger.plantToken(object);
    ledger.refusal(await grant(object), { status: 400, error: 'invalid_grant', label });
  }
  for (const pairs of [{ assertion: undefined }, { assertion: '' }])
    ledger.refusal(await grant('x', pairs), { status: 400, error: 'invalid_request', label: 'no assertion' });
  const once = idJag();
  ledger.token(await grant(once), 'once');
  for (let i = 0; i < 3; i += 1) ledger.refusal(await grant(once), { status: 400, error: 'invalid_grant', label: 'the jti again' });
  const racing = idJag();
  const all = await Promise.all(Array.from({ length: 20 }, () => {
    const wire = daemon.wire();
    return grant(racing, {}, client.over(wire)).finally(() => wire.close());
  }));
  equal(all.filter((answer) => answer.status === 200).length, 1, 'twenty at once: one');
  ledger.refusal(await grant(idJag(), { scope: 'read write' }), { status: 400, error: 'invalid_grant', label: 'more than its scope' });
  ledger.refusal(await grant(idJag(), { resource: RS2 }), { status: 400, error: ['invalid_target', 'invalid_grant'], label: 'another resource' });
  ledger.refusal(await grant(idJag({ client_id: world.CB.id }), {}, world.CB), { status: 400, error: 'unauthorized_client', label: 'a client without the grant' });
  await twinGrant('after');
});

suite.row('D21 what a foreign token says about us is evidence only', async () => {
  const token = ledger.token(
    await exchange(idToken({ act: { sub: 'agent:root' }, may_act: { sub: 'x' }, cnf: { jkt: 'x'.repeat(43) }, scope: 'admin write', client_id: 'x', org_id: 'other', tenant: 'other', lineage: ['x'], task_id: 't' })),
    'exchanged',
  );
  const { claims } = decode(token);
  equal([claims.sub, claims.act, claims.cnf, claims.scope, claims.org_id, claims.tenant, claims.task_id], ['user:corp:alice', { sub: world.orchestrator.id }, undefined, 'read', 'org1', undefined, undefined], 'claims');
  check(claims.client_id === client.id && !(claims.lineage ?? []).includes('x'), 'client and lineage');
  for (const pairs of [{ resource: RS2, scope: 'read' }, { scope: 'admin' }]) {
    const answer = await exchange(idToken(), pairs);
    ledger.refusal(answer, { status: 400, error: ['invalid_target', 'invalid_scope'], label: 'beyond what the issuer is trusted for' });
  }
  for (const [label, object] of [
    ['an access token type', exchange(idToken(), { subject_token_type: TYPE.access })],
    ['a refresh token type', exchange(idToken(), { subject_token_type: TYPE.refresh })],
    ['an ID-JAG as subject', exchange(idJag())],
  ])
    ledger.refusal(await object, { status: 400, error: 'invalid_request', label });
});

suite.row('D23 a chain of 200 actors in the token of a trusted issuer, and one of 60 kB', async () => {
  const chain = (links, more = {}) => {
    let act;
    for (let i = 0; i < links; i += 1) act = { sub: `agent:${i}`, ...more, ...(act ? { act } : {}) };
    return act;
  };
  for (const [label, act] of [['200 links', chain(200)], ['17 links', chain(17)], ['200 links of 40 bytes more', chain(200, { note: 'x'.repeat(24) })], ['60 kB', chain(200, { note: 'x'.repeat(280) })]])
    for (const [where, send, error, object] of [['as subject', exchange, 'invalid_request', idToken({ act })], ['as grant', grant, 'invalid_grant', idJag({ act })]]) {
      ledger.plantToken(object);
      const begin = process.hrtime.bigint();
      const answer = await send(object);
      const ms = Number(process.hrtime.bigint() - begin) / 1e6;
      // What is longer than any token may be is not looked at, whoever sends it.
      ledger.refusal(answer, { status: [400, 413], error: object.length > 16384 ? 'invalid_request' : error, label: `${label} ${where}` });
      check(ms < (process.env.DEPUTY_SANITIZER ? 500 : 50), `${label} ${where}: ${ms} ms`);
      check(!JSON.stringify(answer.json ?? {}).includes('agent:'), `${label}: nothing of it in the answer`);
    }
  // A chain that can be read is evidence, and none of it becomes ours (D21).
  for (const token of [ledger.token(await exchange(idToken({ act: chain(3) })), 'three links'), ledger.token(await grant(idJag({ act: chain(3) })), 'three links in a grant')])
    check(!JSON.stringify(decode(token).claims).includes('agent:2'), 'not in our token');
});

suite.row('A33 a thousand objects with new kids: at most one fetch in the throttle window', async () => {
  const before = fetches();
  const begin = Date.now();
  for (let i = 0; i < 20; i += 1)
    await Promise.all(Array.from({ length: 50 }, async () => equal((await exchange(idToken({}, keys.ES256, { kid: randomId(32) }))).status, 400, 'unknown kid')));
  const windows = Math.ceil((Date.now() - begin) / 10000);
  check(fetches() - before <= windows, `${fetches() - before} fetches in ${windows} windows`);
  ledger.token(await exchange(idToken()), 'after');
});

suite.row('A34 the key server is down: unknown keys are refused, known ones serve on', async () => {
  for (const broken of [{ status: 500, body: 'x' }, { status: 404, body: '' }, 'hang up', { body: '{' }, { body: '{"keys":[]}' }]) {
    documents.set('/keys', broken);
    ledger.token(await exchange(idToken()), 'a known key');
    const answer = await exchange(idToken({}, Key.generate('ES256')));
    oneOf(answer.status, [400, 503], `an unknown key: ${answer.text}`);
  }
  documents.set('/keys', good);
});

suite.row('A35 a bad key set is refused as a whole', async () => {
  const mine = Key.generate('ES256');
  const bad = [
    ['a symmetric key', { keys: [mine.registered, { kty: 'oct', k: b64u('secret secret secret'), kid: 'x', alg: 'HS256' }] }],
    ['a private key', { keys: [{ ...mine.privateKey.export({ format: 'jwk' }), kid: mine.kid, alg: 'ES256' }] }],
    ['one kid for two keys', { keys: [mine.registered, { ...mine.registered, kid: 'x' }, { ...Key.generate('EdDSA').registered, kid: 'x' }] }],
    ['more than 100 keys', { keys: [mine.registered, ...Array.from({ length: 101 }, (_, i) => ({ ...mine.registered, kid: `k${i}` }))] }],
    ['5 MB', { keys: [mine.registered], filler: 'x'.repeat(5000000) }],
    ['no object', [mine.registered]],
    ['a member twice', `{"keys":[${JSON.stringify(mine.registered)}],"keys":[]}`],
    ['good, as the twin', { keys: [mine.registered] }],
  ];
  for (let i = 0; i < bad.length; i += 1) {
    const [label, set] = bad[i];
    const id = `${issuer}/bad${i}`;
    documents.set(`/bad${i}/keys`, { body: typeof set === 'string' ? set : JSON.stringify(set) });
    await daemon.create('issuers', { id, name: `bad${i}`, org: 'org1', uses: ['subject'], ceiling, jwks_uri: `${id}/keys` });
    const answer = await exchange(idToken({ iss: id }, mine));
    check(idp.fetched.includes(`/bad${i}/keys`), `${label}: fetched`);
    if (i === bad.length - 1) ledger.token(answer, label);
    else oneOf(answer.status, [400, 503], `${label}: ${answer.text}`);
  }
});

suite.row('A32 the metadata names another issuer, or keys elsewhere', async () => {
  const mine = Key.generate('ES256');
  const tries = [
    ['another issuer', { issuer: 'https://other.example', jwks_uri: `${issuer}/m/keys` }],
    ['a slash more', { issuer: `${issuer}/m0/`, jwks_uri: `${issuer}/m/keys` }],
    ['no jwks_uri', { issuer: `${issuer}/m2` }],
    ['a file', { issuer: `${issuer}/m3`, jwks_uri: 'file:///etc/passwd' }],
    ['not http', { issuer: `${issuer}/m4`, jwks_uri: 'gopher://127.0.0.1/' }],
  ];
  documents.set('/m/keys', { body: JSON.stringify({ keys: [mine.registered] }) });
  for (let i = 0; i < tries.length; i += 1) {
    const [label, body] = tries[i];
    const id = `${issuer}/m${i}`;
    for (const path of [`/.well-known/openid-configuration/m${i}`, `/m${i}/.well-known/openid-configuration`, `/.well-known/oauth-authorization-server/m${i}`])
      documents.set(path, { body: JSON.stringify(body) });
    await daemon.create('issuers', { id, name: `m${i}`, org: 'org1', uses: ['subject'], ceiling });
    oneOf((await exchange(idToken({ iss: id }, mine))).status, [400, 503], label);
  }
});

suite.row('an issuer that is switched off or removed is trusted no more', async () => {
  const path = `/issuers/${encodeURIComponent(issuer)}`;
  ledger.token(await exchange(idToken()), 'before');
  await daemon.admin('PATCH', path, { is_enabled: false }, { want: 200 });
  ledger.refusal(await exchange(idToken()), { status: 400, error: 'invalid_request', label: 'off' });
  ledger.refusal(await grant(idJag()), { status: 400, error: 'invalid_grant', label: 'off' });
  await daemon.admin('PATCH', path, { is_enabled: true }, { want: 200 });
  // What was signed until it was switched off stays dead; the skew allows for a token of the next seconds.
  ledger.token(await exchange(idToken({ iat: now_s() + 5 })), 'on');
  for (const body of [
    { id: world.issuer, name: 'self', org: 'org1', uses: ['subject'], ceiling },
    { id: 'https://x.example', name: 'corp', org: 'org1', uses: ['subject'], ceiling },
    { id: 'https://x.example', name: 'a:b', org: 'org1', uses: ['subject'], ceiling },
    { id: 'https://x.example', name: '', org: 'org1', uses: ['subject'], ceiling },
    { id: 'https://x.example', name: 'x', org: 'org1', uses: [], ceiling },
    { id: 'https://x.example', name: 'x', org: 'org1', uses: ['all'], ceiling },
    { id: 'https://x.example', name: 'x', org: 'org1', uses: ['subject'] },
    { id: '', name: 'x', org: 'org1', uses: ['subject'], ceiling },
    { name: 'x', org: 'org1', uses: ['subject'], ceiling },
  ]) {
    const answer = await daemon.admin('POST', '/issuers', body);
    equal(answer.status, 400, `${JSON.stringify(body)}: ${answer.text}`);
  }
  const made = await daemon.admin('DELETE', path);
  oneOf(made.status, [200, 204], made.text);
  ledger.refusal(await exchange(idToken()), { status: 400, error: 'invalid_request', label: 'removed' });
});

suite.row('foreign issuers: every refusal has exactly one record, no token stands in any', async () => {
  check(ledger.settle(daemon).length > 300, 'records');
});

suite.end(async () => {
  idp.close();
  listener.close();
  await daemon.stop();
});
await suite.run();
