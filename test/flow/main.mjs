// The main job over loopback: three agents, bound tokens, delegation, the cut, the audit log; then the daemon's own behaviour.
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { jose } from '../interop/packages.mjs';
import { Daemon, Process, program } from '../lib/daemon.mjs';
import { Key, decode } from '../lib/forge.mjs';
import { Suite, check, equal, oneOf, skip } from '../lib/tap.mjs';
import { freePort } from '../lib/wire.mjs';
import { RS1, World } from '../lib/world.mjs';

const suite = new Suite('flow');
const world = await World.start();
const { daemon } = world;
const claimsOf = (token) => decode(token).claims;
const temporary = () => fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Waits until `probe` gives something, asking often.
async function until(probe, what, limit_ms = 10000) {
  const end = Date.now() + limit_ms;
  for (;;) {
    const got = await probe();
    if (got) return got;
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await wait(20);
  }
}

suite.row('an orchestrator delegates to a worker, the worker to a helper, each with its own key', async () => {
  const keys = { root: Key.generate('ES256'), worker: Key.generate('EdDSA'), helper: Key.generate('ES256') };
  const root = world.CB.withDpop(keys.root);
  const worker = world.CW.withDpop(keys.worker);
  const helper = world.CP.withDpop(keys.helper);

  const first = await root.token({ audience: world.worker.id, scope: 'read list', task_id: 'trip-1', human_instruction: 'plan my trip' });
  equal([first.status, first.json.token_type], [200, 'DPoP'], 'the root token');
  const t1 = claimsOf(first.json.access_token);
  equal([t1.sub, t1.aud.toString(), t1.act, t1.lineage, t1.task_id], [world.orchestrator.id, world.worker.id, undefined, undefined, 'trip-1'], 'root');
  equal([t1.agent_name, t1.agent_version, t1.org_id, t1.cnf.jkt], ['orchestrator', '1.2', 'org1', keys.root.kid], 'who');
  equal(decode(first.json.access_token).header.typ, 'at+jwt', 'typ');

  const second = await worker.exchange(first.json.access_token, { audience: world.helper.id, scope: 'read', task_id: 'trip-1.1', parent_task_id: 'trip-1' });
  equal([second.status, second.json.token_type], [200, 'DPoP'], second.text);
  const t2 = claimsOf(second.json.access_token);
  equal([t2.sub, t2.act, t2.task_id, t2.parent_task_id], [world.orchestrator.id, { sub: world.worker.id }, 'trip-1.1', 'trip-1'], 'second');
  equal([t2.lineage, t2.cnf.jkt, t2.scope], [[t1.jti], keys.worker.kid, 'read'], 'second');

  const third = await helper.exchange(second.json.access_token, { resource: RS1, scope: 'read', task_id: 'trip-1.1.1' });
  equal(third.status, 200, third.text);
  const t3 = claimsOf(third.json.access_token);
  equal(t3.act, { sub: world.helper.id, act: { sub: world.worker.id } }, 'act');
  equal([t3.sub, t3.lineage, t3.aud.toString()], [world.orchestrator.id, [t2.jti, t1.jti], RS1], 'third');
  equal([t3.task_id, t3.parent_task_id, t3.cnf.jkt], ['trip-1.1.1', 'trip-1.1', keys.helper.kid], 'third');
  check(t3.exp <= t2.exp && t2.exp <= t1.exp, 'lifetimes only shrink');
  equal(third.json.issued_token_type, 'urn:ietf:params:oauth:token-type:access_token', 'issued_token_type');

  const seen = (await world.R1.introspect(third.json.access_token)).json;
  equal([seen.active, seen.act, seen.cnf, seen.token_type], [true, t3.act, { jkt: keys.helper.kid }, 'DPoP'], 'introspection');

  for (const [label, answer, error] of [
    ['more scope than handed over', await worker.exchange(first.json.access_token, { resource: RS1, scope: 'read write' }), 'invalid_scope'],
    ['more than the own ceiling', await worker.token({ resource: RS1, scope: 'write' }), 'invalid_scope'],
    ['a resource outside the ceiling', await worker.token({ resource: 'https://rs3.example/', scope: 'read' }), 'invalid_target'],
    ['a token that was not handed to it', await helper.exchange(first.json.access_token, { resource: RS1 }), 'invalid_request'],
    ['another task as parent', await worker.exchange(first.json.access_token, { resource: RS1, scope: 'read', task_id: 'x', parent_task_id: 'other' }), 'invalid_request'],
  ]) {
    equal([answer.status, answer.json.error], [400, error], label);
    check(!('access_token' in answer.json), `${label}: nothing is narrowed silently`);
  }

  const records = daemon.audit();
  const story = [first, second, third].map((answer) => records.find((record) => record.id === answer.header('deputy-decision')));
  equal(story.map((record) => record.chain), [[world.orchestrator.id], [world.worker.id, world.orchestrator.id], [world.helper.id, world.worker.id, world.orchestrator.id]], 'the audit log');
  equal(story.map((record) => record.task), ['trip-1', 'trip-1.1', 'trip-1.1.1'], 'tasks');
  check(/^[0-9a-f]{64}$/.test(story[0].instruction), 'the instruction by its hash');

  const explained = (await daemon.admin('GET', `/decisions/${third.header('deputy-decision')}`, undefined, { want: 200 })).json;
  check(JSON.stringify(explained).includes('subject_owner'), 'the decision names its checks');
  world.chain = { first, second, third, root };
});

