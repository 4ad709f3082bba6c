// The guard inside nginx: ngx_http_deputy_module in Debian's nginx, beside a real server and in front of an upstream.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { Key, decode, proof } from '../lib/forge.mjs';
import { Nginx, needsNginx } from '../lib/nginx.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { Wire } from '../lib/wire.mjs';
import { RS1, RS2, World } from '../lib/world.mjs';

const IDENTITY = ['subject', 'client', 'actor', 'actor-chain', 'scope', 'audience', 'task', 'token-id', 'decision'];
const suite = new Suite('nginx module');
needsNginx(suite);
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
    add_header X-Worker $pid always;
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

// --- several workers: one memory of what was used ---

const PAUSE_MS = 400;
const streamer = http.createServer((request, response) => {
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  response.write('data: first\n\n');
  setTimeout(() => response.end('data: last\n\n'), PAUSE_MS);
});
await new Promise((resolve) => streamer.listen(0, '127.0.0.1', resolve));
suite.end(() => {
  streamer.closeAllConnections();
  streamer.close();
});

const many = (one) => `${server(one)}
    location /api/stream { deputy on; deputy_scope read; proxy_buffering off; proxy_pass http://127.0.0.1:${streamer.address().port}; }`;

// One connection to each worker that serves.
async function eachWorker() {
  const token = await world.CB.get({ scope: 'read' });
  const wires = new Map();
  await nginx.until(async () => {
    const wire = new Wire({ port: nginx.port });
    const answer = await wire.request({ path: '/api/items', headers: bearer(token) });
    const pid = Number(answer.header('x-worker'));
    if (answer.status === 200 && !wires.has(pid)) wires.set(pid, wire);
    else wire.close();
    // The first may serve before the others are started.
    const workers = nginx.workers();
    return workers.length === nginx.parts.workers && workers.every((one) => wires.has(one));
  }, 'every worker serves');
  return wires;
}

const closeAll = (wires) => [...wires.values()].forEach((wire) => wire.close());

// A bound token, and a proof for it that is good now and was not used.
async function freshProof() {
  const token = await world.CB.withDpop(key).get({ scope: 'read' });
  equal((await callBound(token)).status, 200, 'a fresh proof');
  return { token, headers: bound(token) };
}

suite.row('B25 a proof that one worker has seen is a replay at every other, also after that worker was killed', async () => {
  await nginx.stop();
  api.close();
  nginx = await Nginx.start({ server: many, workers: 3 });
  api = new Wire({ port: nginx.port });
  nonce = null;
  const wires = await eachWorker();
  equal(wires.size, 3, 'three workers');
  const { headers } = await freshProof();
  const answers = await Promise.all([...wires.values()].map((wire) => wire.request({ path: '/api/items', headers })));
  equal(answers.map((answer) => answer.status).sort(), [200, 401, 401], 'one of three');
  const killed = Number(answers.find((answer) => answer.status === 200).header('x-worker'));
  api.close();
  process.kill(killed, 'SIGKILL');
  await nginx.until(() => !nginx.workers().includes(killed) && nginx.workers().length === 3, 'another worker in its place');
  closeAll(wires);
  const after = await eachWorker();
  check(!after.has(killed), 'the killed one is gone');
  for (const [pid, wire] of after) {
    const answer = await wire.request({ path: '/api/items', headers });
    equal([answer.status, answer.json.error], [401, 'invalid_dpop_proof'], `worker ${pid}`);
  }
  const twin = await freshProof();
  for (const [pid, wire] of after) {
    const answer = await wire.request({ path: '/api/items', headers: bound(twin.token) });
    equal(answer.status, 200, `worker ${pid}: a fresh proof`);
  }
  closeAll(after);
});

suite.row('a token that one worker has verified, all of them know', async () => {
  const wires = await eachWorker();
  const token = await world.CB.get({ scope: 'read' });
  for (const [pid, wire] of wires) equal((await wire.request({ path: '/api/items', headers: bearer(token) })).status, 200, `worker ${pid}`);
  for (const [pid, wire] of wires)
    equal((await wire.request({ path: '/api/items', headers: bearer(`${token.slice(0, -8)}AAAAAAAA`) })).status, 401, `worker ${pid}: another signature`);
  closeAll(wires);
});

