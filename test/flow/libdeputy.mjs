// libdeputy in a server of its own: example/epoll-server.c, one thread that never waits, with tokens of a real server.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Process, program } from '../lib/daemon.mjs';
import { Key, decode, proof, randomId } from '../lib/forge.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { Wire, freePort } from '../lib/wire.mjs';
import { RS2, World } from '../lib/world.mjs';

const suite = new Suite('libdeputy');
const world = await World.start();
const { daemon } = world;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
const log = path.join(folder, 'audit');
const port = await freePort();
const origin = `http://127.0.0.1:${port}`;
const resource = `${origin}/api`;
const key = Key.generate('ES256');
const other = Key.generate('ES256');
const wires = [];
let server = null;
let nonce = null;

async function until(probe, what, limit_ms = 20000) {
  const end = Date.now() + limit_ms;
  for (;;) {
    const got = await probe();
    if (got) return got;
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function open() {
  const wire = new Wire({ port });
  wires.push(wire);
  return wire;
}

const wire = open();
await daemon.create('resources', { id: resource, name: 'example', scopes: ['read', 'write'] });
const agent = await world.agent('caller', [{ resource, scopes: ['read', 'write'] }]);
const helper = await world.agent('c helper', [{ resource, scopes: ['read'] }]);
const caller = await world.client('caller', 'basic', { agent, default_resource: resource });
const helping = await world.client('c helper', 'basic', { agent: helper, default_resource: resource });
const guard = await world.client('example', 'basic', { resource });

async function startServer() {
  server = new Process(program('epoll-server') ?? path.join(process.env.DEPUTY_BUILD, 'example/epoll-server'),
    [String(port), resource, daemon.issuer, guard.id, log], { cwd: folder, env: { DEPUTY_SECRET: guard.secret } });
  await server.until(/listens on/);
}

async function stopServer() {
  const exit = server.exit ?? (await server.kill('SIGTERM'));
  check(!/Sanitizer|runtime error:/.test(server.stderr), server.stderr);
  return exit;
}

suite.end(async () => {
  await daemon.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});
suite.end(async () => {
  for (const one of wires) one.close();
  if (server) await stopServer();
});

const bearer = (token) => [['Authorization', `Bearer ${token}`]];
const call = (headers, { method = 'GET', where = '/api/items?x=1', on = wire } = {}) => on.request({ method, path: where, headers });
const bound = (token, change = {}) => [['Authorization', `DPoP ${token}`],
  ['DPoP', proof(change.key ?? key, { method: 'GET', url: `${origin}/api/items`, token, nonce, ...change })]];

// With a fresh proof; one retry with the nonce, as RFC 9449 section 9 says.
async function callBound(token, change) {
  const answer = await call(bound(token, change));
  if (answer.status !== 401 || !answer.header('dpop-nonce')) return answer;
  nonce = answer.header('dpop-nonce');
  return call(bound(token, change));
}

suite.row('the first request waits for keys and revocations, and is answered', async () => {
  await startServer();
  const answer = await call(bearer(await caller.get({ scope: 'read write' })));
  equal(answer.status, 200, answer.text);
  equal(answer.text, `subject ${agent.id}\nscope ${decode(await caller.get({ scope: 'read write' })).claims.scope}\n`, 'who');
});

suite.row('a delegated token names its actors', async () => {
  const first = await caller.get({ audience: helper.id, scope: 'read' });
  const token = await helping.delegate(first, { resource, scope: 'read' });
  const answer = await call(bearer(token));
  equal([answer.status, answer.text], [200, `subject ${agent.id}\nscope read\nactor ${helper.id}\n`], 'who');
});

suite.row('no token, a bad one, another audience, too little scope', async () => {
  const none = await call([]);
  equal([none.status, none.header('cache-control'), none.count('www-authenticate')], [401, 'no-store', 1], 'no token');
  check(none.header('www-authenticate').includes(`resource_metadata="${origin}/.well-known/oauth-protected-resource/api"`), 'metadata');
  const token = await caller.get({ scope: 'read' });
  for (const [label, one] of [
    ['flipped', `${token.slice(0, -6)}${token.slice(-6) === 'AAAAAA' ? 'BBBBBB' : 'AAAAAA'}`],
    ['O02 for another resource', await world.CB.get({ resource: RS2, scope: 'list' })],
    ['not a token', 'x'],
  ]) {
    const answer = await call(bearer(one));
    equal([answer.status, answer.json.error, answer.json.decision], [401, 'invalid_token', answer.header('deputy-decision')], label);
  }
  const narrow = await call(bearer(token), { method: 'POST' });
  equal([narrow.status, narrow.json.error], [403, 'insufficient_scope'], 'O03 this request needs more');
  check(narrow.header('www-authenticate').includes('scope="read write"'), 'the scopes that are needed');
  equal((await call(bearer(await caller.get({ scope: 'read write' })), { method: 'POST' })).status, 200, 'twin');
  equal((await call([...bearer(token), ...bearer(token)])).status, 400, 'A58 two tokens');
  equal((await call(bearer(token))).status, 200, 'twin');
});

suite.row('the metadata document is open, and names the server', async () => {
  const answer = await call([], { where: '/.well-known/oauth-protected-resource/api' });
  equal([answer.status, answer.json.resource, answer.json.authorization_servers], [200, resource, [daemon.issuer]], 'metadata');
});

suite.row('B25 B43 B52 a bound token needs a fresh proof of its key for this very request', async () => {
  const token = await caller.withDpop(key).get({ scope: 'read' });
  equal((await callBound(token)).status, 200, 'good');
  check(nonce, 'proofs near the start need the nonce');
  const once = bound(token);
  equal((await call(once)).status, 200, 'first use');
  const again = await call(once);
  equal([again.status, again.json.error], [401, 'invalid_dpop_proof'], 'B25 second use');
  for (const [label, headers, error] of [
    ['B43 as Bearer', bearer(token), 'invalid_token'],
    ['no proof', bound(token).slice(0, 1), 'invalid_dpop_proof'],
    ['B02 two proofs', [...bound(token), bound(token)[1]], 'invalid_dpop_proof'],
    ['another host', bound(token, { url: 'https://evil.example/api/items' }), 'invalid_dpop_proof'],
    ['B52 another method', bound(token, { method: 'PUT' }), 'invalid_dpop_proof'],
    ['another key', bound(token, { key: other }), 'invalid_token'],
    ['B39 foreign nonce', bound(token, { nonce: randomId(24) }), 'use_dpop_nonce'],
  ]) {
    const answer = await call(headers);
    equal([answer.status, answer.json?.error], [401, error], label);
  }
  equal((await callBound(token)).status, 200, 'twin');
});

suite.row('B30 one proof on many connections at the same instant', async () => {
  const token = await caller.withDpop(key).get({ scope: 'read' });
  const crowd = Array.from({ length: 20 }, open);
  equal((await callBound(token)).status, 200, 'twin');
  for (let round = 0; round < 5; round += 1) {
    const headers = bound(token);
    const statuses = (await Promise.all(crowd.map((on) => call(headers, { on })))).map((answer) => answer.status).sort();
    equal(statuses, [200, ...Array(19).fill(401)], 'exactly one');
  }
  for (const one of crowd) one.close();
});

suite.row('A64 a new signing key is followed while the request waits', async () => {
  const made = (await daemon.admin('POST', '/keys', { alg: 'ES256' }, { want: 201 })).json;
  await daemon.admin('POST', `/keys/${made.kid}/activate`, {}, { want: 200 });
  const token = await caller.get({ scope: 'read' });
  equal(decode(token).header.kid, made.kid, 'the new key');
  equal((await call(bearer(token))).status, 200, 'allowed');
});

suite.row('A68 a banned agent is refused, with the chains it stands in', async () => {
  const mine = await caller.get({ scope: 'read' });
  const chained = await helping.delegate(await caller.get({ audience: helper.id, scope: 'read' }), { resource, scope: 'read' });
  for (const token of [mine, chained]) equal((await call(bearer(token))).status, 200, 'alive');
  await daemon.admin('POST', `/agents/${helper.id}/ban`, {}, { want: 200 });
  await until(async () => (await call(bearer(chained))).status === 401, 'the chain is dead');
  equal((await call(bearer(mine))).status, 200, 'the others live');
});

suite.row('a silent issuer is 503 with Retry-After, and all is well when it is back', async () => {
  const token = await caller.get({ scope: 'read' });
  equal((await call(bearer(token))).status, 200, 'alive');
  await daemon.down('SIGKILL');
  const answer = await until(async () => {
    const one = await call(bearer(token));
    return one.status === 200 ? null : one;
  }, 'the silence is noticed');
  equal([answer.status, answer.header('retry-after'), answer.count('www-authenticate')], [503, '1', 0], 'never a 401');
  await daemon.up();
  await until(async () => (await call(bearer(token))).status === 200, 'it is heard again');
});

suite.row('clients that go away while a verdict is on its way harm nobody', async () => {
  const token = await caller.get({ scope: 'read' });
  for (let round = 0; round < 50; round += 1) {
    const one = open();
    one.request({ path: '/api/items', headers: bearer('x') }).catch(() => {});
    await new Promise((resolve) => setImmediate(resolve));
    one.close();
  }
  equal((await call(bearer(token))).status, 200, 'the others are served');
});

suite.row('every decision is in a log that verifies', async () => {
  const refused = await call(bearer('x'));
  const allowed = await call(bearer(await caller.get({ scope: 'read' })));
  equal([refused.status, allowed.status], [401, 200], 'two more');
  equal((await stopServer()).code, 0, 'an orderly end');
  const lines = fs.readdirSync(path.join(log, 'log')).map((name) => fs.readFileSync(path.join(log, 'log', name), 'utf8')).join('')
    .split('\n').filter((line) => line !== '').map((line) => JSON.parse(line));
  check(lines.some((line) => line.id === refused.header('deputy-decision') && line.event === 'guard.refused'), 'the refusal');
  equal(lines.filter((line) => line.event === 'guard.allowed').at(-1).node, `guard ${resource}`, 'the allow');
  check(!JSON.stringify(lines).includes(guard.secret), 'no secret');
  const verify = new Process(program('deputy'), ['audit', 'verify', '--data', daemon.data, '--log', log], { cwd: folder });
  equal((await verify.ended).code, 0, verify.stdout + verify.stderr);
});

await suite.run();
