// Groups A and B at a guarded resource: access tokens (d1) and DPoP proofs (d4), and the guard's key fetching.
// A proxy stands between guard and server, so that a test can count, change and break what the guard fetches.
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Process, program } from '../lib/daemon.mjs';
import { Key, b64u, compact, now_s, proof, randomId } from '../lib/forge.mjs';
import { Ledger, checkEcho } from '../lib/ledger.mjs';
import { Suite, check, equal, oneOf } from '../lib/tap.mjs';
import { Wire, freePort } from '../lib/wire.mjs';
import { RS1, World } from '../lib/world.mjs';
import { cases } from './a_cases.mjs';
import { proofCases } from './b_cases.mjs';
import { TokenDoor } from './doors.mjs';

const suite = new Suite('attack: the guard');
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(probe, what, limit_ms = 15000) {
  const end = Date.now() + limit_ms;
  for (;;) {
    const got = await probe();
    if (got) return got;
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await wait(20);
  }
}

// The issuer is the proxy's address.
const proxyPort = await freePort();
const world = await World.start({ config: { issuer: `http://127.0.0.1:${proxyPort}` } });
world.daemon.issuer = `http://127.0.0.1:${proxyPort}`;
const proxy = http.createServer((request, response) => {
  if (request.url === '/.well-known/jwks.json') {
    proxy.fetches += 1;
    const answer = proxy.jwks;
    if (answer === 'hang up') return request.socket.destroy();
    if (answer) return response.writeHead(answer.status ?? 200, { 'Content-Type': 'application/json' }).end(answer.body ?? '');
  }
  const on = http.request({ port: world.daemon.port, host: '127.0.0.1', method: request.method, path: request.url, headers: request.headers }, (from) => {
    response.writeHead(from.statusCode, from.headers);
    from.pipe(response);
  });
  on.on('error', () => response.destroy());
  response.on('close', () => on.destroy());
  request.pipe(on);
});
proxy.fetches = 0;
proxy.jwks = null;
await new Promise((resolve) => proxy.listen(proxyPort, '127.0.0.1', resolve));
world.keys = await world.keysOfEveryAlg();

// Whoever connects here was told to by an attacker.
const listener = net.createServer((socket) => {
  listener.seen += 1;
  socket.destroy();
});
listener.seen = 0;
await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
listener.url = `http://127.0.0.1:${listener.address().port}`;

class Guard {
  static async start({ args = [], isReady = true } = {}) {
    const guard = new Guard();
    guard.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
    const socketPath = path.join(guard.folder, 'guard.sock');
    const all = ['guard', 'run', '--resource', RS1, '--issuer', world.issuer, '--client', world.R1.id, '--secret', 'env:GUARD_SECRET',
      '--listen', `unix:${socketPath}`, '--audit', path.join(guard.folder, 'audit'), ...args];
    guard.process = new Process(program('deputy'), all, { cwd: guard.folder, env: { GUARD_SECRET: world.R1.secret } });
    await guard.process.until(/listens on/, { stream: 'stderr' });
    guard.wire = new Wire({ socketPath });
    if (isReady) await until(async () => (await guard.wire.request({ path: '/readyz' })).status === 200, 'the guard is ready');
    return guard;
  }

  ask(authorization, { method = 'GET', headers = [] } = {}) {
    const list = [['X-Original-Method', method], ['X-Original-URL', RS1], ...headers];
    for (const value of [authorization].flat()) if (value !== null) list.push(['Authorization', value]);
    return this.wire.request({ path: '/authz/auth-request', headers: list });
  }

  async nonce(token, key) {
    const answer = await this.ask(`DPoP ${token}`, { headers: [['DPoP', proof(key, { method: 'GET', url: RS1, token, nonce: 'none' })]] });
    return answer.header('dpop-nonce');
  }

  auditText() {
    const folder = path.join(this.folder, 'audit', 'log');
    if (!fs.existsSync(folder)) return '';
    return fs.readdirSync(folder).filter((name) => name.endsWith('.jsonl')).sort().map((name) => fs.readFileSync(path.join(folder, name), 'utf8')).join('');
  }

  audit() {
    return this.auditText().split('\n').filter(Boolean).map((line) => JSON.parse(line));
  }

  artefacts() {
    return this.process.stdout + this.process.stderr + this.auditText();
  }

  async end() {
    this.wire.close();
    const exit = this.process.exit ?? (await this.process.kill('SIGTERM'));
    return exit;
  }