suite.row('D26 the orchestrator is banned: the whole chain is dead within a second', async () => {
  const { first, second, third, root } = world.chain;
  const tokens = [first, second, third].map((answer) => answer.json.access_token);
  for (const token of tokens) equal((await world.RX.introspect(token)).json.active, true, 'alive');
  const begin = Date.now();
  await daemon.admin('POST', `/agents/${world.orchestrator.id}/ban`, {}, { want: 200 });
  for (const token of tokens) equal((await world.RX.introspect(token)).text, '{"active":false}', 'dead');
  check(Date.now() - begin < 1000, 'within a second');
  equal((await root.token({ scope: 'read' })).json.error, 'invalid_client', 'no new token');
  equal((await world.CW.exchange(tokens[0], { resource: RS1 })).status, 400, 'no exchange');
  const banned = daemon.audit().filter((record) => record.target === world.orchestrator.id && /ban/.test(record.event));
  equal(banned.length, 1, 'the ban is on record');
});

suite.row('the revocation feed tells a guard at once', async () => {
  const token = await world.CW.get({ scope: 'read' });
  const guard = world.R1.over(daemon.wire());
  const [headers] = guard.credentials();
  const feed = (after) => guard.wire.request({ path: `/revocations?after=${after}`, headers });
  const begin = await feed(0);
  equal(begin.status, 200, begin.text);
  equal(begin.header('content-type'), 'application/revocations+jwt', 'media type');
  const keys = jose.createLocalJWKSet((await daemon.wire().request({ path: '/.well-known/jwks.json' })).json);
  const open = async (answer) =>
    (await jose.jwtVerify(answer.text, keys, { typ: 'revocations+jwt', issuer: daemon.issuer, maxTokenAge: '10s' })).payload;
  const first = await open(begin);
  check(Number.isInteger(first.version) && first.full === true, `a version: ${JSON.stringify(first).slice(0, 300)}`);
  const waiting = feed(first.version);
  const cut = Date.now();
  await world.CW.revoke(token);
  const told = await waiting;
  check(Date.now() - cut < 1000, `told after ${Date.now() - cut} ms`);
  const news = await open(told);
  equal([news.full, news.version], [false, first.version + 1], 'a delta');
  equal(news.entries.map((entry) => entry.id), [claimsOf(token).jti], 'of one entry');
  check(news.entries[0].before >= claimsOf(token).iat, 'that covers the token');
  guard.wire.close();
});

