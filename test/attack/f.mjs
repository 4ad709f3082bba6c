// Group F: what the server fetches from foreign issuers (metadata and keys), played by bent issuers on loopback; and addresses, names and
// redirects by which it could be sent somewhere else.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { Clock } from '../lib/clock.mjs';
import { root } from '../lib/daemon.mjs';
import { Key, decode, randomId } from '../lib/forge.mjs';
import { Idp } from '../lib/idp.mjs';
import { Ledger } from '../lib/ledger.mjs';
import { Suite, check, equal, skip } from '../lib/tap.mjs';
import { RS1, World } from '../lib/world.mjs';

const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token';
const LIMIT_MS = 5000;
const suite = new Suite('attack F');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
const clock = new Clock();
const proxy = net.createServer((socket) => {
  proxy.seen += 1;
  socket.destroy();
});
proxy.seen = 0;
await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
const proxyUrl = `http://127.0.0.1:${proxy.address().port}`;
const proxies = Object.fromEntries(['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'].map((name) => [name, proxyUrl]));
const world = await World.start({ env: { ...clock.env, ...proxies } });
const { daemon } = world;
const ledger = new Ledger();
suite.end(() => fs.rmSync(folder, { recursive: true, force: true }));
suite.end(() => proxy.close());
suite.end(() => clock.done());
suite.end(() => daemon.stop());

const ceiling = [{ resource: RS1, scopes: ['read'] }];
let names = 0;

async function trust(idp, more = {}) {
  names += 1;
  await daemon.create('issuers', { id: idp.issuer, name: `idp${names}`, org: 'org1', uses: ['subject'], ceiling, ...more });
  return idp;
}

async function withIdp(bend, run, more = () => ({})) {
  const idp = await Idp.start();
  try {
    bend(idp);
    await trust(idp, more(idp));
    return await run(idp);
  } finally {
    await idp.down();
  }
}

const tokenOf = (idp, claims = {}, more = {}) => idp.token({ aud: world.issuer, claims: { iat: clock.now, exp: clock.now + 120, ...claims }, ...more });

// From a connection of its own, so that a request that waits keeps nobody else waiting.
async function exchange(text) {
  const wire = daemon.wire();
  try {
    return await world.CB.over(wire).exchange(text, { subject_token_type: ID_TOKEN, resource: RS1, scope: 'read' });
  } finally {
    wire.close();
  }
}

async function timed(run) {
  const begin = Date.now();
  const got = await run();
  return [got, Date.now() - begin];
}

async function refused(idp, label) {
  const [answer, ms] = await timed(() => exchange(tokenOf(idp)));
  ledger.refusal(answer, { status: 400, error: 'invalid_request', label });
  check(ms < LIMIT_MS, `${label}: after ${ms} ms`);
  return answer;
}

// The same issuer without what was bent, as the twin of every case.
async function taken(label) {
  await withIdp(() => {}, async (idp) => ledger.token(await exchange(tokenOf(idp)), `${label}: twin`));
}

const raw = (text) => (request) => request.socket.end(text);
const head = (more) => `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n${more}\r\n`;

suite.row('F08 redirects are followed nowhere: neither of metadata nor of keys', async () => {
  const listener = net.createServer((socket) => {
    listener.seen += 1;
    socket.destroy();
  });
  listener.seen = 0;
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const elsewhere = `http://127.0.0.1:${listener.address().port}/keys`;
  for (const status of [301, 302, 303, 307, 308])
    for (const where of ['/keys', '/.well-known/openid-configuration'])
      for (const target of [elsewhere, '/other'])
        await withIdp((idp) => {
          idp.answers[where] = (request, response) => response.writeHead(status, { Location: target }).end();
          idp.answers['/other'] = (request, response) => response.end(JSON.stringify(where === '/keys' ? idp.jwks : idp.metadata));
        }, async (idp) => {
          await refused(idp, `${status} ${where}`);
          equal(idp.count('/other'), 0, 'the other path');
        });
  equal(listener.seen, 0, 'the other address');
  listener.close();
  await taken('redirects');
});