  async stop() {
    await this.end();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

const TEXT = /^[\x20-\x21\x23-\x5B\x5D-\x7E]*$/;

// A refusal of the guard, as the ledger wants it.
class GuardLedger extends Ledger {
  refusal(answer, { status, error, label }) {
    const statuses = [status].flat();
    check(statuses.includes(answer.status), () => `${label}: ${answer.status} ${answer.text.slice(0, 300)}, want ${statuses}`);
    if ([413, 414, 431].includes(answer.status)) return;
    this.answer(answer, 'deny', label);
    check(/\bno-store\b/.test(answer.header('cache-control') ?? ''), `${label}: no-store`);
    const body = answer.json;
    check(body && typeof body === 'object', () => `${label}: the body is not JSON: ${answer.text.slice(0, 200)}`);
    if (error) check([error].flat().includes(body.error), () => `${label}: error ${body.error}, want ${error}`);
    check(TEXT.test(body.error_description ?? ''), `${label}: error_description`);
    if (answer.status === 401) {
      equal(answer.count('www-authenticate'), 1, `${label}: one challenge line`);
      const wants = /dpop/.test(body.error ?? '') ? /DPoP / : /^Bearer .*DPoP |^DPoP /;
      check(wants.test(answer.header('www-authenticate')), `${label}: ${answer.header('www-authenticate')}`);
      if (error) check(answer.header('www-authenticate').includes(`error="${body.error}"`), `${label}: the challenge names the error`);
    }
    for (const name of ['subject', 'client', 'scope']) check(!answer.header(`deputy-${name}`), `${label}: identity on a refusal`);
  }
}

const ledger = new GuardLedger();
ledger.plant(...world.planted);
const guard = await Guard.start();

class GuardDoor extends TokenDoor {
  id = 'd1 guard';
  inHeader = true;

  present(object) {
    return guard.ask(`Bearer ${object}`);
  }

  refused(answer, label) {
    // What is no token68 is no credential at all; two blanks and the like are malformed.
    this.ledger.refusal(answer, { status: [401, 400, 431], label });
    if (answer.status === 401 && answer.json.error) oneOf(answer.json.error, ['invalid_token', 'invalid_request'], label);
  }

  accepted(answer, label) {
    equal(answer.status, 200, `${label}: ${answer.text}`);
    this.ledger.answer(answer, 'allow', label);
  }
}

const door = new GuardDoor(world, ledger);
door.listener = listener;

async function twin(label) {
  for (const alg of door.algs) {
    const object = (await door.base(alg)).make();
    ledger.plantToken(object);
    door.accepted(await door.present(object), `${label}: the good one (${alg})`);
  }
}

for (const [id, make] of Object.entries(cases)) {
  if ((await make(await door.base(), door)).length === 0) continue;
  suite.row(`${id} ${door.id}`, async () => {
    await twin(id);
    for (const [label, object] of await make(await door.base(), door)) await door.refuse(object, `${id} ${label}`);
    await twin(`${id} after`);
    equal(listener.seen, 0, `${id}: connections to the attacker's address`);
  });
}

suite.row('A58 two access tokens in one request', async () => {
  const token = (await door.base()).make();
  const other = (await door.base()).make();
  for (const [label, list] of [['the same', [token, token]], ['two', [token, other]]])
    ledger.refusal(await guard.ask(list.map((one) => `Bearer ${one}`)), { status: 400, label });
  ledger.refusal(await guard.ask([`Bearer ${token}`, 'Basic eDp5']), { status: 400, label: 'Bearer and Basic' });
  ledger.refusal(await guard.ask([`Bearer ${token}, Bearer ${other}`]), { status: [400, 401], label: 'in one line' });
  door.accepted(await door.present(token), 'one');
});

suite.row('A59 the Authorization header in odd forms', async () => {
  const token = (await door.base()).make();
  for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR']) door.accepted(await guard.ask(`${scheme} ${token}`), scheme);
  for (const value of ['Bearer', 'Bearer ', `Bearer x ${token}`, `Bearer ${token} x`, `Bearer \t${token}`, `Basic ${token}`, token, `Bearer:${token}`, `Bearer=${token}`, `Bearer "${token}"`, `Bearer,${token}`, 'Basic eDp5', `Token ${token}`, `Negotiate ${token}`, '', ' ', 'Bearer ====', `Bearer\u00a0${token}`])
    ledger.refusal(await guard.ask(value), { status: [400, 401], label: JSON.stringify(value.replace(token, 'TOKEN')) });
  const many = await guard.ask(`Bearer  ${token}`);
  if (many.status === 200) door.accepted(many, 'two blanks');
  else ledger.refusal(many, { status: [400, 401], label: 'two blanks' });
});

suite.row('D23 a chain of 200 actors in a token that the issuer signed', async () => {
  const door = new TokenDoor(world, ledger);
  const base = await door.base();
  const chain = (links) => {
    let act;
    for (let i = 0; i < links; i += 1) act = act ? { sub: world.helper.id, act } : { sub: world.helper.id };
    return act;
  };
  for (const links of [9, 200, 600]) {
    const token = base.make({ claims: { act: chain(links) } });
    const begin = Date.now();
    const answer = await guard.ask(`Bearer ${token}`);
    equal([answer.status, /error="invalid_token"/.test(answer.header('www-authenticate'))], [401, true], `${links} links: ${answer.text}`);
    check(Date.now() - begin < 500, `${links} links: ${Date.now() - begin} ms`);
  }
  equal((await guard.ask(`Bearer ${base.make({ claims: { act: chain(8) } })}`)).status, 200, 'twin: eight links');
});

suite.row('A67 a token that is wrong in every way gets the one answer', async () => {
  const now = now_s();
  const base = await door.base();
  const wrong = [
    base.make({ claims: { aud: 'https://other.example/' } }),
    base.make({ claims: { exp: now - 900, iat: now - 1200, nbf: now - 1200 } }),
    base.make({ claims: { iss: 'https://other.example' } }),
    base.make({ claims: { exp: now - 900, aud: 'https://other.example/', iss: 'x' }, sign: () => Buffer.alloc(64, 1) }),
  ];
  const seen = new Set();
  for (const token of wrong) {
    const answer = await door.refuse(token, 'A67');
    seen.add(JSON.stringify([answer.status, answer.json.error, answer.json.error_description, answer.header('www-authenticate')]));
  }
  equal(seen.size, 1, [...seen].join('\n'));
});

suite.row('A68 H07 a token seen before: after its end, with another key, as bearer', async () => {
  const base = await door.base();
  const now = now_s();
  // At its end by the clock, accepted for the skew alone.
  const ending = base.make({ claims: { iat: now - 300, nbf: now - 300, exp: now + 1 } });
  door.accepted(await door.present(ending), 'just before its end');
  await until(async () => (await door.present(ending)).status === 401, 'refused after its end and the skew', 20000);
  ledger.refusal(await door.present(ending), { status: 401, error: 'invalid_token', label: 'after its end' });

  const one = Key.generate('ES256');
  const two = Key.generate('ES256');
  const token = base.make({ claims: { cnf: { jkt: one.kid } } });
  const nonce = await guard.nonce(token, one);
  const ask = (key, scheme = 'DPoP') => guard.ask(`${scheme} ${token}`, { headers: [['DPoP', proof(key, { method: 'GET', url: RS1, token, nonce })]] });
  for (let i = 0; i < 3; i += 1) door.accepted(await ask(one), 'with its key');
  ledger.refusal(await ask(two), { status: 401, error: 'invalid_token', label: 'with another key' });
  ledger.refusal(await ask(one, 'Bearer'), { status: 401, error: 'invalid_token', label: 'B43 as Bearer, with a proof' });
  ledger.refusal(await guard.ask(`Bearer ${token}`), { status: 401, error: 'invalid_token', label: 'B43 as Bearer, without' });
  const unbound = base.make();
  door.accepted(await door.present(unbound), 'unbound');
  const under = await guard.ask(`DPoP ${unbound}`, { headers: [['DPoP', proof(one, { method: 'GET', url: RS1, token: unbound, nonce })]] });
  ledger.refusal(under, { status: 401, error: 'invalid_token', label: 'B44 unbound under DPoP' });
  door.accepted(await ask(one), 'twin');
}, { limit_ms: 30000 });

const key = Key.generate('ES256');
const other = Key.generate('ES256');
let bound;
let nonce;

const send = (dpop) => guard.ask(`DPoP ${bound}`, { headers: [dpop].flat().map((one) => ['DPoP', one]) });

async function boundTwin(label) {
  const answer = await send(proof(key, { method: 'GET', url: RS1, token: bound, nonce }));
  equal(answer.status, 200, `${label}: ${answer.text}`);
  ledger.answer(answer, 'allow', label);
}

async function freshNonce() {
  bound = (await door.base()).make({ claims: { cnf: { jkt: key.kid } } });
  ledger.plantToken(bound);
  nonce = await guard.nonce(bound, key);
  check(nonce, 'a nonce');
}

for (const [name, make] of Object.entries(proofCases))
  suite.row(`${name} (guard)`, async () => {
    await freshNonce();
    await boundTwin(`${name}: twin before`);
    for (const [label, dpop, outcome] of make({ key, other, url: RS1, method: 'GET', token: bound, nonce })) {
      ledger.plantToken(dpop);
      const answer = await send(dpop);
      if (outcome === 'accept') {
        equal(answer.status, 200, `${name}: ${label}: ${answer.text}`);
        ledger.answer(answer, 'allow', label);
      } else if (outcome === 'either') {
        oneOf(answer.status, [200, 401, 431], `${name}: ${label}`);
        ledger.answer(answer, 'any', label);
      } else ledger.refusal(answer, { status: [401, 431], error: 'invalid_dpop_proof', label: `${name}: ${label}` });
      checkEcho(answer, dpop, label);
    }
    await boundTwin(`${name}: twin after`);
  });

suite.row('B02 B25 B30 B33 B39 (guard)', async () => {
  await freshNonce();
  const good = (change = {}) => proof(key, { method: 'GET', url: RS1, token: bound, nonce, ...change });
  await boundTwin('before');
  for (const [label, list] of [['two lines', [good(), good()]], ['a comma', `${good()}, ${good()}`]])
    ledger.refusal(await send(list), { status: [400, 401], error: ['invalid_dpop_proof', 'invalid_request'], label: `B02 ${label}` });
  const once = good();
  const wires = Array.from({ length: 50 }, () => new Wire({ socketPath: guard.wire.target.path }));
  const all = await Promise.all(wires.map((wire) => {
    const asker = Object.assign(new Guard(), { wire });
    return asker.ask(`DPoP ${bound}`, { headers: [['DPoP', once]] });
  }));
  for (const wire of wires) wire.close();
  equal(all.filter((answer) => answer.status === 200).length, 1, 'B30 exactly one');
  ledger.refusal(await send(once), { status: 401, error: 'invalid_dpop_proof', label: 'B25 again' });
  const jti = randomId();
  for (const [label, url] of [['first', RS1]]) equal((await send(good({ url, claims: { jti } }))).status, 200, `B33 ${label}`);
  // The same jti at another URL of the resource is another proof.
  const elsewhere = await guard.wire.request({
    path: '/authz/auth-request',
    headers: [['X-Original-Method', 'GET'], ['X-Original-URL', `${RS1}/other`], ['Authorization', `DPoP ${bound}`], ['DPoP', good({ url: `${RS1}/other`, claims: { jti } })]],
  });
  equal(elsewhere.status, 200, `B33 the same jti on another htu: ${elsewhere.text}`);
  const server = (await world.CB.token({}, { proof: proof(key, { url: `${world.issuer}/oauth/token`, nonce: 'x' }) })).header('dpop-nonce');
  for (const [label, bad] of [['random', randomId(24)], ['truncated', nonce.slice(1)], ['of the server', server], ['empty', '']]) {
    const answer = await send(good({ nonce: null, claims: { nonce: bad ?? undefined } }));
    if (bad) ledger.refusal(answer, { status: 401, error: 'use_dpop_nonce', label: `B39 ${label}` });
    if (bad) check(answer.count('dpop-nonce') === 1, `B39 ${label}: DPoP-Nonce`);
  }
  await boundTwin('after');
});

suite.row('A33 a thousand tokens with new kids: at most one fetch in the throttle window', async () => {
  const before = proxy.fetches;
  const base = await door.base();
  const begin = Date.now();
  for (let i = 0; i < 1000; i += 1) {
    const answer = await door.present(base.make({ header: { kid: randomId(32) } }));
    equal(answer.status, 401, answer.text);
  }
  const windows = Math.ceil((Date.now() - begin) / 10000);
  check(proxy.fetches - before <= windows, `${proxy.fetches - before} fetches in ${windows} windows`);
  await twin('after');
});

suite.row('A34 the key server is down: unknown keys are refused, known ones serve on', async () => {
  for (const broken of [{ status: 500, body: 'x' }, { status: 404 }, 'hang up', { body: '{' }, { body: '' }]) {
    proxy.jwks = broken;
    await twin('known keys');
    const stranger = Key.generate('ES256');
    const base = await door.base();
    const token = compact({ ...base.header, kid: stranger.kid }, base.claims, stranger);
    const answer = await door.present(token);
    oneOf(answer.status, [401, 503], `unknown: ${answer.text}`);
  }
  proxy.jwks = null;
});

suite.row('A35 a bad key set is refused as a whole: a guard does not start on it, a running one keeps the old', async () => {
  const good = (await world.daemon.wire().request({ path: '/.well-known/jwks.json' })).json;
  const mine = Key.generate('ES256');
  const listed = { ...mine.registered };
  const bad = [
    ['a symmetric key', { keys: [...good.keys, { kty: 'oct', k: b64u('secret secret secret'), kid: 'x', alg: 'HS256' }, listed] }],
    ['a private key', { keys: [...good.keys, { ...mine.privateKey.export({ format: 'jwk' }), kid: mine.kid, alg: 'ES256' }] }],
    ['one kid for two keys', { keys: [...good.keys, { ...listed, kid: 'x' }, { ...Key.generate('EdDSA').registered, kid: 'x' }] }],
    ['more than 100 keys', { keys: [...good.keys, ...Array.from({ length: 101 }, (_, i) => ({ ...listed, kid: `k${i}` }))] }],
    ['5 MB', { keys: [...good.keys, listed], filler: 'x'.repeat(5000000) }],
    ['no object', [listed]],
  ];
  const base = await door.base();
  const token = compact({ ...base.header, kid: mine.kid }, { ...base.claims, jti: randomId() }, mine);
  for (const [label, set] of bad) {
    proxy.jwks = { body: JSON.stringify(set) };
    const fetched = proxy.fetches;
    const fresh = await Guard.start({ isReady: false });
    await until(() => proxy.fetches > fetched, 'fetched');
    for (let i = 0; i < 5; i += 1) {
      const answer = await fresh.ask(`Bearer ${token}`);
      oneOf(answer.status, [401, 503], `${label}: ${answer.text}`);
      equal((await fresh.wire.request({ path: '/readyz' })).status, 503, `${label}: not ready`);
    }
    await fresh.stop();
  }
  // The running guard fetches again for an unknown kid, once the throttle lets it.
  proxy.jwks = { body: JSON.stringify(bad[0][1]) };
  const fetched = proxy.fetches;
  await until(async () => {
    oneOf((await door.present(token)).status, [401, 503], 'the key of the bad set');
    return proxy.fetches > fetched;
  }, 'a fetch', 15000);
  await wait(100);
  oneOf((await door.present(token)).status, [401, 503], 'the key of the bad set');
  await twin('the old set');
  proxy.jwks = null;
}, { limit_ms: 60000 });

suite.row('B42 the guard restarts: its old nonce is refused with a fresh one, a used proof stays used', async () => {
  const first = await Guard.start();
  const token = (await door.base()).make({ claims: { cnf: { jkt: key.kid } } });
  const old = await first.nonce(token, key);
  const used = proof(key, { method: 'GET', url: RS1, token, nonce: old });
  const ask = (one, dpop) => one.ask(`DPoP ${token}`, { headers: [['DPoP', dpop]] });
  equal((await ask(first, used)).status, 200, 'used');
  await first.process.kill('SIGKILL');
  first.wire.close();
  const second = await Guard.start();
  for (const dpop of [used, proof(key, { method: 'GET', url: RS1, token, nonce: old })]) {
    const answer = await ask(second, dpop);
    equal(answer.status, 401, answer.text);
    oneOf(answer.json.error, ['use_dpop_nonce', 'invalid_dpop_proof'], 'refused');
  }
  const fresh = await second.nonce(token, key);
  equal((await ask(second, proof(key, { method: 'GET', url: RS1, token, nonce: fresh }))).status, 200, 'with a fresh one');
  await second.stop();
  fs.rmSync(first.folder, { recursive: true, force: true });
});

suite.row('the guard: every refusal has exactly one record, no token stands in any', async () => {
  equal((await guard.end()).code, 0, 'stops in order');
  check(ledger.settle(guard).length > 500, 'records');
});

suite.end(async () => {
  await guard.stop();
  proxy.close();
  listener.close();
  await world.daemon.stop();
});
await suite.run();
