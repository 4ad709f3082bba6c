// Group K: HTTP itself, over raw sockets against the daemon. A hostile request carries good credentials and would be
// answered with a token if it were executed; behind it stands a second good request on the same connection. So that nothing
// was executed shows in the audit log, which must not grow.
import fs from 'node:fs';
import net from 'node:net';
import zlib from 'node:zlib';
import { GRANT, basic } from '../lib/client.mjs';
import { Suite, check, equal, oneOf } from '../lib/tap.mjs';
import { Answer, form } from '../lib/wire.mjs';
import { World } from '../lib/world.mjs';

const suite = new Suite('http K');
const world = await World.start();
const { daemon, CB } = world;
const body = form([['grant_type', GRANT.credentials], ['scope', 'read']]);
const credentials = `Authorization: ${basic(CB.id, CB.secret)}`;
const type = 'Content-Type: application/x-www-form-urlencoded';
const host = `Host: 127.0.0.1:${daemon.port}`;
const length = `Content-Length: ${body.length}`;

const bytes = (text) => (Buffer.isBuffer(text) ? text : Buffer.from(text, 'latin1'));
// A token request of these head lines, in this order.
const post = (lines, payload = body, line = 'POST /oauth/token HTTP/1.1') =>
  Buffer.concat([bytes([line, ...lines, '', ''].join('\r\n')), bytes(payload)]);
const good = (more = []) => post([host, type, credentials, length, ...more]);
const last = good(['Connection: close']);

// Sends bytes on a connection of its own and collects what comes until it is closed.
function talk(data, { port = daemon.port, path = null, limit_ms = 10000, end = false } = {}) {
  return new Promise((resolve, reject) => {
    const socket = path ? net.connect(path) : net.connect(port, '127.0.0.1');
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
    socket.on('connect', () => {
      socket.write(data);
      if (end) socket.end();
    });
  });
}

// The answers in a stream of them.
function answers(text) {
  const found = [];
  for (let rest = text; rest.startsWith('HTTP/1.'); ) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) break;
    const lines = rest.slice(0, end).split('\r\n');
    const headers = lines.slice(1).map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]);
    const size = Number(headers.find(([name]) => name === 'content-length')?.[1] ?? 0);
    found.push(new Answer(Number(lines[0].slice(9, 12)), headers, Buffer.from(rest.slice(end + 4, end + 4 + size), 'latin1')));
    rest = rest.slice(end + 4 + size);
  }
  return found;
}

async function twin(label) {
  const { isClosed, text } = await talk(last);
  const [answer] = answers(text);
  equal([isClosed, answer?.status], [true, 200], `${label}: ${text.slice(0, 300)}`);
  check(answer.json.access_token, `${label}: no token`);
}

// Refused or cut off; closed; neither the request nor the one behind it was executed. No status means a close without a word.
async function refused(data, label, statuses = [400, 411, 501, 505, null]) {
  const before = daemon.audit().length;
  const { isClosed, text } = await talk(Buffer.concat([bytes(data), last]));
  const list = answers(text);
  check(isClosed, () => `${label}: not closed: ${text.slice(0, 300)}`);
  check(list.length <= 1, () => `${label}: more than one answer: ${text.slice(0, 900)}`);
  oneOf(list[0]?.status ?? null, statuses, `${label}: ${text.slice(0, 300)}`);
  if (list.length) equal(list[0].header('connection')?.toLowerCase(), 'close', `${label}: Connection`);
  equal(daemon.audit().length, before, `${label}: something was executed`);
}

// What libmicrohttpd closes before it has a request line to answer, or answers itself from 1.0 on: whitespace where none may be.
const SILENT = [null, 400];
// Bytes that are still being written when the answer comes: the close can reach the writer before the answer does.
const RACING = (status) => [status, null];

// A case: label, bytes, and its own statuses where they are not those of the row.
function row(name, cases, statuses) {
  suite.row(name, async () => {
    await twin('twin before');
    for (const [label, data, own] of cases) await refused(data, label, own ?? statuses);
    await twin('twin after');
  });
}