suite.row('A64 A65 keys: prepared, active, retired, tainted', async () => {
  const jwks = async () => (await daemon.wire().request({ path: '/.well-known/jwks.json' })).json.keys.map((key) => key.kid);
  const state = async (kid) => (await daemon.admin('GET', '/keys', undefined, { want: 200 })).json.items.find((key) => key.kid === kid).state;
  const mint = () => world.CW.get({ scope: 'read' });
  const old = await mint();
  const k1 = decode(old).header.kid;
  const { kid: k2 } = (await daemon.admin('POST', '/keys', { alg: 'ES256' }, { want: 201 })).json;
  equal([await state(k1), await state(k2)], ['active', 'prepared'], 'prepared');
  check((await jwks()).includes(k2), 'a prepared key is published before it signs');
  equal(decode(await mint()).header.kid, k1, 'and does not sign yet');
  await daemon.admin('POST', `/keys/${k2}/activate`, {}, { want: 200 });
  const young = await mint();
  equal(decode(young).header.kid, k2, 'active');
  equal(await state(k1), 'retired', 'the one before is retired');
  check((await jwks()).includes(k1), 'a retired key is published as long as its tokens live');
  equal((await world.R1.introspect(old)).json.active, true, 'A64 its tokens live');
  await daemon.admin('POST', `/keys/${k1}/taint`, {}, { want: 200 });
  equal((await world.R1.introspect(old)).json.active, false, 'A65 tainted: dead at once');
  equal((await world.CW.exchange(old, { resource: RS1 })).json.error, 'invalid_request', 'A65 not a subject either');
  check(!(await jwks()).includes(k1), 'A65 not published');
  equal((await world.R1.introspect(young)).json.active, true, 'the others live');
  await daemon.restart();
  equal([await state(k1), await state(k2)], ['tainted', 'active'], 'the same after a restart');
  equal((await world.R1.introspect(old)).json.active, false, 'still dead');
  equal((await world.R1.introspect(young)).json.active, true, 'still alive');
  const last = (await daemon.admin('POST', `/keys/${k2}/taint`, {}, { want: 200 })).json;
  equal(await state(last.replacement), 'active', 'the last key is tainted: a new one takes its place');
  equal((await world.R1.introspect(young)).json.active, false, 'dead at once');
  const after = await mint();
  equal([decode(after).header.kid, (await world.R1.introspect(after)).json.active], [last.replacement, true], 'the new one signs');
  for (const verb of ['activate', 'retire']) equal((await daemon.admin('POST', `/keys/${k2}/${verb}`, {})).status, 409, `a tainted key: ${verb}`);
});

suite.row('a restart keeps agents, clients, resources, keys, revocations', async () => {
  const dead = await world.CW.get({ scope: 'read' });
  const alive = await world.CW.get({ scope: 'read' });
  await world.CW.revoke(dead);
  const dump = async () => {
    const out = {};
    for (const name of ['agents', 'clients', 'resources', 'keys', 'revocations']) out[name] = (await daemon.admin('GET', `/${name}`, undefined, { want: 200 })).json.items.map((item) => JSON.stringify(item)).sort();
    return out;
  };
  const before = await dump();
  check(before.agents.length >= 4 && before.clients.length >= 10, 'records');
  for (const signal of ['SIGTERM', 'SIGKILL']) {
    await daemon.restart(signal);
    equal(await dump(), before, signal);
    equal((await world.R1.introspect(dead)).json.active, false, 'dead');
    equal((await world.R1.introspect(alive)).json.active, true, 'alive');
  }
  check(daemon.ready_ms < (process.env.DEPUTY_SANITIZER ? 5000 : 500), `ready after ${daemon.ready_ms.toFixed(0)} ms`);
});

suite.row('TERM drains: what is under way is answered, the process ends with 0', async () => {
  const wires = Array.from({ length: 32 }, () => daemon.wire());
  const flying = [];
  let sent = 0;
  const load = wires.map(async (wire) => {
    for (;;) {
      sent += 1;
      const one = world.CW.over(wire).token({ scope: 'read' });
      flying.push(one);
      const answer = await one.catch(() => null);
      if (!answer || answer.status !== 200) return answer;
    }
  });
  await until(() => sent > 300, 'load');
  const exit = await daemon.down('SIGTERM');
  equal(exit, { code: 0, signal: null }, 'exit');
  const ends = await Promise.all(load);
  for (const answer of ends) if (answer) oneOf(answer.status, [503], answer.text);
  const answers = (await Promise.allSettled(flying)).filter((one) => one.status === 'fulfilled' && one.value.status === 200);
  check(answers.length > 200, 'answers');
  const known = new Set(daemon.audit().map((record) => record.jti));
  for (const { value } of answers) check(known.has(claimsOf(value.json.access_token).jti), 'an answer without a record');
  await daemon.up();
  equal((await world.CW.token({ scope: 'read' })).status, 200, 'up again');
});

suite.row('HUP takes a good file and keeps the old one when the new one is bad', async () => {
  const lifetime = async () => (await world.CW.token({ scope: 'read' })).json.expires_in;
  equal(await lifetime(), 300, 'before');
  daemon.writeConfig({ ...daemon.config, access_token_lifetime_s: 120 });
  daemon.process.child.kill('SIGHUP');
  await until(async () => (await lifetime()) === 120, 'the new lifetime');
  const said = () => daemon.process.stdout + daemon.process.stderr;
  const mark = said().length;
  daemon.writeConfig({ ...daemon.config, access_token_lifetime_s: 60, isuer: 'x' });
  daemon.process.child.kill('SIGHUP');
  await until(() => /isuer.*issuer/.test(said()), 'a message with a suggestion');
  check(said().length > mark, 'a message');
  equal(await lifetime(), 120, 'the old one is kept');
  daemon.writeConfig({ ...daemon.config, issuer: 'https://other.example' });
  const again = said().length;
  daemon.process.child.kill('SIGHUP');
  await until(() => said().length > again, 'a message');
  equal(await lifetime(), 120, 'the issuer does not change while running');
  daemon.writeConfig(daemon.config);
  daemon.process.child.kill('SIGHUP');
  await until(async () => (await lifetime()) === 300, 'back');
});

