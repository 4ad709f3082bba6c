// The guard beside a real server: alone over its socket, and behind Debian's nginx with the refusals of auth_request made whole.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { Process, program } from '../lib/daemon.mjs';
import { Key, decode, proof, randomId } from '../lib/forge.mjs';
import { Suite, check, equal, skip } from '../lib/tap.mjs';
import { Wire, freePort } from '../lib/wire.mjs';
import { RS1, RS2, World } from '../lib/world.mjs';

const IDENTITY = ['Subject', 'Client', 'Actor', 'Actor-Chain', 'Scope', 'Audience', 'Task', 'Token-Id', 'Decision'];
const SILENCE_S = 3;
const suite = new Suite('guard');
const world = await World.start();
const { daemon } = world;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
const socketPath = path.join(folder, 'guard.sock');
const port = await freePort();
const origin = `http://127.0.0.1:${port}`; // where callers reach the API: nginx
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(probe, what, limit_ms = 15000) {
  const end = Date.now() + limit_ms;
  for (;;) {
    const got = await probe();
    if (got) return got;
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await wait(10);
  }
}

// The milliseconds until the probe gives something.
async function timed(probe, what) {
  const begin = Date.now();
  await until(probe, what);
  return Date.now() - begin;
}

const guardArgs = ['guard', 'run', '--resource', RS1, '--issuer', world.issuer, '--client', world.R1.id, '--secret', 'env:GUARD_SECRET',
  '--listen', `unix:${socketPath}`, '--audit', path.join(folder, 'audit'), '--public-url', origin, '--scope', 'read',
  '--scopes-offered', 'read write', '--feed-silence-max-s', String(SILENCE_S)];
let guard = null;
const wire = new Wire({ socketPath });

async function startGuard() {
  guard = new Process(program('deputy'), guardArgs, { cwd: folder, env: { GUARD_SECRET: world.R1.secret } });
  await guard.until(/listens on/, { stream: 'stderr' });
  await until(async () => (await wire.request({ path: '/readyz' })).status === 200, 'the guard is ready');
}

suite.end(async () => {
  await daemon.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});
suite.end(async () => {
  wire.close();
  if (!guard.exit) await guard.kill('SIGTERM');
});

// One question as nginx asks it.
function ask({ scheme = 'Bearer', token = null, dpop = null, method = 'POST', target = '/api', headers = [] } = {}) {
  const list = [['X-Original-Method', method], ['X-Original-URL', `https://evil.example${target}`], ...headers];
  if (token !== null) list.push(['Authorization', `${scheme} ${token}`]);
  for (const one of Array.isArray(dpop) ? dpop : dpop ? [dpop] : []) list.push(['DPoP', one]);
  return wire.request({ path: '/authz/auth-request', headers: list });
}

const key = Key.generate('ES256');
const worker = Key.generate('ES256');
let nonce = null;

// With a fresh proof; one retry with the nonce, as RFC 9449 section 8 says.
async function askBound(token, { with: signer = key, method = 'POST', ...more } = {}) {
  const make = () => proof(signer, { method, url: `${origin}/api`, token, nonce });
  const answer = await ask({ scheme: 'DPoP', token, dpop: make(), method, ...more });
  if (answer.status !== 401 || !answer.header('dpop-nonce')) return answer;
  nonce = answer.header('dpop-nonce');
  return ask({ scheme: 'DPoP', token, dpop: make(), method, ...more });
}

suite.row('a token of the server is allowed, with every identity header', async () => {
  await startGuard();
  const token = await world.CB.get({ scope: 'read write', task_id: 'trip-1' });
  const answer = await ask({ token });
  equal(answer.status, 200, answer.text);
  for (const name of IDENTITY) equal(answer.count(`deputy-${name}`), 1, name);
  const { claims } = decode(token);
  const got = Object.fromEntries(IDENTITY.map((name) => [name, answer.header(`deputy-${name}`)]));
  equal([got.Subject, got.Client, got.Scope, got.Audience], [world.orchestrator.id, world.CB.id, claims.scope, RS1], 'who');
  equal([got.Actor, got['Actor-Chain'], got.Task, got['Token-Id']], ['', '', 'trip-1', claims.jti], 'what for');
  equal(answer.header('cache-control'), 'no-store', 'no-store');
  equal((await ask({ token })).status, 200, 'a second time');
});

