// Group K at the guard's own listener, over raw sockets. A hostile question carries a good token and would be allowed if it were
// answered; behind it stands a good one on the same connection. That neither was decided shows in the guard's log.
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Process, program } from '../lib/daemon.mjs';
import { Suite, check, equal, oneOf } from '../lib/tap.mjs';
import { Wire } from '../lib/wire.mjs';
import { RS1, World } from '../lib/world.mjs';

const suite = new Suite('http K at the guard');
const world = await World.start();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
const socketPath = path.join(folder, 'guard.sock');
const token = (await world.CB.token({ scope: 'read' })).json.access_token;
const guard = new Process(program('deputy'), ['guard', 'run', '--resource', RS1, '--issuer', world.issuer, '--client', world.R1.id, '--secret', 'env:GUARD_SECRET',
  '--listen', `unix:${socketPath}`, '--audit', path.join(folder, 'audit'), '--scope', 'read'], { cwd: folder, env: { GUARD_SECRET: world.R1.secret } });
await guard.until(/listens on/, { stream: 'stderr' });
const wire = new Wire({ socketPath });
for (let i = 0; (await wire.request({ path: '/readyz' })).status !== 200; i += 1) {
  if (i > 1000) throw new Error(guard.stderr);
  await new Promise((resolve) => setTimeout(resolve, 10));
}

const host = 'Host: guard';
const asked = ['X-Original-Method: GET', `X-Original-URL: ${RS1}`];
const credentials = `Authorization: Bearer ${token}`;
const bytes = (text) => (Buffer.isBuffer(text) ? text : Buffer.from(text, 'latin1'));
const ask = (lines, { line = 'GET /authz/auth-request HTTP/1.1', payload = '' } = {}) => Buffer.concat([bytes([line, ...lines, '', ''].join('\r\n')), bytes(payload)]);
const good = (more = []) => ask([host, ...asked, credentials, ...more]);
const last = good(['Connection: close']);

function talk(data, limit_ms = 10000) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(socketPath);
    const chunks = [];
    const done = (isClosed) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ isClosed, text: Buffer.concat(chunks).toString('latin1') });
    };
    const timer = setTimeout(() => done(false), limit_ms);
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', (error) => (['ECONNRESET', 'EPIPE'].includes(error.code) ? done(true) : reject(error)));
    socket.on('close', () => done(true));
    socket.on('connect', () => socket.write(data));
  });
}

function records() {
  const log = path.join(folder, 'audit', 'log');
  return fs.readdirSync(log).filter((name) => name.endsWith('.jsonl')).flatMap((name) => fs.readFileSync(path.join(log, name), 'utf8').split('\n').filter(Boolean));
}