const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
const base = [host, type, credentials];

row('K01 Content-Length with Transfer-Encoding', [
  ['length first', post([...base, length, 'Transfer-Encoding: chunked'], chunked)],
  ['coding first', post([...base, 'Transfer-Encoding: chunked', length], chunked)],
  ['lower and upper case', post([...base, length.toLowerCase(), 'TRANSFER-ENCODING: CHUNKED'], chunked)],
  ['upper and lower case', post([...base, 'transfer-encoding: Chunked', length.toUpperCase()], chunked)],
], [400]);

row('K02 two lengths', [
  ['equal', post([...base, length, length])],
  ['different', post([...base, length, 'Content-Length: 0'])],
  ['zero first', post([...base, 'Content-Length: 0', length])],
  ['a list of equals', post([...base, `${length}, ${body.length}`])],
  ['a list', post([...base, `${length},6`])],
], [400]);

row(
  'K03 odd lengths',
  ['', `+${body.length}`, `-${body.length}`, `0x${body.length.toString(16)}`, '1_0', `0${body.length}`, `${body.length}Z`, '5 5', '18446744073709551621', '-48', '-0', `${body.length}.0`]
    .map((value) => [`"${value}"`, post([...base, `Content-Length: ${value}`]), /^\d{20}$/.test(value) ? [413] : undefined]),
  [400],
);

row('K04 the colon of Content-Length', [
  ['tab before it', post([...base, length.replace(':', '\t:')])],
  ['blank before it', post([...base, length.replace(':', ' :')])],
  ['0x85 before it', post([...base, length.replace(':', '\x85:')])],
  ['no colon', post([...base, length.replace(':', '')])],
  ['blank before the name', post([...base, ` ${length}`])],
  ['folded', post([...base, length.replace(': ', ':\r\n ')])],
  ['Transfer-Encoding, blank before it', post([...base, 'Transfer-Encoding : chunked'], chunked)],
], [400]);

row('K06 names that are not there', [
  ['empty name', post([...base, ': x', length])],
  ['a colon alone', post([...base, ':', length])],
  ['a colon alone, last', post([...base, length, ':'])],
  ['no colon', post([...base, 'nothing', length])],
], [400]);

row('K07 control characters and line ends', [
  ...[...Array(32).keys(), 127].filter((c) => c !== 9 && c !== 10 && c !== 13)
    .map((c) => [`byte ${c} in a value`, good([`X-A: a${String.fromCharCode(c)}b`])]),
  ['CR in a value', good(['X-A: a\rb'])],
  ['LF between headers', good(['X-A: a\nX-B: b'])],
  ['LF everywhere', Buffer.from(good().toString('latin1').replace(/\r\n/g, '\n'), 'latin1')],
  ['CR everywhere', Buffer.from(good().toString('latin1').replace(/\r\n/g, '\r'), 'latin1'), SILENT],
  ['LF LF at the end', Buffer.from(good().toString('latin1').replace('\r\n\r\n', '\n\n'), 'latin1')],
  ['CR LF LF at the end', Buffer.from(good().toString('latin1').replace('\r\n\r\n', '\r\n\n'), 'latin1')],
  ['NUL at the end of a value', good(['X-A: a\0'])],
  ['NUL in a name', good(['X\0A: a'])],
  ['folded value', good(['X-A: a', ' b'])],
], [400]);

row('K08 characters in names', [
  ...[...'()<>@,;\\"/[]?={} '].map((c) => [`"${c}"`, good([`X${c}A: a`])]),
  ...[0x80, 0x85, 0xa0, 0xc3, 0xff].map((c) => [`byte ${c}`, good([`X${String.fromCharCode(c)}A: a`])]),
  ['X-Invalid[]', good(['X-Invalid[]: a'])],
], [400]);