suite.row('a delegated token names the whole chain', async () => {
  const first = await world.CB.get({ audience: world.worker.id, scope: 'read', task_id: 'trip-2' });
  const token = await world.CW.delegate(first, { resource: RS1, scope: 'read', task_id: 'trip-2.1' });
  const answer = await ask({ token });
  equal(answer.status, 200, answer.text);
  equal([answer.header('deputy-subject'), answer.header('deputy-actor'), answer.header('deputy-actor-chain'), answer.header('deputy-task')],
    [world.orchestrator.id, world.worker.id, world.worker.id, 'trip-2.1'], 'chain');
});

suite.row('no token, a bad one, another audience, too little scope', async () => {
  const none = await ask();
  equal(none.status, 401, 'no token');
  const challenge = none.header('www-authenticate');
  equal(none.count('www-authenticate'), 1, 'one line');
  check(challenge.startsWith('Bearer ') && challenge.includes(', DPoP '), challenge);
  check(!challenge.includes('error='), 'no error without credentials');
  check(challenge.includes(`resource_metadata="${origin}/.well-known/oauth-protected-resource/api"`), challenge);
  const token = await world.CB.get({ scope: 'read' });
  for (const [label, one] of [
    ['flipped', `${token.slice(0, -6)}${token.slice(-6) === 'AAAAAA' ? 'BBBBBB' : 'AAAAAA'}`],
    ['O02 for another resource', await world.CB.get({ resource: RS2, scope: 'list' })],
    ['for an agent', await world.CB.get({ audience: world.worker.id, scope: 'read' })],
  ]) {
    const answer = await ask({ token: one });
    equal([answer.status, answer.json?.error], [401, 'invalid_token'], label);
    check(answer.header('www-authenticate').includes('error="invalid_token"'), label);
  }
  const narrow = await ask({ token: await world.CB.get({ scope: 'write' }) });
  equal([narrow.status, narrow.json.error], [403, 'insufficient_scope'], 'O03');
  check(narrow.header('www-authenticate').includes('scope="read"'), 'the scopes that are needed');
  equal((await ask({ token })).status, 200, 'twin');
});

suite.row('B25 B43 B52 a bound token needs a fresh proof of its key for this very request', async () => {
  const token = await world.CB.withDpop(key).get({ scope: 'read' });
  equal((await askBound(token)).status, 200, 'good');
  check(nonce, 'proofs near the start need the nonce');
  const once = proof(key, { url: `${origin}/api`, token, nonce });
  equal((await ask({ scheme: 'DPoP', token, dpop: once })).status, 200, 'first use');
  const again = await ask({ scheme: 'DPoP', token, dpop: once });
  equal([again.status, again.json.error], [401, 'invalid_dpop_proof'], 'B25 second use');
  for (const [label, change, error] of [
    ['B43 as Bearer', { scheme: 'Bearer', dpop: proof(key, { url: `${origin}/api`, token, nonce }) }, 'invalid_token'],
    ['no proof', { dpop: null }, 'invalid_dpop_proof'],
    ['B02 two proofs', { dpop: [once, proof(key, { url: `${origin}/api`, token, nonce })] }, 'invalid_dpop_proof'],
    ['B17 the host of the request line', { dpop: proof(key, { url: 'https://evil.example/api', token, nonce }) }, 'invalid_dpop_proof'],
    ['B52 for GET', { dpop: proof(key, { method: 'GET', url: `${origin}/api`, token, nonce }) }, 'invalid_dpop_proof'],
    ['other ath', { dpop: proof(key, { url: `${origin}/api`, token: 'x', nonce }) }, 'invalid_dpop_proof'],
    ['no ath', { dpop: proof(key, { url: `${origin}/api`, nonce }) }, 'invalid_dpop_proof'],
    ['other key', { dpop: proof(worker, { url: `${origin}/api`, token, nonce }) }, 'invalid_token'],
    ['B39 foreign nonce', { dpop: proof(key, { url: `${origin}/api`, token, nonce: randomId(24) }) }, 'use_dpop_nonce'],
    ['iat 303 s ago', { dpop: proof(key, { url: `${origin}/api`, token, nonce, claims: { iat: Math.floor(Date.now() / 1000) - 303 } }) }, 'invalid_dpop_proof'],
    ['iat in 303 s', { dpop: proof(key, { url: `${origin}/api`, token, nonce, claims: { iat: Math.floor(Date.now() / 1000) + 303 } }) }, 'invalid_dpop_proof'],
  ]) {
    const answer = await ask({ scheme: 'DPoP', token, ...change });
    equal([answer.status, answer.json?.error], [401, error], label);
    check(answer.header('www-authenticate').includes('DPoP '), label);
  }
  equal((await askBound(token)).status, 200, 'twin');
});

