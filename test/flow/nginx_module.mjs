// The guard inside nginx: ngx_http_deputy_module in Debian's nginx, beside a real server and in front of an upstream.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { Key, decode, proof } from '../lib/forge.mjs';
import { Nginx } from '../lib/nginx.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { Wire } from '../lib/wire.mjs';
import { RS1, RS2, World } from '../lib/world.mjs';

const IDENTITY = ['subject', 'client', 'actor', 'actor-chain', 'scope', 'audience', 'task', 'token-id', 'decision'];
const suite = new Suite('nginx module');
const world = await World.start();
const { daemon } = world;
const key = Key.generate('ES256');
let nonce = null;
let nginx = null;

// The upstream: tells what arrived.
const seen = [];
const upstream = http.createServer((request, response) => {
  const headers = {};
  for (let i = 0; i < request.rawHeaders.length; i += 2) (headers[request.rawHeaders[i].toLowerCase()] ??= []).push(request.rawHeaders[i + 1]);
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    seen.push({ path: request.url, headers, raw: request.rawHeaders, body: Buffer.concat(chunks).toString() });
    response.end(JSON.stringify({ path: request.url }));
  });
});
await new Promise((resolve) => upstream.listen(0, '127.0.0.1', resolve));
const behind = `http://127.0.0.1:${upstream.address().port}`;

suite.end(async () => {
  upstream.closeAllConnections();
  upstream.close();
  await daemon.stop();
});
suite.end(async () => {
  api?.close();
  if (nginx) await nginx.stop();
});

const server = (one) => `
    deputy_resource ${RS1};
    deputy_public_url ${one.origin};
    deputy_issuer ${world.issuer};
    deputy_client_id ${world.R1.id};
    deputy_client_secret ${one.secret('r1.secret', world.R1.secret)};
    deputy_audit_log ${one.log};
    deputy_scopes_offered read write;
    deputy_loopback on;
    deputy_feed_silence 3s;
    proxy_http_version 1.1;
    deputy off;
    location / { proxy_pass ${behind}; }
    location /api { deputy on; deputy_scope read; proxy_pass ${behind}; proxy_set_header X-Log "$deputy_subject|$deputy_decision"; }
    location /api/write { deputy on; deputy_scope read write; proxy_pass ${behind}; }
    location /api/bound { deputy on; deputy_require_dpop on; proxy_pass ${behind}; }
    location /api/inner { deputy on; try_files /nowhere @inner; }
    location @inner { deputy on; deputy_scope read; proxy_pass ${behind}; }
    location /api/any { deputy on; satisfy any; allow all; proxy_pass ${behind}; }
    location /api/denied { deputy on; deny all; proxy_pass ${behind}; }`;

let api = null;
const call = (headers, { method = 'GET', where = '/api/items?x=1', body = null, host = null } = {}) =>
  api.request({ method, path: where, headers, body, host });
const bearer = (token) => [['Authorization', `Bearer ${token}`]];
const bound = (token, { method = 'GET', where = '/api/items', ...more } = {}) =>
  [['Authorization', `DPoP ${token}`], ['DPoP', proof(key, { method, url: `${nginx.origin}${where}`, token, nonce, ...more })]];

// One retry with the nonce, as RFC 9449 section 8 says.
async function callBound(token, { method = 'GET', where = '/api/items', headers = [], ...more } = {}) {
  const answer = await call([...bound(token, { method, where }), ...headers], { method, where, ...more });
  if (answer.status !== 401 || !answer.header('dpop-nonce')) return answer;
  nonce = answer.header('dpop-nonce');
  return call([...bound(token, { method, where }), ...headers], { method, where, ...more });
}

async function ready() {
  const token = await world.CB.get({ scope: 'read' });
  await nginx.until(async () => (await call(bearer(token))).status === 200, 'the guard is ready');
}

suite.row('a token of the server is let through, with who calls and without the token', async () => {
  nginx = await Nginx.start({ server });
  api = new Wire({ port: nginx.port });
  await ready();
  const token = await world.CB.get({ scope: 'read write', task_id: 'trip-1' });
  const answer = await call(bearer(token), { method: 'POST', body: 'hello' });
  equal([answer.status, answer.json], [200, { path: '/api/items?x=1' }], answer.text);
  const got = seen.at(-1);
  const { claims } = decode(token);
  for (const name of IDENTITY) equal(got.headers[`deputy-${name}`]?.length, 1, name);
  const value = (name) => got.headers[`deputy-${name}`][0];
  equal(['subject', 'client', 'scope', 'audience', 'task', 'token-id', 'actor', 'actor-chain'].map(value),
    [world.orchestrator.id, world.CB.id, claims.scope, RS1, 'trip-1', claims.jti, '', ''], 'who');
  equal(got.headers['x-log'], [`${world.orchestrator.id}|${value('decision')}`], 'variables');
  equal([got.headers.authorization, got.body], [undefined, 'hello'], 'no token, the whole body');
  check(!JSON.stringify(got.raw).includes(token), 'O04 the token');
});