suite.row('F10 documents without measure, and lengths that lie', async () => {
  const keysOf = (idp) => JSON.stringify(idp.jwks);
  for (const [label, answer] of [
    ['5 MB', (idp) => (request, response) => response.end(JSON.stringify({ ...idp.jwks, filler: 'x'.repeat(5000000) }))],
    ['chunks without end', (idp) => (request, response) => {
      response.write(keysOf(idp).slice(0, -1));
      const timer = setInterval(() => response.write(' '.repeat(4096)), 1);
      response.on('close', () => clearInterval(timer));
    }],
    ['a length too long', (idp) => raw(`${head(`Content-Length: ${keysOf(idp).length + 100}\r\n`)}${keysOf(idp)}`)],
    ['a length too short', (idp) => raw(`${head(`Content-Length: ${keysOf(idp).length - 10}\r\n`)}${keysOf(idp)}`)],
    ['a length of 10 GB', (idp) => raw(`${head('Content-Length: 10737418240\r\n')}${keysOf(idp)}`)],
    ['two lengths', (idp) => raw(`${head(`Content-Length: 5\r\nContent-Length: ${keysOf(idp).length}\r\n`)}${keysOf(idp)}`)],
    ['a gzip bomb', () => (request, response) => response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(gzipSync(Buffer.alloc(50000000, 0x20)))],
    ['headers without end', () => (request) => {
      request.socket.write('HTTP/1.1 200 OK\r\n');
      const timer = setInterval(() => request.socket.write(`X-${randomId()}: ${'x'.repeat(4000)}\r\n`), 1);
      request.socket.on('close', () => clearInterval(timer)).on('error', () => {});
    }],
    ['no keys', () => (request, response) => response.end('{"keys":[]}')],
    ['no JSON', () => (request, response) => response.end('<html>')],
    ['nothing', () => (request, response) => response.end()],
  ])
    await withIdp((idp) => {
      idp.answers['/keys'] = answer(idp);
    }, (idp) => refused(idp, label));
  const before = daemon.rss_bytes();
  check(before < 300000000, `memory: ${before}`);
  await taken('sizes');
});