suite.row('a reload under load refuses nobody and reopens nothing', async () => {
  const { token, headers } = await freshProof();
  equal((await call(headers)).status, 200, 'used before the reload');
  let isOver = false;
  let allowed = 0;
  const others = [];
  const load = async () => {
    while (!isOver) {
      const wire = new Wire({ port: nginx.port }); // one connection for each request: none is cut between two
      const answer = await wire.request({ path: '/api/items', headers: [...bound(token), ['Connection', 'close']] });
      if (answer.status === 200) allowed += 1;
      else others.push([answer.status, answer.text]);
      wire.close();
    }
  };
  const loads = [load(), load(), load()];
  for (let i = 0; i < 3; i += 1) {
    const before = allowed;
    await nginx.reload();
    closeAll(await eachWorker());
    await nginx.until(() => allowed > before + 20, 'the load goes on');
  }
  isOver = true;
  await Promise.all(loads);
  // A new worker has no keys for a moment: that is trouble of the guard, said as 503, and never a refusal.
  equal(others.filter(([status]) => status !== 503), [], 'no refusal');
  const wires = await eachWorker();
  for (const wire of wires.values()) {
    const again = await wire.request({ path: '/api/items', headers });
    equal([again.status, again.json.error], [401, 'invalid_dpop_proof'], 'the used proof');
  }
  closeAll(wires);
}, { limit_ms: 90000 });

suite.row('a stream passes as it comes', async () => {
  const token = await world.CB.get({ scope: 'read' });
  const chunks = [];
  const answer = await fetch(`${nginx.origin}/api/stream`, { headers: { Authorization: `Bearer ${token}`, Connection: 'close' } });
  for await (const chunk of answer.body) chunks.push({ text: Buffer.from(chunk).toString(), at: Date.now() });
  equal([answer.status, chunks.map((one) => one.text)], [200, ['data: first\n\n', 'data: last\n\n']], 'each event alone');
  check(chunks[1].at - chunks[0].at >= PAUSE_MS / 2, 'the first one did not wait for the last');
});

suite.row('a restart forgets what was used, so the fence refuses what is older', async () => {
  const { headers } = await freshProof();
  equal((await call(headers)).status, 200, 'used');
  api.close();
  await nginx.process.kill('SIGQUIT');
  await nginx.up();
  await ready();
  const again = await call(headers);
  equal([again.status, again.json.error], [401, 'use_dpop_nonce'], 'older than the fence');
  const twin = await freshProof();
  equal((await call(twin.headers)).status, 200, 'twin');
});