row('K10 transfer codings', [
  ['twice', post([...base, 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], chunked)],
  ['gzip, chunked', post([...base, 'Transfer-Encoding: gzip, chunked'], chunked)],
  ['chunked, identity', post([...base, 'Transfer-Encoding: chunked, identity'], chunked)],
  ['HTTP/1.0', post([...base, 'Transfer-Encoding: chunked'], chunked, 'POST /oauth/token HTTP/1.0')],
  ['unknown', post([...base, 'Transfer-Encoding: blegh'], chunked)],
  ['vertical tab', post([...base, 'Transfer-Encoding: \x0bchunked'], chunked)],
], [400, 501]);

row(
  'K11 chunk sizes',
  ['', ' 5', '5 ', '+5', '-0', '0x5', '5_', '0_2e', 'FFFFFFFFFFFFFFFFF', '00000000000000000005', '5;a="b']
    .map((size) => [`"${size}"`, post([...base, 'Transfer-Encoding: chunked'], `${size}\r\n${body}\r\n0\r\n\r\n`)]),
  [400, 411],
);

row('K13 chunks that lie, and trailers', [
  ['longer than said', post([...base, 'Transfer-Encoding: chunked'], `1\r\n${body}\r\n0\r\n\r\n`)],
  ['shorter than said', post([...base, 'Transfer-Encoding: chunked'], `fff\r\n${body}\r\n0\r\n\r\n`)],
  ['a byte behind the last', post([...base, 'Transfer-Encoding: chunked'], `${chunked}X`)],
  ['trailers', post([host, type, 'Transfer-Encoding: chunked'], `${chunked.slice(0, -2)}${credentials}\r\nHost: evil\r\nContent-Length: 5\r\n\r\n`)],
], [400, 411]);

row('K14 a bad chunk, then a request', [['zz', post([...base, 'Transfer-Encoding: chunked'], 'zz\r\n')]], [400, 411]);

row('K16 request lines', [
  ...[
    'POST  /oauth/token HTTP/1.1', 'G=":<> /oauth/token HTTP/1.1', 'POST /oauth/token', 'POST /oauth/token HTTP/1.32',
    'POST /oauth/token HTTP/4294967295.255', 'POST /oauth/token HTTP/\r\r1.1', 'POST /oauth/token http/1.1', 'POST /oauth/token HTTP/1.1 ',
  ].map((line) => [line, post([...base, length], body, line)]),
  ...['POST /oauth/token  HTTP/1.1', 'POST\t/oauth/token\tHTTP/1.1', ' POST /oauth/token HTTP/1.1', 'POST /oauth/token x HTTP/1.1']
    .map((line) => [line, post([...base, length], body, line), SILENT]),
  ...['post /oauth/token HTTP/1.1', `${'A'.repeat(10240)} /oauth/token HTTP/1.1`, 'BREW /oauth/token HTTP/1.1', 'TRACE /oauth/token HTTP/1.1']
    .map((line) => [line.slice(0, 60), post([...base, length], body, line), [501]]),
  ...['POST /oauth/token HTTP/9.9', 'POST /oauth/token HTTP/1.2'].map((line) => [line, post([...base, length], body, line), [505]]),
], [400]);

row('K17 targets', [
  ...['*', '!', 'x', '//h/p', 'http://evil/oauth/token', '/oauth/token#f', '/%00', '/%zz', '/oauth/token?%', '//oauth/token']
    .map((target) => [target, post([...base, length], body, `POST ${target} HTTP/1.1`)]),
  ['/oauth NUL /token', post([...base, length], body, 'POST /oauth\0/token HTTP/1.1'), [400, null]], // closed by libmicrohttpd 1.0
  ['64 kB', post([...base, length], body, `POST /${'a'.repeat(65536)} HTTP/1.1`), RACING(414)],
], [400]);

row('K18 hosts', [
  ['none', post([type, credentials, length])],
  ['two', post([host, ...base, length])],
  ...['a,b', 'a\0b', 'a b', 'u@h', 'h:99999', 'h:', '', 'h/p'].map((value) => [`"${value}"`, post([`Host: ${value}`, type, credentials, length])]),
  ['absolute form and another host', post([...base, length], body, 'POST http://other/oauth/token HTTP/1.1')],
], [400]);