suite.row('a delegated token names the whole chain', async () => {
  const first = await world.CB.get({ audience: world.worker.id, scope: 'read', task_id: 'trip-2' });
  const token = await world.CW.delegate(first, { resource: RS1, scope: 'read', task_id: 'trip-2.1' });
  equal((await call(bearer(token))).status, 200, 'allowed');
  const { headers } = seen.at(-1);
  equal([headers['deputy-subject'], headers['deputy-actor'], headers['deputy-actor-chain'], headers['deputy-task']],
    [[world.orchestrator.id], [world.worker.id], [world.worker.id], ['trip-2.1']], 'chain');
});

suite.row('each refusal is whole: status, one challenge, no-store, body, decision', async () => {
  const token = await world.CB.get({ scope: 'read' });
  const before = seen.length;
  for (const [label, headers, options, status, error, scheme] of [
    ['no token', [], {}, 401, undefined, 'Bearer'],
    ['a bad token', bearer('x'), {}, 401, 'invalid_token', 'Bearer'],
    ['another scheme', [['Authorization', 'Basic eDp5']], {}, 401, undefined, 'Bearer'],
    ['bad syntax', bearer('x y'), {}, 400, 'invalid_request', 'Bearer'],
    ['O02 for another resource', bearer(await world.CB.get({ resource: RS2, scope: 'list' })), {}, 401, 'invalid_token', 'Bearer'],
    ['O03 too little scope', bearer(token), { where: '/api/write' }, 403, 'insufficient_scope', 'Bearer'],
    ['a bearer token where DPoP is needed', bearer(token), { where: '/api/bound' }, 401, 'invalid_token', 'DPoP'],
    ['in the query', [], { where: `/api/items?access_token=${token}` }, 401, undefined, 'Bearer'],
    ['POST', bearer('x'), { method: 'POST', body: 'never read' }, 401, 'invalid_token', 'Bearer'],
  ]) {
    const answer = await call(headers, options);
    equal([answer.status, answer.json?.status], [status, status], `${label}: ${answer.text}`);
    if (error) equal(answer.json.error, error, label);
    equal([answer.count('www-authenticate'), answer.header('www-authenticate').split(' ')[0]], [1, scheme], label);
    check(answer.header('www-authenticate').includes(`resource_metadata="${nginx.origin}/.well-known/oauth-protected-resource/api"`), label);
    equal([answer.header('cache-control'), answer.header('content-type')], ['no-store', 'application/problem+json'], label);
    equal(answer.header('deputy-decision'), answer.json.decision, label);
  }
  const narrow = await call(bearer(token), { where: '/api/write' });
  check(narrow.header('www-authenticate').includes('scope="read write"'), 'all scopes of the location');
  equal((await call([], { method: 'HEAD' })).status, 401, 'HEAD');
  equal(seen.length, before, 'nothing reached the upstream');
  equal((await call(bearer(token))).status, 200, 'twin');
  equal((await call(bearer(await world.CB.get({ scope: 'read write' })), { where: '/api/write' })).status, 200, 'twin');
});

suite.row('B25 B43 B52 a bound token needs a fresh proof of its key for this very request', async () => {
  const token = await world.CB.withDpop(key).get({ scope: 'read' });
  equal((await callBound(token)).status, 200, 'good');
  check(nonce, 'proofs near the start need the nonce');
  const { headers } = seen.at(-1);
  equal([headers.authorization, headers.dpop], [undefined, undefined], 'O04 what must not arrive');
  const once = bound(token);
  equal((await call(once)).status, 200, 'first use');
  const again = await call(once);
  equal([again.status, again.json.error], [401, 'invalid_dpop_proof'], 'B25 second use');
  for (const [label, headers, error] of [
    ['B43 as Bearer', [['Authorization', `Bearer ${token}`], bound(token)[1]], 'invalid_token'],
    ['no proof', [bound(token)[0]], 'invalid_dpop_proof'],
    ['B02 two proofs', [...bound(token), bound(token)[1]], 'invalid_dpop_proof'],
    ['B17 another host', bound(token, { url: 'https://evil.example/api/items' }), 'invalid_dpop_proof'],
    ['B52 for POST', bound(token, { method: 'POST' }), 'invalid_dpop_proof'],
    ['another path', bound(token, { where: '/api/other' }), 'invalid_dpop_proof'],
  ]) {
    const answer = await call(headers);
    equal([answer.status, answer.json?.error], [401, error], label);
  }
  equal((await callBound(token)).status, 200, 'twin');
  equal((await callBound(token, { where: '/api/bound' })).status, 200, 'where DPoP is needed');
});