suite.row('O09 a configuration that cannot guard is refused, and says why', async () => {
  const { folder, module } = nginx;
  const secret = nginx.secret('good.secret', world.R1.secret);
  const open = path.join(folder, 'open.secret');
  fs.writeFileSync(open, 'x', { mode: 0o644 });
  const good = {
    deputy_resource: RS1, deputy_issuer: world.issuer, deputy_client_id: 'c', deputy_client_secret: secret,
    deputy_audit_log: path.join(folder, 'other'), deputy_loopback: 'on',
  };
  const lines = (all) => Object.entries(all).filter(([, value]) => value !== null).map(([name, value]) => `${name} ${value};`).join(' ');
  const text = (change, inside = '', beside = '') => `http { ${beside} server { ${lines({ ...good, ...change })} ${inside} } }`;
  const fine = await Nginx.check(module, text({}), folder);
  equal(fine.code, 0, fine.text);
  for (const [label, config, pattern] of [
    ['no issuer', text({ deputy_issuer: null }), /issuer/],
    ['no client', text({ deputy_client_id: null }), /client/],
    ['no secret', text({ deputy_client_secret: null }), /client/],
    ['no log', text({ deputy_audit_log: null }), /deputy_audit_log/],
    ['a resource with a query', text({ deputy_resource: '"https://a.example/?x"' }), /resource/],
    ['plain http', text({ deputy_loopback: null }), /https/],
    ['a scope that is none', text({ deputy_scope: "'a\"b'" }), /scope/],
    ['the secret itself', text({ deputy_client_secret: 'hunter2-marker' }), /file:PATH/],
    ['a secret that all can read', text({ deputy_client_secret: `file:${open}` }), /chmod 600/],
    ['a secret that is not there', text({ deputy_client_secret: 'file:/nowhere/secret' }), /cannot be opened/],
    ['a nonce key that is too short', text({ deputy_nonce_key: nginx.secret('short.key', 'c2hvcnQ') }), /deputy_nonce_key: 32 bytes/],
    ['the nonce key itself', text({ deputy_nonce_key: 'hunter2-marker' }), /deputy_nonce_key: say file:PATH/],
    ['a nonce key that all can read', text({ deputy_nonce_key: `file:${open}` }), /deputy_nonce_key: .*chmod 600/],
    ['on without a resource', 'http { server { location / { deputy on; } } }', /deputy_resource/],
    ['two resources with one log', text({}, 'location /x { deputy_resource https://b.example; }'), /another resource/],
    ['a description away from its resource', text({}, 'location /x { deputy_require_nonce on; }'), /stands beside/],
    ['rules that are none', text({ deputy_rules: open }), /deputy_rules/],
    ['a zone that is too small', text({}, '', 'deputy_zone deputy:64k;'), /deputy_zone/],
    ['a zone without a name', text({}, '', 'deputy_zone 32m;'), /deputy_zone/],
  ]) {
    const got = await Nginx.check(module, config, folder);
    check(got.code !== 0 && pattern.test(got.text), `${label}: ${got.code} ${got.text}`);
    check(!got.text.includes('hunter2-marker'), `${label}: the secret is repeated`);
  }
});

suite.row('a full zone refuses with 503 and forgets nothing', async () => {
  await nginx.stop();
  api.close();
  nginx = await Nginx.start({ server, http: 'deputy_zone small:512k;' });
  api = new Wire({ port: nginx.port });
  nonce = null;
  await ready();
  const { token, headers } = await freshProof();
  equal((await call(headers)).status, 200, 'first');
  let full = null;
  for (let i = 0; i < 5000 && !full; i += 1) {
    const answer = await call(bound(token));
    if (answer.status === 503) full = answer;
    else equal(answer.status, 200, `proof ${i}: ${answer.text}`);
  }
  check(full, 'the zone was never full');
  equal([full.header('retry-after'), full.header('www-authenticate')], ['1', null], 'trouble, not refusal');
  equal((await call(headers)).status, 401, 'what was used is still used');
  equal((await call(bearer(await world.CB.get({ scope: 'read' })))).status, 200, 'twin: a bearer token needs no memory');
}, { limit_ms: 90000 });