// A good question of our own: once its record is there, so is every earlier one.
async function settled() {
  const answer = await wire.request({ path: '/authz/auth-request', headers: [['X-Original-Method', 'GET'], ['X-Original-URL', RS1], ['Authorization', `Bearer ${token}`]] });
  equal(answer.status, 200, `twin: ${answer.text}`);
  const id = answer.header('deputy-decision');
  for (const end = Date.now() + 10000; Date.now() < end;) {
    const all = records();
    if (all.some((line) => line.includes(id))) return all.length;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('no record of the twin');
}

const statuses = (text) => [...text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map((match) => Number(match[1]));

// Each is refused on a connection that closes; nothing is decided, neither it nor what stands behind it. null: closed without a
// word is as good.
function row(name, cases, wanted) {
  suite.row(name, async () => {
    let before = await settled();
    for (const [label, data] of cases) {
      const got = await talk(Buffer.concat([data, last]));
      const [first, ...rest] = statuses(got.text);
      oneOf(first ?? null, wanted, `${label}: ${got.text.slice(0, 120)}`);
      check(got.isClosed && rest.every((status) => status >= 400), `${label}: closed, and no good answer behind it: ${got.text.slice(0, 900)}`);
      check(!/deputy-subject/i.test(got.text), `${label}: no identity`);
      const after = await settled();
      equal(after, before + 1, `${label}: nothing was decided`);
      before = after;
    }
  });
}

const chunked = '1\r\nx\r\n0\r\n\r\n';

row('K01 lengths and codings (guard)', [
  ['both', ask([host, ...asked, credentials, 'Content-Length: 1', 'Transfer-Encoding: chunked'], { payload: chunked })],
  ['the other way', ask([host, ...asked, credentials, 'transfer-encoding: Chunked', 'CONTENT-LENGTH: 1'], { payload: chunked })],
], [400]);
row('K02 K03 lengths that lie (guard)', ['1\r\nContent-Length: 1', '1\r\nContent-Length: 0', '1, 1', '1,2', '', '+1', '-1', '0x1', '1_0', '01', '1Z', '1 1', '18446744073709551617'].map((value) => [value, good([`Content-Length: ${value}`])]), [400, 413, null]);
row('K04 K06 names (guard)', ['Content-Length\t: 1', 'Content-Length : 1', 'Content-Length\x85: 1', 'Content-Length 1', ' Content-Length: 1', ': x', ':', 'nothing', 'Authorization : Bearer x', ' Authorization: Bearer x'].map((line) => [JSON.stringify(line), good([line])]), [400, null]);
row('K07 control characters (guard)', [...[0, 1, 8, 11, 12, 14, 31, 127].map((c) => [`byte ${c}`, good([`X-A: a${String.fromCharCode(c)}b`])]), ['CR', good(['X-A: a\rb'])], ['LF', good(['X-A: a\nX-B: b'])], ['folded', good(['X-A: a', ' b'])]], [400, null]);
row('K08 characters in names (guard)', [...[...'()<>@,;\\"/[]?={} '].map((c) => [c, good([`X${c}A: a`])]), ...[0x80, 0xc3, 0xff].map((c) => [`byte ${c}`, good([`X${String.fromCharCode(c)}A: a`])])], [400]);
row('K10 K11 K14 codings and chunks (guard)', [
  ['twice', good(['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'])],
  ['unknown', good(['Transfer-Encoding: blegh'])],
  ['gzip, chunked', good(['Transfer-Encoding: gzip, chunked'])],
  ['a bad size', ask([host, ...asked, credentials, 'Transfer-Encoding: chunked'], { payload: 'zz\r\n' })],
  ['0x', ask([host, ...asked, credentials, 'Transfer-Encoding: chunked'], { payload: `0x1\r\nx\r\n0\r\n\r\n` })],
], [400, 411, 501]);
row('K16 request lines (guard)', ['GET  /authz/auth-request HTTP/1.1', 'GET\t/authz/auth-request\tHTTP/1.1', 'GET /authz/auth-request', 'GET /authz/auth-request HTTP/9.9', 'GET /authz/auth-request http/1.1', 'GET /authz/auth-request HTTP/1.1 '].map((line) => [line, ask([host, ...asked, credentials], { line })]), [400, 501, 505, null]);
row('K18 hosts (guard)', [['none', ask([...asked, credentials])], ['two', good([host])], ...['a,b', 'a b', 'u@h', 'h:99999', ''].map((value) => [value, ask([`Host: ${value}`, ...asked, credentials])])], [400, null]);

suite.row('K17 K19 spellings of the guard\'s paths are other paths', async () => {
  for (const target of ['//authz/auth-request', '/./authz/auth-request', '/x/../authz/auth-request', '/%61uthz/auth-request', '/authz%2fauth-request', '/authz/auth-request/', '/AUTHZ/auth-request', '/authz/auth-request;a=b', '/authz/auth-request%00']) {
    const got = await talk(ask([host, ...asked, credentials, 'Connection: close'], { line: `GET ${target} HTTP/1.1` }));
    oneOf(statuses(got.text)[0] ?? null, [400, 404, null], `${target}: ${got.text.slice(0, 120)}`);
    check(!/deputy-subject/i.test(got.text), target);
  }
});

suite.row('K25 other words about the request change nothing (guard)', async () => {
  const got = await talk(ask([host, ...asked, credentials, 'X-HTTP-Method-Override: DELETE', 'X-Rewrite-URL: /admin', 'X-Forwarded-Prefix: /admin', 'X-Forwarded-Uri: /admin', 'Connection: close']));
  equal(statuses(got.text), [200], got.text.slice(0, 200));
  const newest = JSON.parse(records().at(-1) ?? '{}');
  await settled();
  const mine = records().map((line) => JSON.parse(line)).filter((one) => one.path === '/admin' || one.method === 'DELETE');
  equal(mine, [], `no record says so (${newest.path})`);
});

suite.row('K28 K29 too many headers, too large ones, bodies over the limit (guard)', async () => {
  for (const [label, data] of [
    ['101 headers', good(Array.from({ length: 120 }, (_, i) => `X-${i}: a`))],
    ['64 kB in one', good([`X-A: ${'a'.repeat(65536)}`])],
    ['a body announced', good(['Content-Length: 10000000000'])],
  ]) {
    const got = await talk(data);
    oneOf(statuses(got.text)[0] ?? null, [400, 413, 431, null], `${label}: ${got.text.slice(0, 120)}`);
    check(got.isClosed, `${label}: closed`);
  }
  await settled();
});

suite.row('K37 every answer has its length, a date, no-store and no version (guard)', async () => {
  for (const data of [last, ask([host, ...asked, 'Connection: close']), ask([host, credentials, 'Connection: close']), ask([host, 'Connection: close'], { line: 'GET /nothing HTTP/1.1' })]) {
    const { text } = await talk(data);
    check(/^content-length: \d+\r$/im.test(text) || / 204 /.test(text), text.slice(0, 200));
    check(/^date: /im.test(text) && /^cache-control: .*no-store/im.test(text), text.slice(0, 300));
    check(!/^server: .*\d/im.test(text), text.slice(0, 300));
  }
});

suite.end(async () => {
  wire.close();
  const exit = guard.exit ?? (await guard.kill('SIGTERM'));
  check(!/Sanitizer|runtime error:/.test(guard.stderr), guard.stderr);
  equal(exit.code, 0, 'stops in order');
  await world.daemon.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});
await suite.run();
