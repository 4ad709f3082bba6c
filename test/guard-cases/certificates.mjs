// Tokens that are bound to a client certificate (RFC 8705 section 3), through every way to the guard: real TLS, real certificates. The
// certificate of the connection counts and nothing that a caller writes (oauth.md T3, T6; attack group O: a header that anybody may send).
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import http2 from 'node:http2';
import os from 'node:os';
import path from 'node:path';
import { Authority, hasOpenssl } from '../lib/authority.mjs';
import { Client } from '../lib/client.mjs';
import { b64u, decode, sha256 } from '../lib/forge.mjs';
import { Suite, check, equal, skip } from '../lib/tap.mjs';
import { RS1, World } from '../lib/world.mjs';
import { direct } from './all.mjs';
import { envoy, traefik } from './contracts.mjs';
import { libdeputyTls } from './library.mjs';
import { Material } from './material.mjs';
import { Api, Guard, bytesOf, caddy, haproxy, nginx, nginxModule, until } from './ways.mjs';

const suite = new Suite('guard certificates');
if (!hasOpenssl) {
  suite.row('certificates', () => skip('openssl is not installed'));
  await suite.run();
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
const authority = new Authority(folder, 'ca');
const server = authority.leaf('DNS:rs1.example');
const file = path.join(folder, 'server.pem');
fs.writeFileSync(file, server.cert + server.key, { mode: 0o600 });

// Self-signed, of nobody's authority: what counts is the key. `expired` is past its time: that is for whoever ends TLS to mind.
const clients = Object.fromEntries(['mine', 'other'].map((name) => {
  const made = authority.issue(name, { isSelf: true });
  return [name, { tls: { cert: made.cert, key: made.key }, der: new X509Certificate(made.cert).raw, pem: made.cert }];
}));
const header = (name) => `:${clients[name].der.toString('base64')}:`;
const escaped = (name) => encodeURIComponent(clients[name].pem);
const x5t = b64u(sha256(clients.mine.der));
const tls = { file, client: { ca: authority.pem, servername: 'rs1.example' } };

const PROXY = '127.0.0.9'; // the address from which deputyd takes Client-Cert
const world = await World.start({ config: { client_certificates: 'proxy', client_certificates_from: `[${PROXY}]` } });
const material = await Material.make(world);
const guard = await Guard.start(world, { args: ['--client-cert'] });
const plain = await Guard.start(world);
const api = await Api.start();

suite.end(async () => {
  await guard.stop();
  await plain.stop();
  await api.close();
  await world.daemon.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

// as: whose certificate the connection has; said: values of Client-Cert that the caller writes; free: an unbound token.
const CASES = [
  { name: 'its certificate', as: 'mine', status: 200 },
  { name: 'no certificate', status: 401 },
  { name: 'another\'s certificate', as: 'other', status: 401 },
  { name: 'no certificate, and the header of the right one', said: [header('mine')], status: 401 },
  { name: 'no certificate, and the right one as nginx would write it', said: [escaped('mine')], status: 401 },
  { name: 'another\'s certificate, and the header of the right one', as: 'other', said: [header('mine')], status: 401 },
  { name: 'no certificate, and the header twice', said: [header('mine'), header('mine')], status: 401 },
  { name: 'its certificate, and the header of another', as: 'mine', said: [header('other')], status: 200 },
  { name: 'its certificate, and rubbish twice', as: 'mine', said: ['rubbish', '::'], status: 200 },
  { name: 'an unbound token with a certificate', as: 'other', free: true, status: 200 },
  { name: 'an unbound token without one', free: true, status: 200 },
];

const tokenOf = (one) => material.token(one.free ? {} : { x5t: one.x5t ?? x5t }, 'read');
const requestOf = (one, token) => ({
  method: 'GET', path: '/api/items', host: 'rs1.example', body: null, isChunked: false,
  headers: [['Authorization', `Bearer ${token}`], ...(one.said ?? []).map((value) => ['Client-Cert', value])],
});

function checkAnswer(answer, one, label) {
  equal(answer.status, one.status, `${label}: ${answer.text}`);
  if (one.status !== 401) return;
  const line = answer.header('www-authenticate');
  check(/^Bearer error="invalid_token", error_description="[^"]*bound to a client certificate/.test(line) && !line.includes('DPoP'), () => `${label}: ${line}`);
  equal([answer.json?.status, answer.json?.error], [401, 'invalid_token'], `${label}: ${answer.text}`);
}

async function ask(way, one, token, label) {
  const answer = await way.send(requestOf(one, token), one.as ? clients[one.as].tls : {});
  const seen = way.take();
  checkAnswer(answer, one, label);
  equal(seen.length, one.status === 200 ? 1 : 0, `${label}: what reached the API`);
  if (seen[0]?.isWhole) equal(seen[0].headers['client-cert'], undefined, `${label}: the API was told of a certificate by the caller`);
}

const secure = () => [nginx(), nginxModule(), caddy(), haproxy(), envoy(), libdeputyTls()];
for (const way of secure()) {
  let isUp = false;

  suite.row(`${way.name} with TLS: starts`, async () => {
    if (way.missing) skip(way.missing);
    await way.start({ guard, api, tls });
    isUp = true;
    way.take();
    equal(await way.probe([['Authorization', 'Bearer x']]), 401, 'it refuses over TLS');
  });
  for (const one of CASES)
    suite.row(`T3 T6 ${way.name}: ${one.name}`, async () => {
      if (!isUp) skip('not up');
      const token = tokenOf(one);
      await ask(way, one, token, 'a new token');
      await ask(way, { ...one, as: 'mine', said: [], status: 200 }, token, 'its own certificate');
      await ask(way, one, token, 'a token from the cache'); // attack case A68
    });
  suite.row(`T3 ${way.name}: a session that is taken up again keeps its certificate`, async () => {
    if (!isUp) skip('not up');
    const token = tokenOf({});
    const first = way.wire(clients.mine.tls);
    first.open();
    const session = new Promise((resolve) => { first.socket.once('session', resolve); });
    equal((await first.raw(bytesOf(requestOf({}, token)))).status, 200, 'the first connection');
    const second = way.wire({ session: await session });
    second.open();
    let isReused = null;
    second.socket.once('secureConnect', function note() { isReused = this.isSessionReused(); });
    // Who holds the session holds what the handshake with the key made; who begins a new one has to show the key again.
    const answer = await second.raw(bytesOf(requestOf({}, token)));
    equal([answer.status, isReused], [200, true], 'the second connection');
    for (const wire of [first, second]) wire.close();
    way.take();
  });
  suite.row(`T5 ${way.name}: the metadata says that such tokens are taken`, async () => {
    if (!isUp) skip('not up');
    const wire = way.wire();
    const answer = await wire.request({ path: '/.well-known/oauth-protected-resource/api', host: 'rs1.example' });
    wire.close();
    equal(answer.json?.tls_client_certificate_bound_access_tokens, true, answer.text);
  });
  suite.end(() => (isUp ? way.stop() : undefined));
}

// Without TLS nobody has a certificate, whatever is said.
for (const way of [nginx(), nginxModule(), caddy(), haproxy(), envoy(), traefik()]) {
  suite.row(`T6 ${way.name} without TLS: a header of the caller's is none`, async () => {
    if (way.missing) skip(way.missing);
    await way.start({ guard, api });
    try {
      way.take();
      for (const said of [[], [header('mine')], [escaped('mine')], [header('mine'), header('mine')]]) {
        const token = tokenOf({});
        for (const time of ['first', 'second']) await ask(way, { said, status: 401 }, token, `${said.length} headers, ${time}`);
      }
      await ask(way, { said: [header('mine')], free: true, status: 200 }, tokenOf({ free: true }), 'unbound');
    } finally {
      await way.stop();
    }
  });
}

suite.row('T6 haproxy with TLS before a guard that is not told of certificates', async () => {
  const way = haproxy();
  if (way.missing) skip(way.missing);
  await way.start({ guard: plain, api, tls });
  try {
    way.take();
    for (const as of ['mine', null]) await ask(way, { as, status: 401 }, tokenOf({}), `${as}`);
    await ask(way, { as: 'mine', free: true, status: 200 }, tokenOf({ free: true }), 'unbound');
  } finally {
    await way.stop();
  }
});

suite.row('T3 A68 nginx-module with workers that share what they know of tokens', async () => {
  const way = nginxModule({ workers: 3 });
  if (way.missing) skip(way.missing);
  await way.start({ guard, api, tls });
  try {
    const token = tokenOf({});
    const all = (as) => Promise.all(Array.from({ length: 24 }, () => way.send(requestOf({}, token), as ? clients[as].tls : {})));
    // Each worker is ready when none of many answers is trouble.
    await until(async () => (await all('mine')).every(({ status }) => status === 200), 'all workers');
    way.take();
    for (const [as, status] of [[null, 401], ['other', 401], ['mine', 200], [null, 401]]) {
      equal([...new Set((await all(as)).map((answer) => answer.status))], [status], `${as}`);
      equal(way.take().length, status === 200 ? 24 : 0, `${as}: what reached the API`);
    }
  } finally {
    await way.stop();
  }
});

// Streams of one connection have its certificate, each of them.
suite.row('T3 nginx-module over HTTP/2: many requests at once on one connection', async () => {
  const way = nginxModule({ edit: (text) => text.replace(/(listen .* ssl);/, '$1 http2;') });
  if (way.missing) skip(way.missing);
  await way.start({ guard, api, tls });
  const ask2 = (session, token, said = []) => new Promise((resolve, reject) => {
    const stream = session.request({ ':path': '/api/items', ':authority': 'rs1.example', authorization: `Bearer ${token}`, ...(said.length ? { 'client-cert': said } : {}) });
    stream.on('response', (headers) => resolve(headers[':status'])).on('error', reject).resume();
  });
  try {
    way.take();
    const token = tokenOf({});
    for (const [as, said, status] of [['mine', [], 200], [null, [], 401], [null, [header('mine')], 401], ['other', [header('mine')], 401], ['mine', [header('other')], 200]]) {
      const session = http2.connect(`https://127.0.0.1:${way.port}`, { ...tls.client, ...(as ? clients[as].tls : {}) });
      const got = await Promise.all(Array.from({ length: 8 }, () => ask2(session, token, said)));
      session.close();
      equal([...new Set(got)], [status], `${as}, ${said.length} headers`);
      equal(way.take().length, status === 200 ? 8 : 0, `${as}: what reached the API`);
    }
  } finally {
    await way.stop();
  }
});

suite.row('T3 a token that deputyd has issued to a client by its certificate, at three guards', async () => {
  const jwk = new X509Certificate(clients.mine.pem).publicKey.export({ format: 'jwk' });
  const { id } = await world.daemon.create('clients', {
    name: 'by certificate', auth: 'self_signed_tls_client_auth', jwks: { keys: [jwk] }, agent: world.worker.id, default_resource: RS1,
  });
  const wire = world.daemon.wire({ localAddress: PROXY });
  const answer = await new Client(world.daemon, { id, auth: 'none', wire }).token({ client_id: id, scope: 'read' }, { headers: [['Client-Cert', header('mine')]] });
  wire.close();
  const { access_token: token, token_type: type } = answer.json;
  equal([answer.status, type, decode(token).claims.cnf], [200, 'Bearer', { 'x5t#S256': x5t }], answer.text);
  for (const way of [haproxy(), nginxModule(), libdeputyTls()]) {
    if (way.missing) continue;
    await way.start({ guard, api, tls });
    try {
      way.take();
      await ask(way, { as: 'mine', status: 200 }, token, `${way.name}: its certificate`);
      await ask(way, { as: 'other', status: 401 }, token, `${way.name}: another's`);
      await ask(way, { status: 401 }, token, `${way.name}: none`);
    } finally {
      await way.stop();
    }
  }
});

// The endpoints themselves: here the header is the proxy's.
const largest = Buffer.alloc(8192, 'a certificate that nobody parses');
const HEADERS = [
  { name: 'RFC 9440', said: [header('mine')], status: 200 },
  { name: 'PEM in percent-encoding', said: [escaped('mine')], status: 200 },
  { name: 'PEM, with what need not be escaped as it is', said: [escaped('mine').replaceAll('%2B', '+').replaceAll('%2F', '/').replaceAll('%3D', '=')], status: 200 },
  { name: 'the largest that there is', said: [`:${largest.toString('base64')}:`], x5t: b64u(sha256(largest)), status: 200 },
  { name: 'none', said: [], status: 401 },
  { name: 'blank', said: [''], status: 401 },
  { name: 'another\'s', said: [header('other')], status: 401 },
  { name: 'another\'s as PEM', said: [escaped('other')], status: 401 },
  { name: 'an empty one', said: ['::'], status: 400 },
  { name: 'bare base64', said: [clients.mine.der.toString('base64')], status: 400 },
  { name: 'a list', said: [`${header('mine')}, ${header('mine')}`], status: 400 },
  { name: 'twice', said: [header('mine'), header('mine')], status: 400 },
  { name: 'two', said: [header('other'), header('mine')], status: 400 },
  { name: 'more than any certificate has', said: [`:${Buffer.alloc(8193).toString('base64')}:`], status: 400 },
];
suite.row('T6 nginx-module behind a proxy that writes Client-Cert', async () => {
  const way = nginxModule({ edit: (text) => text.replace(/# deputy_client_cert .*/, 'deputy_client_cert header;') });
  if (way.missing) skip(way.missing);
  await way.start({ guard, api });
  try {
    way.take();
    // nginx itself answers a line of more than 8 KiB (large_client_header_buffers).
    for (const one of HEADERS.filter(({ said }) => said.every((value) => value.length < 8000))) {
      const token = tokenOf(one);
      for (const time of ['first', 'second']) await ask(way, one, token, `${one.name}, ${time}`);
    }
  } finally {
    await way.stop();
  }
});

for (const way of direct()) {
  for (const one of HEADERS)
    suite.row(`T6 ${way.name}: Client-Cert: ${one.name}`, async () => {
      await way.start({ guard });
      const token = tokenOf(one);
      for (const time of ['first', 'second']) await ask(way, one, token, time);
    });
  suite.row(`T6 ${way.name}: Client-Cert at a guard that is not told of it`, async () => {
    await way.start({ guard: plain });
    const token = tokenOf({});
    for (const said of [[header('mine')], [escaped('mine')], [], [header('mine'), header('mine')]])
      for (const time of ['first', 'second']) await ask(way, { said, status: 401 }, token, time);
    await ask(way, { said: [header('mine'), header('mine')], free: true, status: 200 }, tokenOf({ free: true }), 'unbound');
    const wire = guard.wire;
    for (const [one, want] of [[wire, true], [plain.wire, undefined]])
      equal((await one.request({ path: '/.well-known/oauth-protected-resource/api' })).json?.tls_client_certificate_bound_access_tokens, want, 'T5');
  });
}

await suite.run();
