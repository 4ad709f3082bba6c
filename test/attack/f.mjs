// Group F: what the server fetches from foreign issuers (metadata and keys), played by bent issuers on loopback; and addresses, names and
// redirects by which it could be sent somewhere else.
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { Authority, hasOpenssl } from '../lib/authority.mjs';
import { Clock } from '../lib/clock.mjs';
import { Key, randomId } from '../lib/forge.mjs';
import { Idp } from '../lib/idp.mjs';
import { Ledger } from '../lib/ledger.mjs';
import { Sluggish, drip, dripFrom, passTo, saysThenStalls, silent } from '../lib/sluggish.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
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
const authority = hasOpenssl ? new Authority(folder, 'good') : null;
const world = await World.start({ env: { ...clock.env, ...proxies }, config: authority ? { issuers_ca_file: authority.cert } : {} });
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

// Issuers whose keys are at servers that stall, each in its own way. What each says when it has mended its ways comes last.
async function sluggards() {
  const documents = new Map();
  const tls = authority && https.createServer(authority.leaf('IP:127.0.0.1'), (request, response) => response.end(documents.get(request.url)));
  if (tls) await new Promise((resolve) => tls.listen(0, '127.0.0.1', resolve));
  const stalls = [
    ['accepts and says nothing', 'http', silent],
    ['headers by the byte', 'http', drip(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(500)}`)],
    ['headers, then nothing', 'http', saysThenStalls(head('Content-Length: 500\r\n'))],
    ['the body by the byte', 'http', (socket) => { socket.write(head('Content-Length: 60000\r\n')); drip(' ')(socket); }],
    ['half a body', 'http', saysThenStalls(`${head('Content-Length: 500\r\n')}{"keys":[`)],
  ];
  if (tls)
    stalls.push(
      ['no word of the handshake', 'https', silent],
      ['half a ServerHello', 'https', saysThenStalls(Buffer.from('160303007a0200007603', 'hex'))],
      ['the handshake by the byte', 'https', dripFrom(tls.address().port)],
    );
  const all = [];
  for (const [label, scheme, speak] of stalls) {
    const [server, idp] = [await Sluggish.start(speak), await Idp.start()];
    const keys = JSON.stringify(idp.jwks);
    documents.set(`/${all.length}`, keys);
    await trust(idp, { jwks_uri: `${scheme}://127.0.0.1:${server.port}/${all.length}` });
    const plain = (socket) => socket.once('data', () => socket.end(`${head(`Content-Length: ${keys.length}\r\nConnection: close\r\n`)}${keys}`));
    all.push({ label, server, idp, mend: () => { server.speak = scheme === 'https' ? passTo(tls.address().port) : plain; } });
  }
  const down = async () => {
    for (const one of all) await Promise.all([one.server.down(), one.idp.down()]);
    tls?.closeAllConnections();
    tls?.close();
  };
  return { all, down };
}

suite.row('F11 issuers that drip or stall, in handshake, headers and body: other issuers are served while they do; done in five seconds altogether', async () => {
  const { all, down } = await sluggards();
  let ended = 0;
  const slow = all.map((one) => timed(() => exchange(tokenOf(one.idp))).finally(() => { ended += 1; }));
  await Promise.all(all.map((one) => one.server.until(1)));
  // Each of these issuers is new, so its keys are fetched while all those fetches are under way.
  for (let i = 0; i < 5; i += 1) await taken('another issuer meanwhile');
  equal([ended, all.map((one) => one.server.open.size)], [0, all.map(() => 1)], 'the stalled fetches are still under way');
  const spent = [];
  for (let i = 0; i < 100; i += 1) {
    const [answer, ms] = await timed(() => world.CB.token({ scope: 'read', resource: RS1 }));
    ledger.token(answer, 'a bystander');
    spent.push(ms);
  }
  check(Math.max(...spent) < 500, `a bystander waited ${Math.max(...spent)} ms`);
  for (let i = 0; i < all.length; i += 1) {
    const { label, server } = all[i];
    const [answer, ms] = await slow[i];
    ledger.refusal(answer, { status: 400, error: 'invalid_request', label });
    check(ms < LIMIT_MS, `${label}: after ${ms} ms`);
    await server.closed();
    equal(server.seen, 1, `${label}: connections`);
  }
  clock.move(clock.offset_s + 11);
  for (const one of all) {
    one.mend();
    ledger.token(await exchange(tokenOf(one.idp)), `${one.label}: mended, as the twin`);
  }
  await down();
});

suite.row('F11 slow metadata takes from the time that the keys have', async () => {
  const { all: [sluggard], down } = await sluggards();
  await withIdp((idp) => {
    const text = JSON.stringify({ issuer: idp.issuer, jwks_uri: `http://127.0.0.1:${sluggard.server.port}/` });
    idp.answers['/.well-known/openid-configuration'] = (request, response) => setTimeout(() => response.end(text), 2500);
  }, async (idp) => {
    await refused(idp, 'metadata after 2.5 s, keys never');
    equal(sluggard.server.seen, 1, 'the keys were asked for');
  });
  await withIdp((idp) => {
    for (const name of ['openid-configuration', 'oauth-authorization-server']) idp.answers[`/.well-known/${name}`] = silent;
  }, (idp) => refused(idp, 'silence at both places of the metadata'));
  await down();
  await taken('slow');
});

suite.row('F11 more requests than may wait for one issuer: 503, and other issuers are served', async () => {
  const { all: [{ idp, server }], down } = await sluggards();
  const WAITING_MAX = 128;
  let ended = 0;
  const waiting = Array.from({ length: WAITING_MAX }, () => exchange(tokenOf(idp)).finally(() => { ended += 1; }));
  await server.until(1);
  const more = await Promise.all(Array.from({ length: 150 }, () => exchange(tokenOf(idp))));
  const refusals = more.filter((answer) => answer.status === 503);
  for (const answer of refusals) {
    equal([answer.json.error, answer.header('retry-after') !== null], ['temporarily_unavailable', true], answer.text);
    check(/\bno-store\b/.test(answer.header('cache-control')), 'no-store');
  }
  // All those that wait came before or among these; whoever found no room did not wait.
  equal(refusals.length, 150, 'refused');
  await taken('another issuer meanwhile');
  equal([ended, server.open.size, server.seen], [0, 1, 1], 'they still wait, for one fetch');
  for (const answer of await Promise.all(waiting)) ledger.refusal(answer, { status: 400, error: 'invalid_request', label: 'waited' });
  await down();
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

suite.row('F24 neither the answer nor its time tells what was found at an address', async () => {
  const texts = new Set();
  const closed = await Sluggish.start(silent);
  await closed.down();
  for (const [label, bend] of [
    ['open, no JSON', (idp) => { idp.answers['/keys'] = (request, response) => response.end('<html>'); }],
    ['open, forbidden', (idp) => { idp.answers['/keys'] = (request, response) => response.writeHead(403).end('forbidden'); }],
    ['open, no HTTP', (idp) => { idp.answers['/keys'] = raw('SSH-2.0-OpenSSH_9.2\r\n'); }],
    ['hangs up', (idp) => { idp.answers['/keys'] = (request) => request.socket.destroy(); }],
    ['closed', (idp) => { Object.defineProperty(idp, 'metadata', { value: { issuer: idp.issuer, jwks_uri: `http://127.0.0.1:${closed.port}/keys` } }); }],
    ['an address that may not be', (idp) => { Object.defineProperty(idp, 'metadata', { value: { issuer: idp.issuer, jwks_uri: 'http://10.0.0.1/keys' } }); }],
    ['slower by half a second', (idp) => { idp.answers['/keys'] = (request, response) => setTimeout(() => response.end('<html>'), 500); }],
  ])
    await withIdp(bend, async (idp) => {
      const [answer, ms] = await timed(() => refused(idp, label));
      texts.add(answer.text.replace(/[0-9A-Z]{26}/, ''));
      check(ms >= 990 && ms < 1990, `${label}: after ${ms} ms`);
    });
  equal(texts.size, 1, [...texts].join('\n'));
  // Keys that are there are given at once.
  await withIdp(() => {}, async (idp) => {
    const [answer, ms] = await timed(() => exchange(tokenOf(idp)));
    ledger.token(answer, 'twin');
    check(ms < 900, `twin: after ${ms} ms`);
  });
});

suite.row('A33 a key that is new since the first fetch is found at once; then one fetch in ten seconds, whoever asks', async () => {
  await withIdp(() => {}, async (idp) => {
    ledger.token(await exchange(tokenOf(idp)), 'the first key');
    idp.keys.unshift(Key.generate('ES256'));
    ledger.token(await exchange(tokenOf(idp)), 'the key after it, at once');
    equal(idp.count('/keys'), 2, 'fetches');
    for (let round = 0; round < 6; round += 1) {
      for (let i = 0; i < 20; i += 1) equal((await exchange(tokenOf(idp, {}, { header: { kid: randomId() } }))).status, 400, 'unknown');
      equal(idp.count('/keys'), 2 + round, 'fetches for unknown kids');
      clock.move(clock.offset_s + 10);
    }
    idp.keys.unshift(Key.generate('ES256'));
    ledger.token(await exchange(tokenOf(idp)), 'a new key, after a minute of that');
  });
});

suite.row('a record that is made anew, or that names another place, inherits no keys', async () => {
  const [first, second] = [await Idp.start(), await Idp.start()];
  const record = `/issuers/${encodeURIComponent(first.issuer)}`;
  const by = (idp) => exchange(tokenOf(first, { iat: clock.now + 5 }, { key: idp.key }));
  await trust(first, { jwks_uri: `${first.origin}/keys` });
  ledger.token(await by(first), 'the first key');
  await daemon.admin('PATCH', record, { jwks_uri: `${second.origin}/keys` }, { want: 200 });
  ledger.refusal(await by(first), { status: 400, error: 'invalid_request', label: 'moved: the old key' });
  ledger.token(await by(second), 'moved: the new key');
  equal((await daemon.admin('DELETE', record)).status < 300, true, 'removed');
  ledger.refusal(await by(second), { status: 400, error: 'invalid_request', label: 'removed' });
  const again = await daemon.admin('POST', '/issuers', { id: first.issuer, name: `idp${names}`, org: 'org1', uses: ['subject'], ceiling });
  check(again.status >= 400, `the name of one that is gone: ${again.text}`);
  await trust(first, { jwks_uri: `${first.origin}/keys` });
  ledger.refusal(await by(second), { status: 400, error: 'invalid_request', label: 'made anew: the key of the last one' });
  ledger.token(await by(first), 'made anew: its own key');
  await Promise.all([first.down(), second.down()]);
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

suite.row('every refusal has one record, no token stands in any', async () => {
  check(ledger.settle(daemon).length > 200, 'records');
});

await suite.run();