// Starts with a configuration that must be refused; gives exit and output.
async function refusedStart(config, prepare = () => {}) {
  const dir = temporary();
  const file = path.join(dir, 'deputyd.yaml');
  const port = await freePort();
  const all = { issuer: `http://127.0.0.1:${port}`, listen: `127.0.0.1:${port}`, data_dir: path.join(dir, 'data'), ...config(dir, port) };
  fs.writeFileSync(file, Object.entries(all).filter(([, value]) => value !== undefined).map(([key, value]) => `${key}: ${value}\n`).join(''));
  prepare(dir);
  const child = new Process(program('deputyd'), ['--config', file], { cwd: dir });
  const timer = setTimeout(() => child.kill('SIGKILL'), 10000);
  const exit = await child.ended;
  clearTimeout(timer);
  fs.rmSync(dir, { recursive: true, force: true });
  return { exit, output: child.stdout + child.stderr };
}

suite.row('a configuration that is wrong is refused with file, line and a suggestion', async () => {
  const typo = await refusedStart(() => ({ isuer: 'x' }));
  check(typo.exit.code > 0, JSON.stringify(typo.exit));
  check(/deputyd\.yaml:\d+: .*isuer.*issuer/.test(typo.output), typo.output);
  for (const [label, config] of [
    ['http beyond loopback', () => ({ issuer: 'http://as.example' })],
    ['a slash at the end', (dir, port) => ({ issuer: `http://127.0.0.1:${port}/` })],
    ['a query', (dir, port) => ({ issuer: `http://127.0.0.1:${port}?x` })],
    ['no issuer', () => ({ issuer: undefined })],
    ['no data_dir', () => ({ data_dir: undefined })],
    ['a lifetime of text', () => ({ access_token_lifetime_s: 'long' })],
    ['a lifetime of a year', () => ({ access_token_lifetime_s: 31536000 })],
    ['no workers', () => ({ workers: -1 })],
    ['an address that is none', () => ({ listen: 'nowhere' })],
    ['an algorithm that is none', () => ({ signing_alg: 'HS256' })],
  ]) {
    const { exit, output } = await refusedStart(config);
    check(exit.code > 0, `${label}: ${JSON.stringify(exit)} ${output}`);
    check(output.trim().length > 10, `${label}: says nothing`);
  }
});

suite.row('A61 a key file that is short, a placeholder, or open to others is refused', async () => {
  const withFile = (bytes, mode) => refusedStart(
    (dir) => ({ key_encryption_key_file: path.join(dir, 'kek') }),
    (dir) => {
      fs.writeFileSync(path.join(dir, 'kek'), bytes);
      fs.chmodSync(path.join(dir, 'kek'), mode);
    },
  );
  for (const [label, bytes, mode] of [
    ['short', Buffer.alloc(31, 7), 0o600],
    ['changeme', 'changeme', 0o600],
    ['empty', '', 0o600],
    ['long', Buffer.alloc(65, 7), 0o600],
    ['readable by the group', Buffer.from(Key.generate('ES256').jwk.x, 'base64url'), 0o640],
    ['readable by all', Buffer.from(Key.generate('ES256').jwk.x, 'base64url'), 0o644],
  ]) {
    const { exit, output } = await withFile(bytes, mode);
    check(exit.code > 0, `${label}: ${JSON.stringify(exit)}`);
    check(/kek|key/.test(output), `${label}: ${output}`);
  }
  const missing = await refusedStart((dir) => ({ key_encryption_key_file: path.join(dir, 'none-such') }));
  check(missing.exit.code > 0, 'missing');
});