suite.row('B44 an unbound token under the DPoP scheme', async () => {
  const token = await world.CB.get({ scope: 'read' });
  const answer = await askBound(token);
  equal([answer.status, answer.json.error], [401, 'invalid_token'], 'refused');
});

suite.row('B19 forwarded hosts change nothing; twice is ambiguous', async () => {
  const token = await world.CB.withDpop(key).get({ scope: 'read' });
  const spoofed = [['X-Forwarded-Host', 'evil.example'], ['X-Forwarded-Proto', 'https'], ['Forwarded', 'host=evil.example']];
  equal((await askBound(token, { headers: spoofed })).status, 200, 'the configured URL counts');
  const evil = await ask({ scheme: 'DPoP', token, headers: spoofed, dpop: proof(key, { url: 'https://evil.example/api', token, nonce }) });
  equal([evil.status, evil.json.error], [401, 'invalid_dpop_proof'], 'spoofed');
  equal((await ask({ token, headers: [['X-Original-URL', '/api']] })).status, 400, 'two targets');
  equal((await ask({ token, headers: [['Authorization', 'Bearer x']] })).status, 400, 'A58 two tokens');
});

suite.row('the metadata document names the server', async () => {
  for (const where of ['/.well-known/oauth-protected-resource/api', '/.well-known/oauth-protected-resource']) {
    const answer = await wire.request({ path: where });
    equal([answer.status, answer.json.resource, answer.json.authorization_servers], [200, RS1, [world.issuer]], where);
    equal(answer.json.scopes_supported, ['read', 'write'], 'scopes');
  }
});

suite.row('A68 a revoked token, a banned agent: refused here within a second', async () => {
  const [one, other] = [await world.CP.get({ scope: 'read' }), await world.CP.get({ scope: 'read' })];
  for (const token of [one, other]) equal((await ask({ token })).status, 200, 'alive');
  equal((await world.CP.revoke(one)).status, 200, 'revoked');
  const revoked_ms = await timed(async () => (await ask({ token: one })).status === 401, 'the revoked token is dead');
  check(revoked_ms < 1000, `refused after ${revoked_ms} ms`);
  equal((await ask({ token: other })).status, 200, 'the other one lives');

  const first = await world.CP.get({ audience: world.worker.id, scope: 'read' });
  const chained = await world.CW.delegate(first, { resource: RS1, scope: 'read' });
  equal((await ask({ token: chained })).status, 200, 'chained, alive');
  await daemon.admin('POST', `/agents/${world.helper.id}/ban`, {}, { want: 200 });
  const banned_ms = await timed(async () => (await ask({ token: chained })).status === 401, 'the chain is dead');
  check(banned_ms < 1000, `refused after ${banned_ms} ms`);
  equal((await ask({ token: other })).status, 401, 'its own token too');
  equal((await ask({ token: await world.CB.get({ scope: 'read' }) })).status, 200, 'others live');
});

suite.row('A65 a tainted key: its tokens are refused within a second, also those seen before', async () => {
  const token = await world.CB.get({ scope: 'read' });
  equal((await ask({ token })).status, 200, 'alive');
  const { kid } = decode(token).header;
  const made = (await daemon.admin('POST', '/keys', { alg: 'ES256' }, { want: 201 })).json;
  await daemon.admin('POST', `/keys/${made.kid}/activate`, {}, { want: 200 });
  await daemon.admin('POST', `/keys/${kid}/taint`, {}, { want: 200 });
  const ms = await timed(async () => (await ask({ token })).status === 401, 'the token is dead');
  check(ms < 1000, `refused after ${ms} ms`);
  equal((await ask({ token: await world.CB.get({ scope: 'read' }) })).status, 200, 'tokens of the new key');
});

// --- behind nginx ---

let nginx = null;
let upstream = null;
const api = new Wire({ port });
const seen = [];

