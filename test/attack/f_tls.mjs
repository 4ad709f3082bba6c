// Group F against a server that is not for development: only public addresses, only https. Names and connections are under the test's control
// (test/lib/names.c): one public address is played by a server of this test, with certificates good and bad.
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { Authority, hasOpenssl } from '../lib/authority.mjs';
import { Key, compact, now_s, randomId } from '../lib/forge.mjs';
import { Ledger } from '../lib/ledger.mjs';
import { preload } from '../lib/preload.mjs';
import { Sluggish, passTo, saysThenStalls } from '../lib/sluggish.mjs';
import { Suite, check, equal, skip } from '../lib/tap.mjs';
import { RS1, World } from '../lib/world.mjs';
import { TYPE } from '../lib/client.mjs';

const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token';
const PUBLIC = '93.184.216.34';
const ELSEWHERE = '93.184.216.35'; // public too; nobody plays it
const ISSUER = 'https://as.example';
const LIMIT_MS = 5000;

const suite = new Suite('attack F over TLS');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
const namesFile = path.join(folder, 'names');
const connectsFile = path.join(folder, 'connects');
const fifo = path.join(folder, 'fifo');
const ceiling = [{ resource: RS1, scopes: ['read'] }];
const ledger = new Ledger();
let names = 0;

const setNames = (...lines) => fs.writeFileSync(namesFile, `${lines.join('\n')}\n`);
// What the daemon tried to connect to since the last question.
function connects() {
  const text = fs.existsSync(connectsFile) ? fs.readFileSync(connectsFile, 'utf8') : '';
  fs.writeFileSync(connectsFile, '');
  return text.split('\n').filter((line) => line !== '');
}

const good = hasOpenssl ? new Authority(folder, 'good') : null;
const key = Key.generate('ES256');

// An issuer's server: metadata and keys of whatever host it is asked for.
function documents(request, response) {
  documents.asked.push(`${request.headers.host}${request.url}`);
  const origin = `https://${request.headers.host}`;
  const body = {
    '/.well-known/openid-configuration': { issuer: origin, jwks_uri: `${origin}/keys` },
    '/keys': { keys: [key.registered] },
  }[request.url];
  response.writeHead(body ? 200 : 404, { 'Content-Type': 'application/json' }).end(JSON.stringify(body ?? {}));
}
documents.asked = [];

async function serve(options) {
  const server = https.createServer(options, documents);
  server.on('tlsClientError', () => {}).on('error', () => {});
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  suite.end(() => {
    server.closeAllConnections();
    server.close();
  });
  return server.address().port;
}

const environment = { ...preload('names', folder), TEST_NAMES: namesFile, TEST_CONNECTS: connectsFile, TEST_PUBLIC: PUBLIC };
setNames('nobody.example 10.0.0.1');
const world = await World.start({ config: { issuer: ISSUER, ...(good ? { issuers_ca_file: good.cert } : {}) }, env: environment });
suite.end(() => fs.rmSync(folder, { recursive: true, force: true }));
suite.end(() => world.daemon.stop());

const trust = (id, more = {}, where = world) => where.daemon.admin('POST', '/issuers', { id, name: `n${(names += 1)}`, org: 'org1', uses: ['subject'], ceiling, ...more });

function tokenOf(issuer, claims = {}, header = {}) {
  const now = now_s();
  return compact({ typ: 'JWT', alg: 'ES256', kid: key.kid, ...header }, { iss: issuer, sub: 'alice', aud: ISSUER, iat: now, exp: now + 120, jti: randomId(), ...claims }, key);
}

async function exchange(issuer, { where = world, header = {} } = {}) {
  const wire = where.daemon.wire();
  try {
    return await where.CB.over(wire).exchange(tokenOf(issuer, {}, header), { subject_token_type: ID_TOKEN, resource: RS1, scope: 'read' });
  } finally {
    wire.close();
  }
}

async function refused(issuer, label, options) {
  const begin = Date.now();
  const answer = await exchange(issuer, options);
  const ms = Date.now() - begin;
  if (options?.where) equal([answer.status, answer.json.error], [400, 'invalid_request'], label);
  else ledger.refusal(answer, { status: 400, error: 'invalid_request', label });
  check(ms < LIMIT_MS, `${label}: after ${ms} ms`);
}