suite.row('with a key file the signing keys are sealed; without the file they do not open', async () => {
  const dir = temporary();
  const kek = path.join(dir, 'kek');
  fs.writeFileSync(kek, Buffer.from(Key.generate('ES256').jwk.x, 'base64url'), { mode: 0o600 });
  const sealed = await Daemon.start({ dir, config: { key_encryption_key_file: kek } });
  equal((await sealed.wire().request({ path: '/.well-known/jwks.json' })).status, 200, 'up');
  await sealed.down();
  for (const name of fs.readdirSync(sealed.data, { recursive: true })) {
    const file = path.join(sealed.data, name);
    if (!fs.statSync(file).isFile()) continue;
    const mode = fs.statSync(file).mode & 0o077;
    check(mode === 0 || /key\.pub|checkpoint/.test(name), `${name}: mode ${mode.toString(8)}`);
  }
  await sealed.up();
  await sealed.down();
  fs.writeFileSync(kek, Buffer.from(Key.generate('ES256').jwk.x, 'base64url'));
  const other = await sealed.up().then(() => null, (error) => error);
  check(other, 'another key does not open them');
  await sealed.process.ended;
  sealed.writeConfig({ ...sealed.config, key_encryption_key_file: undefined });
  fs.writeFileSync(sealed.configFile, fs.readFileSync(sealed.configFile, 'utf8').replace(/^key_encryption.*\n/m, ''));
  const none = await sealed.up().then(() => null, (error) => error);
  check(none, 'nor does none');
  await sealed.process.ended;
  fs.rmSync(dir, { recursive: true, force: true });
});

suite.row('a data directory that others may read or write is refused', async () => {
  const dir = temporary();
  const one = await Daemon.start({ dir });
  equal(fs.statSync(one.data).mode & 0o077, 0, 'made private');
  equal(fs.statSync(path.join(one.data, 'deputy.db')).mode & 0o077, 0, 'the store is private');
  await one.down();
  fs.chmodSync(path.join(one.data, 'deputy.db'), 0o644);
  const loose = await one.up().then(() => null, (error) => error);
  check(loose, 'a store that others may read holds keys: refused');
  check(/deputy\.db|0600|mode|permission/i.test(loose.message), loose.message);
  await one.process.ended;
  fs.chmodSync(path.join(one.data, 'deputy.db'), 0o600);
  await one.up();
  await one.down();
  fs.rmSync(dir, { recursive: true, force: true });
});

suite.row('a second daemon on the same data or port does not start, the first goes on', async () => {
  const second = await Daemon.start({ dir: daemon.dir, port: daemon.port }).then((started) => started, (error) => error);
  check(second instanceof Error, 'the same data');
  check(/deputy\.db: .*if another deputyd uses this data_dir/.test(second.message), () => `it says why: ${second.message}`);
  check((await world.CW.token({ scope: 'read' })).status === 200, 'the first goes on');
  equal((await daemon.admin('GET', '/agents')).status, 200, 'its admin socket too');
});

function isTaken(port) {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.on('error', () => resolve(true));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(false)));
  });
}

suite.row('--dev: no configuration, data in ./deputy-data, port 8693', async () => {
  const dir = temporary();
  // --dev has one port. Where somebody else holds it the row can show nothing, and says so.
  if (await isTaken(8693)) {
    fs.rmSync(dir, { recursive: true, force: true });
    skip('port 8693 is taken on this machine');
  }
  const child = new Process(program('deputyd'), ['--dev'], { cwd: dir });
  const [first] = await child.until(/^deputyd ready.*\n/m);
  check(/http:\/\/127\.0\.0\.1:8693/.test(first), first);
  equal(child.stdout.split('\n').filter(Boolean).length, 1, 'one line');
  check(fs.existsSync(path.join(dir, 'deputy-data', 'deputy.db')), 'the store');
  check(fs.existsSync(path.join(dir, 'deputy-data', 'admin.sock')), 'the socket');
  equal(await child.kill('SIGTERM'), { code: 0, signal: null }, 'exit');
  fs.rmSync(dir, { recursive: true, force: true });
});

suite.row('the command line is refused when it makes no sense', async () => {
  for (const args of [[], ['--none-such'], ['--config'], ['--config', '/none/such.yaml'], ['--dev', 'x'], ['--dev', '--config', 'x']]) {
    const child = new Process(program('deputyd'), args, { cwd: daemon.dir });
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
    const exit = await child.ended;
    clearTimeout(timer);
    check(exit.code > 0, `${args.join(' ')}: ${JSON.stringify(exit)}`);
    check(child.stderr.length > 10, 'says why');
  }
});

suite.row('no secret, token or instruction was written by the daemon', async () => {
  const text = daemon.artefacts();
  for (const secret of world.planted) check(!text.includes(secret), 'a client secret');
  check(!text.includes('plan my trip'), 'the instruction');
  check(!/eyJ[A-Za-z0-9_-]{20,}\.eyJ/.test(text), 'a JWT');
  equal(await daemon.wire().request({ path: '/audit/checkpoint' }).then((answer) => answer.status), 200, 'the checkpoint');
});

suite.end(() => daemon.stop());
await suite.run();