// Plain requests from here on, over one connection.
const send = (options) => daemon.wire().request(options);
const token = (headers, payload = body, more = {}) =>
  send({ method: 'POST', path: '/oauth/token', headers: [['Authorization', basic(CB.id, CB.secret)], ...headers], body: payload, ...more });
const FORM = ['Content-Type', 'application/x-www-form-urlencoded'];

suite.row('K19 spellings of /admin on the public listener are not found', async () => {
  await twin('twin before');
  for (const target of ['/admin', '/admin/v1/agents', '/./admin/v1/agents', '/x/../admin/v1/agents', '/admin/..;/v1', '/%61dmin/v1/agents',
    '/admin%2fv1%2fagents', '/admin%5c..', '/admin;a=b', '/admin.', '/ADMIN/v1/agents', '/oauth/../admin/v1/agents', '/admin/v1/agents/',
    '/livez', '/readyz', '/metrics']) {
    const answer = await send({ path: target });
    oneOf(answer.status, [400, 404], `${target}: ${answer.text.slice(0, 200)}`);
  }
  for (const target of ['//admin/v1/agents', '///admin']) equal(answers((await talk(`GET ${target} HTTP/1.1\r\n${host}\r\n\r\n`)).text)[0]?.status, 400, target);
});

const issued = () => daemon.audit().filter((record) => record.event === 'token.issued' && record.outcome === 'allow').length;

suite.row('K19 spellings of /oauth/token are other paths', async () => {
  for (const target of ['/oauth/token/', '/oauth//token', '/oauth/./token', '/oauth/x/../token', '/%6fauth/token', '/oauth%2ftoken', '/oauth/token;a=b', '/oauth/token.', '/OAuth/token', '/oauth/token%20']) {
    const before = issued();
    const answer = await token([FORM], body, { path: target });
    oneOf(answer.status, [400, 404], `${target}: ${answer.text.slice(0, 200)}`);
    equal(issued(), before, target);
  }
  const before = issued();
  equal((await token([FORM])).status, 200, 'the path itself');
  equal(issued(), before + 1, 'and that is what is counted');
});