suite.row('F12 certificates: expired, not yet valid, of another name, of nobody, of a leaf, out of bounds, for clients; the twin is taken', async () => {
  if (!good) skip('openssl is not installed');
  const stranger = new Authority(folder, 'stranger');
  const narrow = new Authority(folder, 'narrow', { by: good, more: ['nameConstraints=critical,permitted;DNS:elsewhere.example'] });
  const below = new Authority(folder, 'below', { by: good });
  const self = new Authority(folder, 'self');
  const leaf = good.leaf('DNS:mine.example');
  // A leaf that signs for others: what it is itself forbids it.
  fs.mkdirSync(path.join(folder, 'usurper'));
  const usurper = Object.assign(Object.create(Authority.prototype), { folder: path.join(folder, 'usurper'), count: 0, cert: leaf.certFile, key: leaf.keyFile });
  fs.writeFileSync(path.join(folder, 'usurper', 'index.txt'), '');
  fs.writeFileSync(path.join(folder, 'usurper', 'ca.cnf'), fs.readFileSync(path.join(folder, 'good', 'ca.cnf'), 'utf8').replaceAll(path.join(folder, 'good'), path.join(folder, 'usurper')));
  const with_ = (made, ...chain) => ({ key: made.key, cert: [made.cert, ...chain].join('') });
  const rows = [
    ['expired', with_(good.leaf('DNS:host.test', { from: -30, until: -1 }))],
    ['not yet valid', with_(good.leaf('DNS:host.test', { from: 1, until: 30 }))],
    ['another name', with_(good.leaf('DNS:other.example'))],
    ['a name around it', with_(good.leaf('DNS:host.test.evil.example'))],
    ['a star below it', with_(good.leaf('DNS:*.host.test'))],
    ['its address only', with_(good.leaf(`IP:${PUBLIC}`))],
    ['of an authority that nobody named', with_(stranger.leaf('DNS:host.test'), stranger.pem)],
    ['self-signed', with_(self.issue('host.test', { isSelf: true, extensions: ['subjectAltName=DNS:host.test'] }))],
    ['a leaf of a leaf', with_(usurper.leaf('DNS:host.test'), leaf.cert)],
    ['out of the bounds of its authority', with_(narrow.leaf('DNS:host.test'), narrow.pem)],
    ['without the authority between', with_(below.leaf('DNS:host.test'))],
    ['for clients only', with_(good.issue('server', { extensions: ['subjectAltName=DNS:host.test', 'extendedKeyUsage=clientAuth'] }))],
  ];
  const twins = [
    ['good', with_(good.leaf('DNS:host.test'))],
    ['with the authority between', with_(below.leaf('DNS:host.test'), below.pem)],
  ];
  // One host for each, so that no connection and no cached key serves two; the certificates name the host they are for.
  for (const [label, made, isGood] of [...rows.map((row) => [...row, false]), ...twins.map((row) => [...row, true])]) {
    equal(made.cert.includes('BEGIN CERTIFICATE'), true, label);
    const port = await serve(made);
    const issuer = `https://host.test:${port}`;
    setNames(`host.test ${PUBLIC}`);
    equal((await trust(issuer)).status, 201, label);
    documents.asked = [];
    connects();
    if (isGood) {
      ledger.token(await exchange(issuer), `${label}: twin`);
      check(documents.asked.length === 2, `${label}: asked ${documents.asked}`);
    } else {
      await refused(issuer, label);
      equal(documents.asked, [], `${label}: requests over it`);
    }
    check(connects().includes(`${PUBLIC} ${port}`), `${label}: it was connected to`);
  }
});