suite.row('B19 Host and forwarded headers change nothing', async () => {
  const token = await world.CB.withDpop(key).get({ scope: 'read' });
  const spoofed = [['X-Forwarded-Host', 'evil.example'], ['X-Original-URL', '/public'], ['X-Original-Method', 'POST']];
  equal((await callBound(token, { headers: spoofed, host: 'evil.example' })).status, 200, 'the configured URL counts');
  const evil = await call(bound(token, { url: 'http://evil.example/api/items' }), { host: 'evil.example' });
  equal([evil.status, evil.json.error], [401, 'invalid_dpop_proof'], 'spoofed');
});

suite.row('A58 two tokens are refused', async () => {
  const token = await world.CB.get({ scope: 'read' });
  equal((await call([...bearer(token), ...bearer(token)])).status, 400, 'two');
  equal((await call(bearer(token))).status, 200, 'twin');
});

suite.row('O01 the caller\'s own identity headers never arrive, guarded or not', async () => {
  const token = await world.CB.get({ scope: 'read' });
  const spoofed = [...IDENTITY, 'assertion'].flatMap((name) => [[`Deputy-${name}`, 'spoofed'], [`deputy-${name}`, 'spoofed'], [`Deputy_${name}`, 'spoofed']]);
  for (const [where, headers] of [['/api/items', bearer(token)], ['/public', []]]) {
    equal((await call([...headers, ...spoofed], { where })).status, 200, where);
    check(!JSON.stringify(seen.at(-1).raw).includes('spoofed'), `${where}: a spoofed value arrived`);
  }
});

suite.row('internal redirects: one proof, each location\'s own rules', async () => {
  const token = await world.CB.withDpop(key).get({ scope: 'read' });
  equal((await callBound(token, { where: '/api/inner' })).status, 200, 'through try_files');
  equal(seen.at(-1).headers['deputy-subject'], [world.orchestrator.id], 'identity');
  const narrow = await world.CB.get({ scope: 'write' });
  equal((await call(bearer(narrow), { where: '/api/inner' })).status, 403, 'the second location asks for more');
});

suite.row('access rules: satisfy any is no way around, and what they deny burns no proof', async () => {
  equal((await call([], { where: '/api/any' })).status, 401, 'satisfy any');
  const token = await world.CB.withDpop(key).get({ scope: 'read' });
  equal((await callBound(token, { where: '/api/any' })).status, 200, 'with a token');
  const denied = await call(bound(token, { where: '/api/denied' }), { where: '/api/denied' });
  equal([denied.status, denied.header('deputy-decision')], [403, null], 'denied before the guard');
});

suite.row('the metadata of the resource', async () => {
  for (const where of ['/.well-known/oauth-protected-resource/api', '/.well-known/oauth-protected-resource']) {
    const answer = await call([], { where });
    equal([answer.status, answer.json.resource, answer.json.authorization_servers, answer.header('content-type')],
      [200, RS1, [world.issuer], 'application/json'], where);
    equal(answer.json.scopes_supported, ['read', 'write'], 'scopes');
    equal((await call([], { where, method: 'HEAD' })).status, 200, 'HEAD');
    equal((await call([], { where, method: 'OPTIONS' })).status, 204, 'preflight');
    equal((await call([], { where, method: 'POST', body: 'x' })).status, 405, 'POST');
  }
});

suite.row('every decision is in the log of a worker', async () => {
  const token = await world.CB.get({ scope: 'read' });
  equal((await call(bearer(token))).status, 200, 'allowed');
  const refused = await call(bearer('a-secret-marker'));
  const find = (id) => nginx.records().filter((record) => record.id === id);
  equal(find(refused.header('deputy-decision')).map((record) => record.event), ['guard.refused'], 'a refusal leaves when its record is safe');
  const id = seen.at(-1).headers['deputy-decision'][0];
  await nginx.until(() => find(id).length === 1, 'the record of the allow');
  equal(find(id)[0].event, 'guard.allowed', 'allow');
  const text = fs.readdirSync(path.join(nginx.log, '0', 'log')).map((name) => fs.readFileSync(path.join(nginx.log, '0', 'log', name), 'utf8')).join('');
  for (const secret of ['a-secret-marker', token, world.R1.secret]) check(!text.includes(secret) && !nginx.errors().includes(secret), 'a secret is in a log');
});

suite.row('A68 a revoked token is refused within a second', async () => {
  const token = await world.CP.get({ scope: 'read' });
  equal((await call(bearer(token))).status, 200, 'alive');
  equal((await world.CP.revoke(token)).status, 200, 'revoked');
  const begin = Date.now();
  await nginx.until(async () => (await call(bearer(token))).status === 401, 'the revoked token is dead');
  check(Date.now() - begin < 1000, `refused after ${Date.now() - begin} ms`);
  equal((await call(bearer(await world.CP.get({ scope: 'read' })))).status, 200, 'twin');
});

await suite.run();