// What `deputy guard snippet nginx` prints, in the least that nginx needs around it.
function nginxConfig(upstreamPort) {
  const snippet = execFileSync(program('deputy'), ['guard', 'snippet', 'nginx', '--resource', RS1, '--guard', `unix:${socketPath}`,
    '--upstream', `127.0.0.1:${upstreamPort}`, '--listen', `127.0.0.1:${port}`], { encoding: 'utf8' });
  return `daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events { worker_connections 64; }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  ${snippet}
}
`;
}

async function startNginx() {
  const file = ['/usr/sbin/nginx', '/usr/bin/nginx', '/sbin/nginx'].find((one) => fs.existsSync(one));
  if (!file) skip('nginx is not installed');
  upstream = http.createServer((request, response) => {
    seen.push(request.rawHeaders);
    response.end(JSON.stringify({ path: request.url }));
  });
  await new Promise((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  fs.writeFileSync(path.join(folder, 'nginx.conf'), nginxConfig(upstream.address().port));
  nginx = new Process(file, ['-c', path.join(folder, 'nginx.conf'), '-p', folder, '-e', path.join(folder, 'error.log')], { cwd: folder });
  await until(async () => {
    if (nginx.exit) throw new Error(`nginx ended: ${nginx.stderr}`);
    return fetch(`${origin}/.well-known/oauth-protected-resource/api`).then((answer) => answer.ok, () => false);
  }, 'nginx answers');
}

suite.end(async () => {
  api.close();
  if (nginx && !nginx.exit) await nginx.kill('SIGTERM');
  upstream?.closeAllConnections();
  upstream?.close();
});

const call = (headers, { method = 'POST', where = '/api/items?x=1', body = 'hello' } = {}) =>
  api.request({ method, path: where, headers, body: method === 'POST' ? body : null });

async function callBound(token, headers = []) {
  const make = () => [['Authorization', `DPoP ${token}`], ['DPoP', proof(key, { url: `${origin}/api/items`, token, nonce })], ...headers];
  const answer = await call(make());
  if (answer.status !== 401 || !answer.header('dpop-nonce')) return answer;
  nonce = answer.header('dpop-nonce');
  return call(make());
}

suite.row('nginx: the upstream sees who calls, never the token, never the caller\'s own identity headers', async () => {
  await startNginx();
  const token = await world.CB.withDpop(key).get({ scope: 'read', task_id: 'trip-3' });
  const spoofed = IDENTITY.flatMap((name) => [[`Deputy-${name}`, 'spoofed'], [`deputy-${name.toLowerCase()}`, 'spoofed']]);
  for (const headers of [[], spoofed]) {
    const answer = await callBound(token, headers);
    equal([answer.status, answer.json], [200, { path: '/api/items?x=1' }], answer.text);
    const raw = seen.at(-1);
    const got = {};
    for (let i = 0; i < raw.length; i += 2) (got[raw[i].toLowerCase()] ??= []).push(raw[i + 1]);
    check(!JSON.stringify(raw).includes('spoofed'), 'a spoofed value arrived');
    equal([got['deputy-subject'], got['deputy-client'], got['deputy-task'], got['deputy-audience']],
      [[world.orchestrator.id], [world.CB.id], ['trip-3'], [RS1]], 'identity');
    equal([got.authorization, got.dpop, got['deputy-actor']], [undefined, undefined, undefined], 'O04 what must not arrive');
    check(!JSON.stringify(raw).includes(token), 'O04 the token');
  }
});

suite.row('nginx: each refusal arrives with its status, its challenge once, and its body', async () => {
  const token = await world.CB.withDpop(key).get({ scope: 'read' });
  const narrow = await world.CB.get({ scope: 'write' });
  const used = proof(key, { url: `${origin}/api/items`, token, nonce });
  await call([['Authorization', `DPoP ${token}`], ['DPoP', used]]);
  const before = seen.length;
  for (const [label, headers, status, error, scheme] of [
    ['no token', [], 401, undefined, 'Bearer'],
    ['a bad token', [['Authorization', 'Bearer x']], 401, 'invalid_token', 'Bearer'],
    ['too little scope', [['Authorization', `Bearer ${narrow}`]], 403, 'insufficient_scope', 'Bearer'],
    ['bad syntax', [['Authorization', 'Bearer x y']], 400, 'invalid_request', 'Bearer'],
    ['a proof used before', [['Authorization', `DPoP ${token}`], ['DPoP', used]], 401, 'invalid_dpop_proof', 'DPoP'],
    ['no nonce', [['Authorization', `DPoP ${token}`], ['DPoP', proof(key, { url: `${origin}/api/items`, token, nonce: 'x' })]], 401, 'use_dpop_nonce', 'DPoP'],
    ['a decision of the caller\'s own', [['Authorization', 'Bearer x'], ['Deputy-Decision', '01ARZ3NDEKTSV4RRFFQ69G5FAV']], 401, 'invalid_token', 'Bearer'],
  ]) {
    const answer = await call(headers);
    equal([answer.status, answer.json?.error, answer.json?.status], [status, error, status], `${label}: ${answer.text}`);
    equal([answer.count('www-authenticate'), answer.header('www-authenticate').split(' ')[0]], [1, scheme], label);
    equal([answer.header('cache-control'), answer.header('content-type')], ['no-store', 'application/problem+json'], label);
    equal(answer.header('deputy-decision'), answer.json.decision, label);
    equal(answer.header('dpop-nonce') !== null, error === 'use_dpop_nonce', `${label}: nonce`);
  }
  equal(seen.length, before, 'nothing reached the upstream');
  equal((await callBound(token)).status, 200, 'twin');
});

suite.row('nginx: two Authorization or two DPoP lines never pass', async () => {
  const token = await world.CB.get({ scope: 'read' });
  const before = seen.length;
  const two = await call([['Authorization', `Bearer ${token}`], ['Authorization', `Bearer ${token}`]]);
  equal(two.status, 400, 'two tokens');
  const bound = await world.CB.withDpop(key).get({ scope: 'read' });
  const make = () => ['DPoP', proof(key, { url: `${origin}/api/items`, token: bound, nonce })];
  const proofs = await call([['Authorization', `DPoP ${bound}`], make(), make()]);
  equal([proofs.status, proofs.json.error], [401, 'invalid_dpop_proof'], 'two proofs');
  equal(seen.length, before, 'nothing reached the upstream');
  equal((await call([['Authorization', `Bearer ${token}`]])).status, 200, 'twin');
});

suite.row('O08 the server is away: 503 after the bound, through nginx too, and everything again when it is back', async () => {
  const token = await world.CB.get({ scope: 'read' });
  equal((await ask({ token })).status, 200, 'alive');
  await daemon.down();
  equal((await ask({ token })).status, 200, 'within the bound the guard needs nobody');
  const ms = await timed(async () => (await ask({ token })).status === 503, 'silence');
  check(ms <= (SILENCE_S + 2) * 1000, `refused after ${ms} ms`);
  const answer = await ask({ token });
  equal([answer.header('www-authenticate'), answer.header('retry-after')], [null, '1'], 'trouble is no challenge');
  if (nginx) {
    const through = await call([['Authorization', `Bearer ${token}`]]);
    equal([through.status, through.header('retry-after')], [503, '1'], 'through nginx');
  }
  await daemon.up();
  await until(async () => (await ask({ token })).status === 200, 'the guard recovers');
  check(true, 'recovered');
});

suite.row('every decision is in the guard\'s own log, and no secret', async () => {
  const token = await world.CB.get({ scope: 'read' });
  const allowed = await ask({ token });
  const refused = await ask({ token: 'a-secret-marker' });
  equal(await guard.kill('SIGTERM'), { code: 0, signal: null }, 'an orderly end');
  const log = path.join(folder, 'audit', 'log');
  const text = fs.readdirSync(log).filter((name) => name.endsWith('.jsonl')).map((name) => fs.readFileSync(path.join(log, name), 'utf8')).join('');
  const records = text.trim().split('\n').map((line) => JSON.parse(line));
  for (const [answer, event] of [[allowed, 'guard.allowed'], [refused, 'guard.refused']]) {
    const found = records.filter((record) => record.id === answer.header('deputy-decision'));
    equal([found.length, found[0]?.event, found[0]?.node], [1, event, `guard ${RS1}`], event);
  }
  check(records.some((record) => record.jti === decode(token).claims.jti && record.outcome === 'allow'), 'by token');
  for (const secret of ['a-secret-marker', token, world.R1.secret])
    check(!text.includes(secret) && !guard.stderr.includes(secret), 'a secret is in the log');
  const verify = new Process(program('deputy'), ['audit', 'verify', '--data', daemon.data, '--log', path.join(folder, 'audit')], { cwd: folder });
  equal((await verify.ended).code, 0, `audit verify: ${verify.stdout} ${verify.stderr}`);
});

await suite.run();