suite.row('K19 spellings of an admin path on the admin socket are other paths', async () => {
  const get = async (target) => answers((await talk(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`, { path: daemon.socket })).text)[0]?.status;
  equal(await get('/admin/v1/agents'), 200, 'the path itself');
  for (const target of ['//admin/v1/agents', '/./admin/v1/agents', '/x/../admin/v1/agents', '/%61dmin/v1/agents', '/admin%2fv1/agents', '/ADMIN/v1/agents', '/admin/v1/agents;a=b', '/admin/v1//agents'])
    oneOf(await get(target), [400, 404], target);
});

suite.row('K20 form bodies', async () => {
  const cases = [
    ['duplicate grant_type', `${body}&grant_type=client_credentials`, 400],
    ['duplicate scope', `${body}&scope=read`, 400],
    ['duplicate client_id', `${body}&client_id=${CB.id}&client_id=${CB.id}`, 400],
    ['duplicate by another spelling', `${body}&%73cope=read`, 400],
    ['unknown parameter twice', `${body}&a=1&a=2`, 200],
    ['brackets', `${body}&scope[]=admin`, 200],
    ['plus for a blank', 'grant_type=client_credentials&scope=read+write', 200],
    ['%20 for a blank', 'grant_type=client_credentials&scope=read%20write', 200],
    ['%u0041', `${body}&a=%u0041`, 400],
    ['overlong UTF-8', `${body}&a=%C0%AF`, 400],
    ['surrogate', `${body}&a=%ED%A0%80`, 400],
    ['NUL', `${body}&a=%00`, 400],
    ['NUL inside a name', `${body}&scope%00=x`, 400],
    ['empty pieces', `&&&${body}&&`, 200],
    ['a separator alone', '&', 400],
    ['separators alone', '&&&', 400],
    ['nothing', '', 400],
    ['an equals sign', '=', 400],
    ['129 parameters', `${body}&${'a=1&'.repeat(127)}`, 400],
    ['JSON', '{"grant_type":"client_credentials"}', 400],
  ];
  for (const [label, payload, status] of cases) {
    const answer = await token([FORM], payload);
    equal(answer.status, status, `${label}: ${answer.text.slice(0, 200)}`);
    if (status === 400) equal(answer.json.error, 'invalid_request', label);
  }
});

suite.row('K21 media types', async () => {
  const cases = [
    ['application/x-www-form-urlencoded', 200],
    ['Application/X-WWW-FORM-urlencoded', 200],
    ['application/x-www-form-urlencoded; charset=utf-8', 200],
    ['application/x-www-form-urlencoded;charset=UTF-8', 200],
    ['application/x-www-form-urlencoded; charset=utf-16', 400],
    ['application/x-www-form-urlencoded; charset=utf-7', 400],
    ['application/x-www-form-urlencoded; charset=', 400],
    ['application/x-www-form-urlencoded, text/plain', 400],
    ['text/plain', 400],
    ['multipart/form-data; boundary=x', 400],
    ['application/json', 400],
    ['', 400],
  ];
  for (const [value, status] of cases) {
    const answer = await token([['Content-Type', value]]);
    equal(answer.status, status, `${value}: ${answer.text.slice(0, 200)}`);
    if (status === 400) equal(answer.json.error, 'invalid_request', value);
  }
  equal((await token([])).status, 400, 'none');
  equal((await token([FORM, FORM])).status, 400, 'two');
});

suite.row('K22 content codings are not decoded', async () => {
  const bomb = zlib.gzipSync(Buffer.alloc(10 << 20));
  equal((await token([FORM, ['Content-Encoding', 'identity']])).status, 200, 'identity');
  for (const [coding, payload] of [['gzip', bomb], ['gzip', zlib.gzipSync(body)], ['deflate', zlib.deflateSync(body)], ['br', zlib.brotliCompressSync(body)], ['GZIP', zlib.gzipSync(body)]])
    oneOf((await token([FORM, ['Content-Encoding', coding]], payload)).status, [400, 415], coding);
});

suite.row('K25 headers that would change the request are ignored', async () => {
  const made = await daemon.create('resources', { id: 'https://k25.example/', name: 'k25', scopes: ['read'] });
  for (const name of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override']) {
    equal((await daemon.admin('GET', `/resources/${encodeURIComponent(made.id)}`, undefined, { headers: [[name, 'DELETE']] })).status, 200, name);
    equal((await daemon.admin('GET', `/resources/${encodeURIComponent(made.id)}`)).status, 200, `${name}: still there`);
    equal((await token([FORM, [name, 'GET']])).status, 200, `${name} at the token endpoint`);
  }
  for (const name of ['X-Original-URL', 'X-Rewrite-URL', 'X-Forwarded-Prefix', 'X-Forwarded-Uri', 'X-Forwarded-Path']) {
    const answer = await send({ path: '/.well-known/oauth-authorization-server', headers: [[name, '/admin/v1/agents']] });
    equal([answer.status, answer.json.issuer], [200, daemon.issuer], name);
  }
  for (const name of ['X-Forwarded-Host', 'X-Forwarded-Proto', 'Forwarded'])
    equal((await send({ path: '/.well-known/openid-configuration', headers: [[name, 'evil.example']] })).json.issuer, daemon.issuer, name);
});

suite.row('K28 header floods', async () => {
  await twin('twin before');
  for (const [label, more] of [
    ['101 headers', Array.from({ length: 101 }, (_, i) => `X-${i}: a`)],
    ['one of 64 kB', [`X-A: ${'a'.repeat(65536)}`]],
    ['256 kB in all', Array.from({ length: 64 }, (_, i) => `X-${i}: ${'a'.repeat(4096)}`)],
    ['10,000 cookies', Array.from({ length: 10000 }, (_, i) => `Cookie: c${i}=1`)],
  ]) {
    const before = daemon.audit().length;
    const { isClosed, text } = await talk(good(more));
    oneOf(answers(text)[0]?.status ?? null, more.length === 101 ? [431] : RACING(431), `${label}: ${text.slice(0, 200)}`);
    check(isClosed, `${label}: not closed`);
    equal(daemon.audit().length, before, label);
  }
  await twin('twin after');
});

suite.row('K29 bodies at and beyond the limit', async () => {
  const limit = 65536;
  const pad = (size) => `${body}&${'&'.repeat(size - body.length - 1)}`;
  equal((await token([FORM], pad(limit))).status, 200, 'the limit itself');
  const beyond = await talk(post([...base, `Content-Length: ${limit + 1}`, 'Connection: close'], pad(limit + 1)));
  equal(answers(beyond.text)[0]?.status, 413, 'one more');
  const announced = await talk(post([...base, 'Content-Length: 10737418240'], ''));
  equal([announced.isClosed, answers(announced.text)[0]?.status], [true, 413], '10 GB announced');
  const streamed = await talk(post([...base, 'Transfer-Encoding: chunked'], 'fff\r\n'.padEnd(4096, 'a')));
  equal([streamed.isClosed, answers(streamed.text)[0]?.status], [true, 411], 'chunked without end');
  await twin('twin after');
});

suite.row('K32 10,000 pipelined requests, answered in order', async () => {
  const before = daemon.rss_bytes();
  const one = `GET /.well-known/jwks.json HTTP/1.1\r\n${host}\r\n\r\n`;
  const two = `GET /nothing HTTP/1.1\r\n${host}\r\n\r\n`;
  const close = `GET /nothing HTTP/1.1\r\n${host}\r\nConnection: close\r\n\r\n`;
  const { text } = await talk((one + two).repeat(5000) + close, { limit_ms: 50000 });
  const statuses = answers(text).map((answer) => answer.status);
  equal(statuses.length, 10001, 'answers');
  check(statuses.every((status, i) => status === (i % 2 === 0 && i < 10000 ? 200 : 404)), 'the order');
  check(daemon.rss_bytes() - before < 64 << 20, 'memory');
});

suite.row('K32 memory stays flat over many requests', async () => {
  const wire = daemon.wire();
  const many = async (count) => {
    for (let i = 0; i < count; i += 100)
      await Promise.all(Array.from({ length: 100 }, () => wire.request({ path: '/.well-known/jwks.json' })));
  };
  await many(5000);
  const before = daemon.rss_bytes();
  await many(20000);
  wire.close();
  check(daemon.rss_bytes() - before < 8 << 20, () => `grew by ${daemon.rss_bytes() - before} bytes`);
});

suite.row('K33 clients that leave in the middle', async () => {
  const text = good();
  const head = text.indexOf('\r\n\r\n');
  const leave = (data, isReset) =>
    new Promise((resolve) => {
      const socket = net.connect(daemon.port, '127.0.0.1', () => {
        socket.write(data, () => (isReset ? socket.resetAndDestroy() : socket.end()));
      });
      socket.on('error', () => {});
      socket.on('close', resolve);
      socket.resume();
    });
  const fds = () => fs.readdirSync(`/proc/${daemon.pid}/fd`).length;
  await twin('twin before');
  const before = fds();
  for (let i = 0; i < 40; i += 1)
    await Promise.all([26, head + 4, head + 10, text.length].map((end) => leave(text.subarray(0, end), i % 2 === 1)));
  await twin('twin after');
  for (let i = 0; i < 100 && fds() > before + 4; i += 1) await new Promise((resolve) => setTimeout(resolve, 50));
  check(fds() <= before + 4, () => `descriptors: ${before} before, ${fds()} after`);
  // All or nothing: every token that was made stands in the log, and the log is whole JSON.
  check(daemon.audit().length > 0, 'the log');
});

suite.row('K37 what every answer carries', async () => {
  const found = [];
  for (const options of [{ path: '/.well-known/oauth-authorization-server' }, { path: '/.well-known/jwks.json' }, { path: '/nothing' },
    { path: '/oauth/token' }, { method: 'POST', path: '/oauth/introspect', headers: [FORM], body: 'token=x' }])
    found.push([options.path, await send(options)]);
  found.push(['token', await token([FORM])], ['refusal', await token([FORM], 'grant_type=x')]);
  found.push(['framing', answers((await talk('GET / HTTP/1.1\r\n\r\n')).text)[0]]);
  for (const [label, answer] of found) {
    equal(answer.count('server'), 0, `${label}: Server`);
    check(answer.count('date') === 1 && !Number.isNaN(Date.parse(answer.header('date'))), `${label}: Date`);
    equal(Number(answer.header('content-length')), answer.body.length, `${label}: Content-Length`);
    equal(answer.count('x-powered-by'), 0, `${label}: X-Powered-By`);
    if (label !== 'framing') equal(answer.header('x-content-type-options'), 'nosniff', `${label}: nosniff`);
  }
  // Whatever could not be read as HTTP is refused in a body that an OAuth client reads too; nobody decided, so no decision is named.
  for (const [label, data, status] of [
    // A head that libmicrohttpd itself cannot take apart (no Host, a broken length) has its answer, a plain page; this one is ours.
    ['two names for the host', post(['Host: a,b', type, credentials, length]), 400],
    ['no length', post([...base, 'Transfer-Encoding: chunked'], chunked), 411],
    ['a large body', post([...base, 'Content-Length: 10737418240'], ''), 413],
    ['many headers', good(Array.from({ length: 101 }, (_, i) => `X-${i}: a`)), 431],
  ]) {
    const [answer] = answers((await talk(data)).text);
    equal([answer.status, answer.json?.error, answer.json?.status], [status, 'invalid_request', status], `${label}: ${answer.text}`);
    check(answer.json.error_description.length > 5 && answer.json.detail === answer.json.error_description, `${label}: description`);
    equal([answer.header('content-type'), answer.header('cache-control')], ['application/json', 'no-store'], label);
    equal([answer.header('deputy-decision'), answer.json.decision], [null, undefined], `${label}: decision`);
  }
  for (const [label, answer] of found.filter(([label]) => ['token', 'refusal', '/oauth/introspect'].includes(label)))
    equal(answer.header('cache-control'), 'no-store', `${label}: Cache-Control`);
});

// The deadlines of the daemon are long; these wait all at once, beside the rows above.
const slow = {
  silent: Promise.all(Array.from({ length: 200 }, () => talk('', { limit_ms: 70000 }))),
  heads: drip(good().subarray(0, 60), 'a'),
  bodies: drip(post([...base, 'Content-Length: 60000'], ''), 'a'),
};

function drip(start, byte) {
  return new Promise((resolve) => {
    const begin = Date.now();
    const socket = net.connect(daemon.port, '127.0.0.1', () => socket.write(start));
    const timer = setInterval(() => {
      if (Date.now() - begin > 70000) socket.destroy();
      else socket.write(byte);
    }, 500);
    socket.on('error', () => {});
    socket.on('data', () => {});
    socket.on('close', () => {
      clearInterval(timer);
      resolve(Date.now() - begin);
    });
  });
}

suite.row('K31 slow heads and bodies are closed at the deadline', async () => {
  for (const name of ['heads', 'bodies']) {
    const took_ms = await slow[name];
    check(took_ms < 60000, () => `${name}: ${took_ms} ms`);
  }
  await twin('twin after');
}, { limit_ms: 80000 });

suite.row('K34 connections without a byte are closed at the idle deadline', async () => {
  const list = await slow.silent;
  equal(list.filter(({ isClosed, text }) => isClosed && text === '').length, 200, 'closed');
  await twin('twin after');
}, { limit_ms: 80000 });

suite.end(() => daemon.stop());
await suite.run();