suite.row('F11 a slow issuer: done in five seconds altogether, and nobody else waits', async () => {
  const drip = (text) => (request) => {
    let at = 0;
    const timer = setInterval(() => request.socket.write(text[at++ % text.length]), 200);
    request.socket.on('close', () => clearInterval(timer)).on('error', () => {});
  };
  const silent = () => {};
  for (const [label, bend] of [
    ['headers by the byte', (idp) => { idp.answers['/keys'] = drip(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(500)}`); }],
    ['silence at the metadata', (idp) => {
      for (const name of ['openid-configuration', 'oauth-authorization-server']) idp.answers[`/.well-known/${name}`] = silent;
    }],
  ])
    await withIdp(bend, async (idp) => {
      const slow = timed(() => exchange(tokenOf(idp)));
      let worst = 0;
      for (let i = 0; i < 200; i += 1) {
        const [answer, ms] = await timed(() => world.CB.token({ scope: 'read', resource: RS1 }));
        ledger.token(answer, 'a bystander');
        worst = Math.max(worst, ms);
      }
      check(worst < 500, `${label}: a bystander waited ${worst} ms`);
      const [answer, ms] = await slow;
      ledger.refusal(answer, { status: 400, error: 'invalid_request', label });
      check(ms < LIMIT_MS, `${label}: after ${ms} ms`);
    });
  await taken('slow');
});

suite.row('F12 a certificate that nobody vouches for', async () => {
  const [key, certificate] = [path.join(folder, 'key.pem'), path.join(folder, 'cert.pem')];
  try {
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', certificate,
      '-days', '2', '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'], { stdio: 'ignore' });
  } catch {
    skip('openssl is not installed');
  }
  let asked = 0;
  const idp = await Idp.start();
  const server = https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(certificate) }, (request, response) => {
    asked += 1;
    response.end(JSON.stringify(idp.jwks));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  await trust(idp, { jwks_uri: `https://127.0.0.1:${server.address().port}/keys` });
  await refused(idp, 'self-signed');
  equal(asked, 0, 'requests over it');
  server.close();
  await idp.down();
  await taken('TLS');
});

suite.row('F15 jwks_uri of the metadata leads to other networks, other protocols, other files', async () => {
  for (const uri of ['http://10.0.0.1/keys', 'https://169.254.169.254/latest', 'http://[fd00::1]/keys', 'https://0.0.0.0/keys', 'file:///etc/passwd', 'gopher://127.0.0.1/', '/keys', '', 7, null])
    await withIdp((idp) => {
      for (const name of ['openid-configuration', 'oauth-authorization-server'])
        idp.answers[`/.well-known/${name}`] = (request, response) => response.end(JSON.stringify({ ...idp.metadata, jwks_uri: uri }));
    }, (idp) => refused(idp, String(uri)));
  await taken('addresses');
});

suite.row('F16 a failure is remembered for seconds only', async () => {
  await withIdp((idp) => {
    idp.answers['/keys'] = (request, response) => response.writeHead(500).end();
  }, async (idp) => {
    await refused(idp, 'while it fails');
    delete idp.answers['/keys'];
    await refused(idp, 'at once: not asked again');
    equal(idp.count('/keys'), 1, 'asked once');
    clock.move(clock.offset_s + 11);
    ledger.token(await exchange(tokenOf(idp)), 'eleven seconds later');
  });
});

suite.row('F18 a hundred at once for one issuer: one fetch, and all are served', async () => {
  await withIdp((idp) => {
    idp.answers['/keys'] = (request, response) => setTimeout(() => response.end(JSON.stringify(idp.jwks)), 200);
  }, async (idp) => {
    const all = await Promise.all(Array.from({ length: 100 }, () => exchange(tokenOf(idp))));
    for (const answer of all) ledger.token(answer, 'one of a hundred');
    equal([idp.count('/keys'), idp.count('/.well-known/openid-configuration')], [1, 1], 'fetches');
  });
});

suite.row('A33 fifty tokens with unknown kids: one more fetch in ten seconds; a rotated key is found after that', async () => {
  await withIdp(() => {}, async (idp) => {
    ledger.token(await exchange(tokenOf(idp)), 'known');
    clock.move(clock.offset_s + 11);
    for (let i = 0; i < 50; i += 1) equal((await exchange(tokenOf(idp, {}, { header: { kid: randomId() } }))).status, 400, 'unknown');
    equal(idp.count('/keys'), 2, 'fetches');
    ledger.token(await exchange(tokenOf(idp)), 'known, all the while');
    idp.keys.unshift(Key.generate('ES256'));
    clock.move(clock.offset_s + 11);
    ledger.token(await exchange(tokenOf(idp)), 'the new key');
  });
});

suite.row('A34 an issuer that is down: known keys serve on, until they are a day old', async () => {
  const idp = await trust(await Idp.start());
  ledger.token(await exchange(tokenOf(idp)), 'while it is up');
  await idp.down();
  clock.move(clock.offset_s + 700);
  ledger.token(await exchange(tokenOf(idp)), 'down, a known key');
  ledger.refusal(await exchange(tokenOf(idp, {}, { header: { kid: 'x' } })), { status: 400, error: 'invalid_request', label: 'down, an unknown kid' });
  clock.move(clock.offset_s + 86400);
  ledger.refusal(await exchange(tokenOf(idp)), { status: 400, error: 'invalid_request', label: 'a day later' });
  await idp.up();
  clock.move(clock.offset_s + 11);
  ledger.token(await exchange(tokenOf(idp)), 'up again');
  await idp.down();
});

suite.row('A32 the iss of a stranger moves nobody', async () => {
  const idp = await Idp.start();
  for (const claims of [{}, { iss: `${idp.origin}/../keys` }, { iss: `${idp.origin}@127.0.0.1/` }, { iss: `${idp.origin}/{realm}` }])
    ledger.refusal(await exchange(tokenOf(idp, claims)), { status: 400, error: 'invalid_request', label: JSON.stringify(claims) });
  equal(idp.connections, 0, 'connections');
  await trust(idp);
  ledger.token(await exchange(tokenOf(idp)), 'twin');
  await idp.down();
});

suite.row('F24 the answer tells nothing about what was found at an address', async () => {
  const texts = new Set();
  for (const bend of [
    (idp) => { idp.answers['/keys'] = (request, response) => response.end('<html>'); },
    (idp) => { idp.answers['/keys'] = (request, response) => response.writeHead(403).end('forbidden'); },
    (idp) => { idp.answers['/keys'] = (request) => request.socket.destroy(); },
    (idp) => { Object.defineProperty(idp, 'metadata', { value: { issuer: idp.issuer, jwks_uri: 'http://127.0.0.1:1/keys' } }); },
  ])
    await withIdp(bend, async (idp) => texts.add((await refused(idp, 'oracle')).text.replace(/[0-9A-Z]{26}/, '')));
  equal(texts.size, 1, [...texts].join('\n'));
});

suite.row('F26 proxies of the environment are not used', async () => {
  await taken('with proxies in the environment');
  equal(proxy.seen, 0, 'connections to the proxy');
});

suite.row('F28 nobody there: refused at once, recorded, and the server goes on', async () => {
  const idp = await trust(await Idp.start());
  await idp.down();
  const answer = await refused(idp, 'nobody listens');
  const record = daemon.audit().find((one) => one.id === answer.header('deputy-decision'));
  equal([record?.outcome, record?.reason], ['deny', 'JWS_KID'], 'its record');
  await taken('nobody there');
});

// ---- a server that is not for development: loopback and private networks are forbidden to it ----

async function strictWorld(hosts) {
  const library = path.join(folder, 'names.so');
  execFileSync(process.env.CC ?? 'gcc', ['-shared', '-fPIC', '-O1', '-D_GNU_SOURCE', '-o', library, path.join(root, 'test/lib/names.c'), '-ldl']);
  fs.writeFileSync(path.join(folder, 'names'), hosts);
  const env = {
    LD_PRELOAD: library, TEST_NAMES: path.join(folder, 'names'), TEST_CONNECTS: path.join(folder, 'connects'),
    ASAN_OPTIONS: [process.env.ASAN_OPTIONS, 'verify_asan_link_order=0'].filter(Boolean).join(':'),
  };
  return World.start({ config: { issuer: 'https://as.example' }, env });
}

suite.row('F04 F05 F06 F07 loopback by another spelling, one private address among several, a name that moves', async () => {
  const listener = net.createServer((socket) => {
    listener.seen += 1;
    socket.destroy();
  });
  listener.seen = 0;
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address();
  const PUBLIC = '93.184.216.34';
  const strict = await strictWorld([
    `first.example ${PUBLIC} 127.0.0.1`, `second.example 127.0.0.1 ${PUBLIC}`, `moves.example ${PUBLIC}|127.0.0.1`, `mapped.example ::ffff:127.0.0.1`,
    `private.example 10.0.0.1`, `public.example ${PUBLIC}`, '',
  ].join('\n'));
  const hosts = ['127.0.0.1', '2130706433', '0x7f000001', '0177.0.0.1', '127.1', '[::ffff:7f00:1]', 'localhost', 'localhost.', 'LOCALHOST', '0.0.0.0', '[::1]', '[::]',
    'first.example', 'second.example', 'moves.example', 'mapped.example', 'private.example', 'public.example'];
  const attempts = () => (fs.existsSync(path.join(folder, 'connects')) ? fs.readFileSync(path.join(folder, 'connects'), 'utf8').split('\n').filter((line) => line !== '') : []);
  let registered = 0;
  for (const host of hosts) {
    const id = `https://${host}:${port}`;
    const made = await strict.daemon.admin('POST', '/issuers', { id, name: `n${registered}`, org: 'org1', uses: ['subject'], ceiling });
    if (made.status !== 201) {
      equal(made.status, 400, `${host}: ${made.text}`);
      continue;
    }
    registered += 1;
    const idp = { issuer: id, key: strict.C1.key };
    const text = Idp.prototype.token.call(idp, { aud: 'https://as.example' });
    equal(decode(text).claims.iss, id, 'iss');
    const [answer, ms] = await timed(() => strict.CB.exchange(text, { subject_token_type: ID_TOKEN, resource: RS1, scope: 'read' }));
    equal([answer.status, answer.json.error], [400, 'invalid_request'], `${host}: ${answer.text}`);
    check(ms < LIMIT_MS, `${host}: after ${ms} ms`);
  }
  check(registered >= 8, `registered ${registered}`);
  const to = attempts();
  equal([listener.seen, to.filter((line) => !line.startsWith(PUBLIC))], [0, []], 'connections to what is forbidden');
  check(to.includes(`${PUBLIC} ${port}`), 'twin: the public address was tried');
  listener.close();
  await strict.daemon.stop();
});

suite.row('every refusal has one record, no token stands in any', async () => {
  check(ledger.settle(daemon).length > 200, 'records');
});

await suite.run();