suite.row('F12 protocols: TLS 1.0 and 1.1, plain HTTP, and no TLS at all; 1.2 and 1.3 are the twins', async () => {
  if (!good) skip('openssl is not installed');
  const made = good.leaf('DNS:host.test');
  setNames(`host.test ${PUBLIC}`);
  const old = { ...made, ciphers: 'DEFAULT:@SECLEVEL=0' };
  for (const [label, options, isGood] of [
    ['TLS 1.0', { ...old, minVersion: 'TLSv1', maxVersion: 'TLSv1' }, false],
    ['TLS 1.1', { ...old, minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' }, false],
    ['TLS 1.2', { ...made, maxVersion: 'TLSv1.2' }, true],
    ['TLS 1.3', { ...made, minVersion: 'TLSv1.3' }, true],
  ]) {
    const port = await serve(options);
    // The server is not broken: a client that takes the old protocol gets it.
    const spoken = await new Promise((resolve, reject) => {
      const socket = tls.connect({ host: '127.0.0.1', port, servername: 'host.test', ca: good.pem, minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' }, () => {
        resolve(socket.getProtocol());
        socket.destroy();
      });
      socket.on('error', reject);
    });
    if (!isGood) equal(spoken, options.maxVersion, label);
    const issuer = `https://host.test:${port}`;
    equal((await trust(issuer)).status, 201, label);
    documents.asked = [];
    if (isGood) ledger.token(await exchange(issuer), `${label}: twin`);
    else {
      await refused(issuer, label);
      equal(documents.asked, [], `${label}: requests over it`);
    }
  }
  for (const [label, speak] of [
    ['plain HTTP', (socket) => socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'))],
    ['another protocol', saysThenStalls('SSH-2.0-OpenSSH_9.2\r\n')],
    ['an alert', (socket) => socket.end(Buffer.from('15030300020228', 'hex'))],
    ['a ServerHello of TLS 1.0', (socket) => socket.once('data', () => socket.write(Buffer.from(`160301002a0200002603${'01'}${'00'.repeat(32)}00002f00`, 'hex')))],
  ]) {
    const server = await Sluggish.start(speak);
    const issuer = `https://host.test:${server.port}`;
    equal((await trust(issuer)).status, 201, label);
    await refused(issuer, label);
    check(server.seen >= 1, `${label}: it was connected to`);
    // The same issuer at a server that speaks TLS.
    await server.down();
  }
});

suite.row('F12 without issuers_ca_file it is the system that says who may vouch; the file must be there', async () => {
  if (!good) skip('openssl is not installed');
  const port = await serve(good.leaf('DNS:host.test'));
  const issuer = `https://host.test:${port}`;
  setNames(`host.test ${PUBLIC}`);
  const other = await World.start({ config: { issuer: ISSUER }, env: environment });
  try {
    equal((await trust(issuer, {}, other)).status, 201, 'registered');
    documents.asked = [];
    await refused(issuer, 'an authority that the system does not know', { where: other });
    equal(documents.asked, [], 'requests over it');
  } finally {
    await other.daemon.stop();
  }
  equal((await trust(issuer)).status, 201, 'registered');
  ledger.token(await exchange(issuer), 'twin: with the file');
  let failed = null;
  await World.start({ config: { issuer: ISSUER, issuers_ca_file: path.join(folder, 'nowhere.pem') } }).then(
    (one) => one.daemon.stop(),
    (error) => { failed = String(error); },
  );
  check(/issuers_ca_file .*nowhere\.pem: No such file/.test(failed), failed);
});

suite.row('F01 URLs that are not what they seem: refused where they are registered, or nothing is connected to', async () => {
  if (!good) skip('openssl is not installed');
  const port = await serve(good.leaf('DNS:host.test,DNS:u'));
  setNames(`host.test ${PUBLIC}`, `u ${PUBLIC}`, `h ${PUBLIC}`);
  const host = `host.test:${port}`;
  connects();
  documents.asked = [];
  let asked = 0;
  for (const url of [`http://${host}/keys`, `HTTP://${host}/keys`, `https://u:p@${host}/keys`, `https://u@${host}/keys`, 'https:///keys', 'https:h/keys', 'https://h:/keys', `https://h:99999/keys`,
    `https://host.test :${port}/keys`, `https://${host}\\@evil.test/keys`, `https://${host}/ke ys`, `https://${host}/keys\u0000`, `https://${host}\u3002evil.test/keys`, `//${host}/keys`, 'file:///etc/passwd',
    `ftp://${host}/keys`, `javascript:https://${host}/keys`, 'https://[::1/keys', 'https://%31%32%37.0.0.1/keys']) {
    const id = `https://bad${(asked += 1)}.test`;
    const made = await trust(id, { jwks_uri: url });
    if (made.status === 201) await refused(id, url);
    else equal(made.status, 400, `${url}: ${made.text}`);
  }
  equal([documents.asked, connects()], [[], []], 'requests, connections');
  for (const url of [`https://${host}/keys`, `https://${host}/keys?x=`, `HTTPS://${host}/keys`]) {
    const id = `https://good${(asked += 1)}.test`;
    equal((await trust(id, { jwks_uri: url })).status, 201, url);
    documents.asked = [];
    const answer = await exchange(id);
    if (url.endsWith('?x=')) equal(documents.asked, [`${host}/keys?x=`], 'the query is kept');
    else ledger.token(answer, `${url}: twin`);
  }
});

suite.row('F04 F05 loopback by another spelling, one private address among several: refused; all public is the twin', async () => {
  if (!good) skip('openssl is not installed');
  const listener = await Sluggish.start((socket) => socket.destroy());
  const port = listener.port;
  setNames(`first.example ${PUBLIC} 127.0.0.1`, `second.example 127.0.0.1 ${PUBLIC}`, 'mapped.example ::ffff:127.0.0.1', 'private.example 10.0.0.1', 'metadata.example 169.254.169.254',
    'six.example fd00::1');
  const hosts = ['127.0.0.1', '2130706433', '0x7f000001', '0177.0.0.1', '127.1', '[::ffff:7f00:1]', 'localhost', 'localhost.', 'LOCALHOST', '0.0.0.0', '[::1]', '[::]', '127.0.0.1.nip.test',
    'mapped.example', 'private.example', 'metadata.example', 'six.example'];
  setNames(...fs.readFileSync(namesFile, 'utf8').split('\n').filter((line) => line !== ''), '127.0.0.1.nip.test 127.0.0.1');
  connects();
  let registered = 0;
  for (const host of hosts) {
    const id = `https://${host}:${port}`;
    const made = await trust(id);
    if (made.status !== 201) {
      equal(made.status, 400, `${host}: ${made.text}`);
      continue;
    }
    registered += 1;
    await refused(id, host);
  }
  check(registered >= 8, `registered ${registered}`);
  equal([listener.seen, connects()], [0, []], 'connections to what is forbidden');
  // Of several addresses only the public one may be tried, whichever comes first: never the other.
  for (const host of ['first.example', 'second.example']) {
    equal((await trust(`https://${host}:1`)).status, 201, host);
    await refused(`https://${host}:1`, host);
  }
  equal([listener.seen, connects().filter((line) => !line.startsWith(PUBLIC))], [0, []], 'connections to what is forbidden');
  await listener.down();
  const twin = await serve(good.leaf('DNS:both.example,DNS:one.example'));
  setNames(`one.example ${PUBLIC}`, `both.example ${PUBLIC} ${PUBLIC}`);
  for (const host of ['one.example', 'both.example']) {
    equal((await trust(`https://${host}:${twin}`)).status, 201, host);
    ledger.token(await exchange(`https://${host}:${twin}`), `${host}: twin`);
  }
});

suite.row('F06 F07 a name that moves: what was checked is what is connected to, and a kept connection serves no other address', async () => {
  if (!good) skip('openssl is not installed');
  const port = await serve(good.leaf('DNS:moves.example,DNS:stays.example,DNS:later.example'));
  const trap = await Sluggish.start(passTo(port));
  // The first question is answered by a public address, the next by loopback: where the same port would serve the good document.
  setNames(`moves.example ${PUBLIC}|127.0.0.1`, `later.example 127.0.0.1|${PUBLIC}`, `stays.example ${PUBLIC}`);
  const moves = `https://moves.example:${port}`;
  equal((await trust(moves)).status, 201, 'registered');
  connects();
  ledger.token(await exchange(moves), 'the address that was checked');
  equal([...new Set(connects())], [`${PUBLIC} ${port}`], 'connections');
  // A kid that is not known: keys are fetched again, over the kept connection or a new one, but never at the new address.
  await refused(moves, 'an unknown kid', { header: { kid: randomId() } });
  equal(connects().filter((line) => !line.startsWith(PUBLIC)), [], 'connections to the new address');
  const later = `https://later.example:${port}`;
  equal((await trust(later)).status, 201, 'registered');
  await refused(later, 'loopback first');
  equal([trap.seen, connects()], [0, []], 'connections');
  const stays = `https://stays.example:${port}`;
  equal((await trust(stays)).status, 201, 'registered');
  ledger.token(await exchange(stays), 'twin: a name that stays');
  await trap.down();
});

suite.row('F11 a name that is not answered keeps nobody else waiting', async () => {
  const { execFileSync } = await import('node:child_process');
  execFileSync('mkfifo', [fifo]);
  setNames(`stalls.example <${fifo}`, `here.example ${ELSEWHERE}`);
  for (const host of ['stalls.example', 'here.example']) equal((await trust(`https://${host}`)).status, 201, host);
  const begin = Date.now();
  let ended = false;
  const slow = exchange('https://stalls.example').finally(() => { ended = true; });
  await refused('https://here.example', 'a name that is answered, to a place that is not there');
  equal(ended, false, 'the other one still waits');
  const answer = await slow;
  const ms = Date.now() - begin;
  ledger.refusal(answer, { status: 400, error: 'invalid_request', label: 'a name without an answer' });
  check(ms < LIMIT_MS, `after ${ms} ms`);
  if (good) {
    const port = await serve(good.leaf('DNS:good.example'));
    setNames(`good.example ${PUBLIC}`, `stalls.example <${fifo}`);
    equal((await trust(`https://good.example:${port}`)).status, 201, 'registered');
    // The thread that asks for the name is still there; the fetching one is not waiting for it.
    ledger.token(await exchange(`https://good.example:${port}`), 'twin');
  }
  fs.closeSync(fs.openSync(fifo, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK));
});

suite.row('every refusal has one record, no token stands in any', async () => {
  check(ledger.settle(world.daemon).length > 30, 'records');
});

await suite.run();