suite.row('rules by method and path; a nonce on each proof, and a newer one with each answer', async () => {
  await nginx.stop();
  api.close();
  const rules = `
rules:
  - name: read
    methods: [GET]
    path: /api/items
    scopes: read
  - name: write
    methods: [POST]
    path: /api/items
    scopes: write
`;
  nginx = await Nginx.start({
    server: (one) => {
      fs.writeFileSync(path.join(one.folder, 'rules.yaml'), rules);
      return `
    deputy_resource ${RS1}; deputy_public_url ${one.origin}; deputy_issuer ${world.issuer}; deputy_client_id ${world.R1.id};
    deputy_client_secret ${one.secret('r1.secret', world.R1.secret)}; deputy_audit_log ${one.log}; deputy_loopback on;
    deputy_rules ${path.join(one.folder, 'rules.yaml')}; deputy_require_nonce on;
    location / { proxy_pass ${behind}; }`;
    },
  });
  api = new Wire({ port: nginx.port });
  nonce = null;
  await ready();
  const token = await world.CB.get({ scope: 'read' });
  equal((await call(bearer(token))).status, 200, 'GET');
  const narrow = await call(bearer(token), { method: 'POST', body: 'x' });
  equal([narrow.status, narrow.json.error], [403, 'insufficient_scope'], 'POST needs more');
  equal((await call(bearer(await world.CB.get({ scope: 'write' })), { method: 'POST', body: 'x' })).status, 200, 'twin');
  equal((await call(bearer(token), { where: '/api/other' })).status, 403, 'no rule is a refusal');
  equal((await call(bearer(token), { where: '/api/%69tems' })).status !== 200, true, 'K19 a path in another spelling');
  const held = await world.CB.withDpop(key).get({ scope: 'read' });
  const first = await call(bound(held));
  equal([first.status, first.json.error, first.count('dpop-nonce')], [401, 'use_dpop_nonce', 1], 'without a nonce');
  const answer = await callBound(held);
  equal([answer.status, answer.count('dpop-nonce')], [200, 1], 'with it');
  check(!seen.at(-1).headers['dpop-nonce'], 'the nonce is for the client alone');
});

suite.row('nodes with one nonce key understand each other\'s nonces, and those of no other node', async () => {
  const raw = Buffer.alloc(32, 9);
  raw[31] = 10; // a raw key may end like a line
  const nodes = [];
  const node = async (bytes) => {
    const one = await Nginx.start({
      server: (own) => {
        fs.writeFileSync(path.join(own.folder, 'nonce.key'), bytes, { mode: 0o600 });
        return `
    deputy_resource ${RS1}; deputy_public_url ${nginx.origin}; deputy_issuer ${world.issuer}; deputy_client_id ${world.R1.id};
    deputy_client_secret ${own.secret('r1.secret', world.R1.secret)}; deputy_audit_log ${own.log}; deputy_loopback on;
    deputy_scope read; deputy_require_nonce on; deputy_nonce_key file:${path.join(own.folder, 'nonce.key')};
    location / { proxy_pass ${behind}; }`;
      },
    });
    const wire = new Wire({ port: one.port });
    nodes.push({ one, wire });
    const token = await world.CB.get({ scope: 'read' });
    const ask = (headers) => wire.request({ method: 'GET', path: '/api/items', headers });
    await one.until(async () => (await ask(bearer(token))).status === 200, 'the node is ready');
    return ask;
  };
  try {
    const [first, sibling, stranger] = [await node(raw), await node(`${raw.toString('base64url')}\n`), await node(Buffer.alloc(32, 8))];
    const held = await world.CB.withDpop(key).get({ scope: 'read' });
    // A node refuses what was minted in the second of its start or before, whoever minted it: ask again until that is over.
    await nodes[1].one.until(async () => {
      nonce = null;
      nonce = (await first(bound(held))).header('dpop-nonce');
      check(nonce, 'a nonce of the first node');
      return (await sibling(bound(held))).status === 200;
    }, 'the sibling understands a nonce of the first node');
    const refusal = await stranger(bound(held));
    equal([refusal.status, refusal.json.error], [401, 'use_dpop_nonce'], 'at a node with another key');
    equal((await first(bound(held))).status, 200, 'at the node itself');
  } finally {
    nonce = null;
    for (const { one, wire } of nodes) {
      wire.close();
      await one.stop();
    }
  }
});

suite.row('O08 the server is away: 503 after the bound, and everything again when it is back', async () => {
  const token = await world.CB.get({ scope: 'read' });
  api.close();
  await nginx.until(async () => (await call(bearer(token))).status === 200, 'alive');
  await daemon.down();
  await nginx.until(async () => (await call(bearer(token))).status === 503, 'silence');
  const answer = await call(bearer(token));
  equal([answer.status, answer.header('www-authenticate'), answer.header('retry-after'), answer.header('cache-control')],
    [503, null, '1', 'no-store'], 'trouble is no challenge');
  await daemon.up();
  await nginx.until(async () => (await call(bearer(token))).status === 200, 'the guard recovers');
});

await suite.run();
