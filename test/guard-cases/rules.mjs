// The rules G1 to G13 of a guard's contract that the table cannot show, and what is hostile to a proxy: smuggled requests, a guard that
// is gone or hangs, a feed that is silent, a clock that jumps. Each through every way.
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { Clock } from '../lib/clock.mjs';
import { Suite, check, equal, oneOf, skip } from '../lib/tap.mjs';
import { RS1, World } from '../lib/world.mjs';
import { all, direct, proxies } from './all.mjs';
import { envoy, traefik } from './contracts.mjs';
import { Material } from './material.mjs';
import { Api, Guard, bytesOf, caddy, haproxy, nginx, nginxModule, until } from './ways.mjs';

const suite = new Suite('guard rules');
const world = await World.start();
const material = await Material.make(world);
const clock = new Clock();
const guard = await Guard.start(world, { env: clock.env });
const api = await Api.start();
const ways = all().filter((way) => !way.missing);
const behind = ways.filter((way) => !way.isDirect);

suite.end(async () => {
  clock.done();
  await guard.stop();
  await api.close();
  await world.daemon.stop();
});
for (const way of ways) suite.end(() => (way.isUp ? way.stop() : undefined));

const BEARER = { name: 'bearer' };
const BOUND = { name: 'bound', scheme: 'DPoP', token: { bound: 'key' }, proof: {} };
const send = (way, one, more = {}) => way.send({ ...material.request(one, way), ...more });

async function eachWay(list, run) {
  for (const way of list) await run(way, way.name);
}

// Sends bytes on a connection of its own; everything that came until it was closed, or until nothing came for a while after `count` answers.
function talk(port, data, limit_ms = 3000) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    let text = '';
    const done = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(text);
    };
    const timer = setTimeout(done, limit_ms);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', done);
    socket.on('close', done);
    socket.on('connect', () => socket.write(data));
  });
}

suite.row('every way starts', async () => {
  for (const way of [...direct(), ...proxies()]) if (way.missing) check(true, `${way.name}: ${way.missing}`);
  await eachWay(ways, async (way, label) => {
    await way.start({ guard, api });
    way.isUp = true;
    way.nonce = await until(async () => (await send(way, BOUND)).header('dpop-nonce'), `${label}: a nonce`);
    equal((await send(way, BOUND)).status, 200, label);
    way.take();
  });
}, { limit_ms: 120000 });

suite.row('G1 each endpoint of the guard reads one fixed set of headers', async () => {
  const token = material.token();
  const original = [['X-Original-Method', 'GET'], ['X-Original-URL', '/api']];
  const forwarded = [['X-Forwarded-Method', 'GET'], ['X-Forwarded-Uri', '/api']];
  for (const [where, own, foreign] of [['auth-request', original, forwarded], ['forward-auth', forwarded, original]]) {
    const ask = (headers) => guard.wire.request({ path: `/authz/${where}`, headers: [...headers, ['Authorization', `Bearer ${token}`]] });
    equal((await ask(own)).status, 200, where);
    equal((await ask([...own, ...foreign, ...foreign])).status, 200, `${where}: the others mean nothing, also twice`);
    equal((await ask(foreign)).status, 400, `${where}: by the headers of another`);
    equal((await ask([...own, own[0]])).status, 400, `${where}: G4 its own twice`);
  }
  const bound = material.request(BOUND, ways[2]);
  const elsewhere = await guard.wire.request({ path: '/authz/ext-authz/api/other', headers: [...bound.headers, ['X-Forwarded-Uri', '/api/items'], ['X-Original-URL', '/api/items']] });
  equal([elsewhere.status, elsewhere.json.error], [401, 'invalid_dpop_proof'], 'ext-authz: the path of the question counts');
  for (const where of ['/authz/ext-authz', '/authz/ext-authzz/api', '/authz/forward-auth/api', '/authz/'])
    equal((await guard.wire.request({ path: where, headers: [['Authorization', `Bearer ${token}`], ...original, ...forwarded] })).status, 404, where);
});

suite.row('G7 a decision is never kept by a proxy: a revoked token is refused through each', async () => {
  const token = await world.CP.get({ scope: 'read' });
  const request = { method: 'GET', path: '/api/items', host: null, headers: [['Authorization', `Bearer ${token}`]], body: null, isChunked: false, token };
  await eachWay(ways, async (way, label) => equal((await way.send(request)).status, 200, `${label}: alive`));
  await world.CP.revoke(token);
  await eachWay(ways, async (way, label) => {
    await until(async () => (await way.send(request)).status === 401, `${label}: refused`);
    way.take();
    equal([(await way.send(request)).status, way.take().length], [401, 0], `${label}: and stays refused`);
  });
});

suite.row('G8 one check of a proof for each request: none is refused as its own replay', async () => {
  await eachWay(ways, async (way, label) => {
    for (let i = 0; i < 20; i += 1) equal((await send(way, { ...BOUND, method: 'POST', body: 'x' })).status, 200, `${label}: ${i}`);
    equal(way.take().length, 20, `${label}: each reached the API once`);
  });
});

suite.row('G8 B30 a proof sent ten times at once is accepted once', async () => {
  await eachWay(ways, async (way, label) => {
    const request = material.request(BOUND, way);
    const answers = await Promise.all(Array.from({ length: 10 }, () => way.send(request)));
    equal(answers.filter((answer) => answer.status === 200).length, 1, label);
    equal(way.take().length, 1, `${label}: one reached the API`);
    check(answers.every((answer) => [200, 401].includes(answer.status)), `${label}: ${answers.map((answer) => answer.status)}`);
  });
});

suite.row('G10 O07 rights by tool: what a message is about arrives at the guard through each way, and twice is refused', async () => {
  const file = path.join(guard.folder, 'rules.yaml');
  fs.writeFileSync(file, `mcp_headers: compared
rules:
  - {name: delete, methods: [POST], path: /api/mcp, mcp_methods: [tools/call], mcp_names: [delete], scopes: write}
  - {name: mcp, methods: [POST], path: /api/mcp, mcp_methods: ["*"], any_token: true}
`);
  const ruled = await Guard.start(world, { args: ['--rules', file] });
  // The module asks by its own rules.
  const here = [...direct(), ...proxies()].filter((way) => !way.missing && way.name !== 'nginx-module');
  const tool = (names, version = '2026-07-28') => [['MCP-Protocol-Version', version], ['Mcp-Method', 'tools/call'], ...names.map((name) => ['Mcp-Name', name])];
  try {
    for (const way of here) {
      await way.start({ guard: ruled, api });
      for (const [label, headers, scope, statuses] of [
        ['a tool for everybody', tool(['search']), 'read', [200]],
        ['a tool that needs more', tool(['delete']), 'read', [403]],
        ['a tool that needs more, with more', tool(['delete']), 'read write', [200]],
        ['its name encoded', tool([`=?base64?${Buffer.from('delete').toString('base64')}?=`]), 'read', [403]],
        ['two names', tool(['search', 'delete']), 'read', [400, 403]],
        ['two names, the other way round', tool(['delete', 'search']), 'read', [400, 403]],
        ['two methods', [...tool(['search']), ['Mcp-Method', 'ping']], 'read', [400, 403]],
        ['no words about the message', [], 'read', [400, 403]],
        ['an old version', tool(['search'], '2025-11-25'), 'read', [400, 403]],
      ]) {
        const answer = await send(way, { name: label, method: 'POST', path: '/api/mcp', body: '{}', headers, token: { claims: { scope } } });
        oneOf(answer.status, statuses, `${way.name}: ${label}: ${answer.text}`);
        equal(way.take().length, answer.status === 200 ? 1 : 0, `${way.name}: ${label}`);
      }
    }
  } finally {
    for (const way of here) if (way.guard) await way.stop();
    await ruled.stop();
  }
}, { limit_ms: 150000 });

suite.row('G13 the metadata, below the resource\'s path and at the root, without a token', async () => {
  await eachWay(behind, async (way, label) => {
    for (const where of ['/.well-known/oauth-protected-resource/api', '/.well-known/oauth-protected-resource']) {
      const bare = { method: 'GET', path: where, host: null, headers: [], body: null, isChunked: false };
      const answer = await way.send(bare);
      equal([answer.status, answer.header('content-type'), answer.json?.resource, answer.json?.authorization_servers],
        [200, 'application/json', RS1, [world.issuer]], `${label}: ${where}: ${answer.text}`);
      equal((await way.send({ ...bare, method: 'HEAD' })).status, 200, `${label}: HEAD ${where}`);
    }
    equal(way.take().length, 0, `${label}: the API never sees it`);
  });
});

suite.row('paths outside of the resource never reach the API', async () => {
  await eachWay(behind, async (way, label) => {
    for (const where of ['/', '/other', '/apix', '/ap', '/API', '/api/../other', '/api/%2e%2e/other', '/api/..%2fother', '/other/..%2f..%2fapi', '/.well-known/oauth-protected-resource/../../other', '/_deputy', '/authz/decision', '/authz/auth-request', '/livez']) {
      const answer = await send(way, BEARER, { path: where });
      check(answer.status !== 401 || answer.header('www-authenticate'), `${label}: ${where}`);
      const seen = way.take();
      check(seen.every((one) => /^\/api(\/|$)/.test(new URL(one.path.replace(/%2e/gi, '.').replace(/%2f/gi, '/'), 'http://x').pathname)), () => `${label}: ${where} reached ${seen.map((one) => one.path)}`);
      check(!/^(live|ready)/.test(answer.text), `${label}: ${where} reached the guard`);
    }
    equal((await send(way, BEARER, { path: '/api/a..b' })).status, 200, `${label}: twin`);
    way.take();
  });
});

suite.row('SSE each event arrives before the next is sent', async () => {
  await eachWay(behind, async (way, label) => {
    const { headers } = material.request(BEARER, way);
    const text = await new Promise((resolve, reject) => {
      const request = http.get({ port: way.port, host: '127.0.0.1', path: '/api/stream', headers: ['Host', 'rs1.example', ...headers.flat()], agent: false }, (response) => {
        let all = '';
        response.on('data', (chunk) => {
          all += chunk;
          // The API sends its next event only now.
          if (all === 'data: first\n\n') api.streams[0].write('data: second\n\n');
          if (all === 'data: first\n\ndata: second\n\n') api.streams.shift().end('data: last\n\n');
        });
        response.on('end', () => resolve([response.statusCode, all]));
        response.on('error', reject);
      });
      request.on('error', reject);
    });
    equal(text, [200, 'data: first\n\ndata: second\n\ndata: last\n\n'], label);
    way.take();
  });
});

suite.row('an API that is gone is no refusal of the guard', async () => {
  const { port } = api;
  await api.close();
  await eachWay(behind.filter((way) => !['envoy', 'traefik'].includes(way.name)), async (way, label) => {
    const answer = await send(way, BEARER);
    oneOf(answer.status, [502, 503, 504], `${label}: ${answer.text}`);
    equal(answer.header('www-authenticate'), null, `${label}: no challenge`);
  });
  api.server = http.createServer((request, response) => api.answer(request, response).catch((error) => response.destroy(error)));
  await api.listen(port);
  await eachWay(behind, async (way, label) => {
    await until(async () => (await send(way, BEARER)).status === 200, `${label}: back`);
    way.take();
  });
  check(true, 'all are back');
});

// A guard that gives one answer to everything, to see what a proxy makes of it.
async function withFakeGuard(make, answer, run) {
  const socket = path.join(guard.folder, 'fake.sock');
  const server = http.createServer((request, response) => response.writeHead(answer.status, answer.headers).end(answer.body));
  await new Promise((resolve) => server.listen(socket, resolve));
  const { port } = await new Promise((resolve) => {
    const tcp = net.createServer((from) => from.pipe(net.connect(socket)).on('error', () => from.destroy()).pipe(from)).listen(0, '127.0.0.1', () => resolve({ port: tcp.address().port, tcp }));
    tcp.unref();
    server.on('close', () => tcp.close());
  });
  const way = make();
  try {
    await way.start({ guard: { socket, port, world }, api });
    await run(way);
  } finally {
    await way.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

suite.row('a refusal of any status arrives whole: 400, 401, 403, 429, 503, with challenge, nonce, Retry-After and body', async () => {
  for (const make of [nginx, caddy, haproxy, envoy, traefik]) {
    const { name, missing } = make();
    if (missing) continue;
    for (const status of [400, 401, 403, 429, 503]) {
      const headers = { 'Cache-Control': 'no-store', 'Content-Type': 'application/problem+json', 'Deputy-Decision': '01ARZ3NDEKTSV4RRFFQ69G5FAV', 'Retry-After': '7', 'DPoP-Nonce': 'n1' };
      if (status !== 429 && status !== 503) headers['WWW-Authenticate'] = 'Bearer error="x", DPoP error="x"';
      // The guard leaves the challenge out of a 401 that is fetched again: here it is one fake for both questions.
      const isTwice = name === 'nginx' && status === 401;
      await withFakeGuard(make, { status, headers, body: `{"status":${status}}` }, async (way) => {
        const answer = await send(way, BEARER);
        equal(answer.status, status, `${name}: ${answer.text}`);
        if (name === 'envoy' && status === 503) return; // an error of the filter: nothing is passed on
        equal(answer.text, `{"status":${status}}`, `${name}: ${status}: the body`);
        for (const [key, value] of Object.entries(headers)) {
          if (key === 'WWW-Authenticate' && isTwice) continue;
          equal([answer.count(key), answer.header(key)], [1, value], `${name}: ${status}: ${key}`);
        }
        equal(way.take().length, 0, `${name}: ${status}: nothing reached the API`);
      });
    }
  }
}, { limit_ms: 120000 });

suite.row('the next nonce, on an allow, reaches the caller and not the API; none is none', async () => {
  const identity = Object.fromEntries(['Subject', 'Client', 'Actor', 'Actor-Chain', 'Scope', 'Audience', 'Task', 'Token-Id', 'Decision'].map((name) => [`Deputy-${name}`, `x-${name}`]));
  for (const make of [nginx, caddy, haproxy, envoy]) {
    if (make().missing) continue;
    for (const nonce of [null, 'next.nonce-1_~']) {
      const headers = { 'Cache-Control': 'no-store', ...identity, ...(nonce ? { 'DPoP-Nonce': nonce } : {}) };
      await withFakeGuard(make, { status: 200, headers, body: '' }, async (way) => {
        const answer = await send(way, BEARER, { headers: [['Authorization', 'Bearer x'], ['DPoP-Nonce', 'own'], ['Deputy-Nonce', 'own']] });
        equal([answer.status, answer.header('dpop-nonce')], [200, nonce], `${way.name}: ${answer.text}`);
        const [seen] = way.take();
        check(!JSON.stringify(seen.headers).includes(nonce ?? 'reverse_proxy'), `${way.name}: the API sees it`);
        if (way.name === 'caddy') equal(seen.headers['deputy-nonce'], undefined, 'caddy: its own carrier');
        equal(seen.headers['deputy-subject'], ['x-Subject'], way.name);
      });
    }
  }
}, { limit_ms: 120000 });

// --- smuggling (group K), through each real proxy ---

const SMUGGLED = 'GET /api/smuggled HTTP/1.1\r\nHost: rs1.example\r\n\r\n';
const chunked = (text) => `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;

// Heads and bodies whose length two readers could see differently; the request inside carries no token.
const smuggling = [
  ['K01 length, then coding', ['Content-Length: 6', 'Transfer-Encoding: chunked'], `0\r\n\r\n${SMUGGLED}`],
  ['K01 coding, then length', ['Transfer-Encoding: chunked', `Content-Length: ${5 + SMUGGLED.length}`], `0\r\n\r\n${SMUGGLED}`],
  ['K02 two lengths', ['Content-Length: 0', `Content-Length: ${SMUGGLED.length}`], SMUGGLED],
  ['K02 two lengths, the other way round', [`Content-Length: ${SMUGGLED.length}`, 'Content-Length: 0'], SMUGGLED],
  ['K02 a list of lengths', [`Content-Length: 0, ${SMUGGLED.length}`], SMUGGLED],
  ['K03 a plus sign', [`Content-Length: +${SMUGGLED.length}`], SMUGGLED],
  ['K03 hexadecimal', [`Content-Length: 0x${SMUGGLED.length.toString(16)}`], SMUGGLED],
  ['K03 beyond 64 bits', ['Content-Length: 18446744073709551616'], SMUGGLED],
  ['K04 a blank before the colon', ['Content-Length : 0', `Content-Length: ${SMUGGLED.length}`], SMUGGLED],
  ['K04 coding, a blank before the colon', ['Transfer-Encoding : chunked', 'Content-Length: 5'], `0\r\n\r\n${SMUGGLED}`],
  ['K04 coding, a tab before the colon', ['Transfer-Encoding\t: chunked', 'Content-Length: 5'], `0\r\n\r\n${SMUGGLED}`],
  ['K04 coding, folded', ['Transfer-Encoding:\r\n chunked', 'Content-Length: 5'], `0\r\n\r\n${SMUGGLED}`],
  ['K08 an unknown coding', ['Transfer-Encoding: xchunked', 'Content-Length: 5'], `0\r\n\r\n${SMUGGLED}`],
  ['K08 two codings', ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity', 'Content-Length: 5'], `0\r\n\r\n${SMUGGLED}`],
  ['K08 coding with a vertical tab', ['Transfer-Encoding:\x0bchunked', 'Content-Length: 5'], `0\r\n\r\n${SMUGGLED}`],
  ['K08 coding in quotes', ['Transfer-Encoding: "chunked"', 'Content-Length: 5'], `0\r\n\r\n${SMUGGLED}`],
  ['K09 a chunk size beyond 64 bits', ['Transfer-Encoding: chunked'], `10000000000000000\r\n${SMUGGLED}\r\n0\r\n\r\n`],
  ['K09 a negative chunk size', ['Transfer-Encoding: chunked'], `-1\r\n${SMUGGLED}0\r\n\r\n`],
  ['K09 a chunk that ends elsewhere', ['Transfer-Encoding: chunked'], `3\r\nabcde\r\n0\r\n\r\n${SMUGGLED}`],
  ['K09 a bare LF behind the chunk size', ['Transfer-Encoding: chunked'], `0\n\n${SMUGGLED}`],
  ['K09 trailers with a spoofed identity', ['Transfer-Encoding: chunked', 'Trailer: Deputy-Subject'], '1\r\na\r\n0\r\nDeputy-Subject: spoofed\r\nAuthorization: Bearer spoofed\r\n\r\n'],
  ['K07 a bare CR in a value', ['X-A: a\rDeputy-Subject: spoofed', 'Content-Length: 0'], ''],
  ['K07 a bare LF as line end', ['X-A: a\nDeputy-Subject: spoofed', 'Content-Length: 0'], ''],
  ['K07 NUL in a value', ['X-A: a\0b', 'Content-Length: 0'], ''],
  ['O01 a spoofed identity, a blank before the colon', ['Deputy-Subject : spoofed', 'Content-Length: 0'], ''],
  ['O01 a spoofed identity, folded', ['X-A: a', ' Deputy-Subject: spoofed', 'Content-Length: 0'], ''],
  ['O01 a spoofed identity behind a bare CR', ['X-A: a\r\rDeputy-Subject: spoofed', 'Content-Length: 0'], ''],
];

suite.row('group K through each proxy: the API never sees a request that the guard did not, and answers pair 1:1', async () => {
  await eachWay(behind, async (way, label) => {
    for (const [name, head, body] of smuggling) {
      const { headers } = material.request(BEARER, way);
      const lines = ['POST /api/items HTTP/1.1', 'Host: rs1.example', ...headers.map((pair) => pair.join(': ')), ...head, '', ''];
      const text = await talk(way.port, Buffer.from(lines.join('\r\n') + body, 'latin1'), 400);
      const seen = way.take();
      check(!seen.some((one) => one.path.includes('smuggled')), () => `${label}: ${name}: reached the API: ${text.slice(0, 400)}`);
      for (const [key, values] of seen.flatMap((one) => Object.entries(one.headers))) {
        check(!/deputy|authorization|dpop/.test(key) || !values.join().includes('spoofed'), () => `${label}: ${name}: ${key}: ${values}`);
        check(!/[\r\n\0]/.test(values.join()), () => `${label}: ${name}: a line end in ${key}`);
      }
      check(seen.length <= 1, () => `${label}: ${name}: ${seen.length} requests`);
      const allowed = (text.match(/^HTTP\/1\.[01] 2/gm) ?? []).length;
      check(allowed === 0 || allowed === seen.length, () => `${label}: ${name}: ${allowed} good answers, ${seen.length} requests: ${text.slice(0, 600)}`);
    }
    equal((await send(way, { ...BEARER, method: 'POST', body: 'x' })).status, 200, `${label}: twin`);
    way.take();
  });
}, { limit_ms: 150000 });

suite.row('answers pair 1:1 on a connection that is kept', async () => {
  await eachWay(behind, async (way, label) => {
    const good = (i) => bytesOf({ ...material.request({ ...BEARER, method: 'POST', path: `/api/${i}`, body: 'x' }, way) });
    const bad = (i) => bytesOf({ ...material.request({ name: 'none', token: 'none', path: `/api/${i}` }, way) });
    const last = Buffer.from(good(4).toString('latin1').replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'), 'latin1');
    const text = await talk(way.port, Buffer.concat([good(0), bad(1), good(2), bad(3), last]), 10000);
    equal([...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1]), ['200', '401', '200', '401', '200'], label);
    equal(way.take().map((one) => one.path), ['/api/0', '/api/2', '/api/4'], label);
  });
});

// --- fail closed ---

// What a proxy says when there is no verdict: 503 and when to come again; Envoy and Traefik say it their way.
function checkTrouble(way, answer, label) {
  equal(answer.status, way.name === 'traefik' && way.isGuardGone ? 500 : 503, `${label}: ${answer.text}`);
  equal(answer.header('www-authenticate'), null, `${label}: G11 trouble is no challenge`);
  const isMute = way.name === 'envoy' || (way.name === 'traefik' && way.isGuardGone);
  if (!isMute) equal([answer.header('retry-after'), answer.header('cache-control'), answer.header('content-type')], ['1', 'no-store', 'application/problem+json'], label);
}

async function allClosed(list, what, cases = [BEARER, BOUND]) {
  await Promise.all(list.map(async (way) => {
    for (const one of cases) checkTrouble(way, await send(way, one), `${what}: ${way.name}`);
  }));
  equal(api.take().length, 0, `${what}: nothing reached the API`);
}

async function allOpen(what) {
  await eachWay(ways, async (way) => {
    await until(async () => (await send(way, BEARER)).status === 200, `${what}: ${way.name} recovers`);
    const fresh = await send(way, BOUND);
    way.nonce = fresh.header('dpop-nonce') ?? way.nonce;
    equal((await send(way, BOUND)).status, 200, `${what}: ${way.name}`);
    way.take();
  });
}

const asking = behind.filter((way) => way.name !== 'nginx-module');

suite.row('G11 the guard is gone: 503, never 401, nothing reaches the API; it is back without a restart of the proxy', async () => {
  await guard.down('SIGKILL');
  for (const way of asking) way.isGuardGone = true;
  try {
    await allClosed(asking, 'gone', [BEARER, BOUND, { name: 'none', token: 'none' }]);
  } finally {
    await guard.up();
    for (const way of asking) way.isGuardGone = false;
  }
  await allOpen('back');
}, { limit_ms: 90000 });

suite.row('G11 the guard hangs: 503 after a while, nothing reaches the API', async () => {
  guard.process.child.kill('SIGSTOP');
  const tasks = `/proc/${guard.process.child.pid}/task`;
  await until(() => fs.readdirSync(tasks).every((one) => /\) T /.test(fs.readFileSync(`${tasks}/${one}/stat`, 'utf8'))), 'all threads have stopped');
  try {
    await Promise.all(asking.filter((way) => way.name !== 'traefik').map(async (way) => checkTrouble(way, await send(way, BEARER), `hangs: ${way.name}`)));
  } finally {
    guard.process.child.kill('SIGCONT');
  }
  equal(api.take().length, 0, 'nothing reached the API');
  await allOpen('goes on');
}, { limit_ms: 90000 });

suite.row('G12 the issuer hangs: who needs a key that is not here gets 503 in time, all others are served, and nobody is told that the token is bad', async () => {
  const tasks = `/proc/${world.daemon.pid}/task`;
  const stranger = { name: 'stranger', token: { sign: 'stranger' } };
  await eachWay(ways.filter((way) => ['auth-request', 'nginx-module'].includes(way.name)), async (way, label) => {
    const tries = [];
    // At most one fetch in ten seconds is made for unknown keys; until then the answer is 401 at once.
    await until(async () => {
      world.daemon.process.child.kill('SIGSTOP');
      try {
        await until(() => fs.readdirSync(tasks).every((one) => /\) T /.test(fs.readFileSync(`${tasks}/${one}/stat`, 'utf8'))), 'all threads have stopped');
        const began = Date.now();
        const [answer, good] = await Promise.all([send(way, stranger), send(way, BEARER)]);
        tries.push([answer, Date.now() - began]);
        equal(good.status, 200, `${label}: a token that needs no key`);
      } finally {
        world.daemon.process.child.kill('SIGCONT');
      }
      oneOf(tries.at(-1)[0].status, [401, 503], label);
      return tries.at(-1)[0].status === 503;
    }, `${label}: a fetch is made`, 25000);
    const [answer, took_ms] = tries.at(-1);
    checkTrouble(way, answer, label);
    check(took_ms < 1000, `${label}: after ${took_ms} ms`); // 150, and what a loaded machine adds
    await until(async () => (await send(way, stranger)).status === 401, `${label}: a key that nobody has, once the issuer has answered`);
    equal((await send(way, BEARER)).status, 200, `${label}: twin`);
    way.take();
  });
}, { limit_ms: 90000 });

suite.row('G11 HAProxy: a script that fails, or a guard that says too little, lets nothing pass', async () => {
  if (!haproxy().file) skip('haproxy is not installed');
  const broken = haproxy('core.register_action("deputy", { "http-req" }, function(txn, address) error("broken") end, 1)\n');
  await broken.start({ guard, api });
  checkTrouble(broken, await send(broken, BEARER), 'broken');
  await broken.stop();
  // A guard that allows without the identity.
  const socket = path.join(guard.folder, 'mute.sock');
  const answers = [{}, { 'Deputy-Decision': 'x' }, { 'Deputy-Decision': 'x', 'Deputy-Subject': 'agent:x' }];
  const mute = http.createServer((request, response) => response.writeHead(200, answers[0]).end());
  await new Promise((resolve) => mute.listen(socket, resolve));
  const short = haproxy();
  await short.start({ guard: { socket, world }, api });
  while (answers.length > 0) {
    checkTrouble(short, await send(short, BEARER, { headers: [['Deputy-Actor', 'spoofed'], ['Authorization', 'Bearer x']] }), JSON.stringify(answers[0]));
    answers.shift();
  }
  await short.stop();
  mute.closeAllConnections();
  mute.close();
  equal(api.take().length, 0, 'nothing reached the API');
});

suite.row('N02 N03 nginx-module: with the ledger that is printed a write is run once, however often it is sent', async () => {
  const way = nginxModule({ more: (folder) => ['--ledger', path.join(folder, 'ledger')] });
  if (way.missing) skip(way.missing);
  await way.start({ guard, api });
  try {
    const { token, ...write } = material.request({ name: 'a write', method: 'POST', body: '{"pay":1}', headers: [['Idempotency-Key', '"8e03978e-40d5"'], ['Content-Type', 'application/json']] }, way);
    check(token, 'a token');
    way.take();
    const [first, second] = [await way.send(write), await way.send(write)];
    equal([first.status, first.header('idempotency-replayed')], [200, null], `the first: ${first.text}`);
    equal([second.status, second.header('idempotency-replayed'), second.text], [200, 'true', first.text], `again: ${second.text}`);
    equal(way.take().length, 1, 'it reached the API once');
    const other = await way.send({ ...write, body: '{"pay":2}' });
    equal([other.status, other.json?.type], [422, 'urn:deputy:error:idempotency-key-reused'], other.text);
    equal((await way.send({ ...write, headers: write.headers.filter(([name]) => name !== 'Idempotency-Key') })).status, 200, 'without a key it is not asked for one');
    equal(way.take().length, 1, 'the one without a key reached the API');
  } finally {
    await way.stop();
  }
});

suite.row('B37 clock jumps: tokens and proofs of another time are refused through each way, a used proof stays used', async () => {
  const here = ways.filter((way) => way.name !== 'nginx-module');
  const used = new Map();
  for (const way of here) {
    used.set(way, material.request(BOUND, way));
    equal((await way.send(used.get(way))).status, 200, `${way.name}: used`);
  }
  clock.move(86400);
  await eachWay(here, async (way, label) => {
    oneOf((await send(way, BEARER)).status, [401, 503], `${label}: a day ahead`);
    oneOf((await send(way, BOUND)).status, [401, 503], `${label}: bound, a day ahead`);
  });
  clock.move(-86400);
  await eachWay(here, async (way, label) => {
    oneOf((await send(way, BEARER)).status, [401, 503], `${label}: a day behind`);
    oneOf((await send(way, BOUND)).status, [401, 503], `${label}: bound, a day behind`);
  });
  clock.move(0);
  for (const way of here) {
    oneOf((await way.send(used.get(way))).status, [401, 503], `${way.name}: the used proof`);
    way.take();
  }
  equal(api.take().filter((one) => one.isWhole && !one.headers['deputy-subject']).length, 0, 'nothing without an identity');
  await allOpen('right again');
}, { limit_ms: 90000 });

suite.row('B36 the store of proofs is full: 503 and Retry-After through each way, nothing forgotten, and room again when they have expired', async () => {
  const small = await Guard.start(world, { env: clock.env, args: ['--proofs-max', '64'] });
  const here = [...direct(), ...proxies()].filter((way) => !way.missing && way.name !== 'nginx-module');
  try {
    for (const way of here) await way.start({ guard: small, api });
    const [first] = here;
    const nonce = await until(async () => (await send(first, BOUND)).header('dpop-nonce'), 'a nonce');
    for (const way of here) way.nonce = nonce;
    const used = material.request(BOUND, first);
    equal((await first.send(used)).status, 200, 'the first');
    for (let i = 0; (await send(first, BOUND)).status === 200; i += 1) check(i < 5000, 'it never gets full');
    for (const way of here) way.take();
    for (const way of here) {
      checkTrouble(way, await send(way, BOUND), `full: ${way.name}`);
      equal(way.take().length, 0, `full: ${way.name}: nothing reached the API`);
      equal((await send(way, BEARER)).status, 200, `full: ${way.name}: what needs no room`);
      way.take();
    }
    equal((await first.send(used)).status, 401, 'what was used is not forgotten for the new');
    clock.move(100);
    const later = { ...BOUND, proof: { at: 100 } };
    for (const way of here) {
      way.nonce = (await send(way, later)).header('dpop-nonce') ?? way.nonce;
      equal((await send(way, later)).status, 200, `${way.name}: room again`);
      way.take();
    }
  } finally {
    clock.move(0);
    for (const way of here) if (way.guard) await way.stop();
    await small.stop();
  }
}, { limit_ms: 150000 });

suite.row('O08 the feed is gone: 503 and Retry-After through each way, and all is well again when it is back', async () => {
  await world.daemon.down();
  try {
    await Promise.all(ways.map((way) => until(async () => (await send(way, BEARER)).status === 503, `${way.name}: closed`, 30000)));
    for (const way of ways) way.take();
    await allClosed(ways, 'feed gone');
  } finally {
    await world.daemon.up();
  }
  await allOpen('feed back');
}, { limit_ms: 120000 });

suite.row('the guard wrote each decision down', () => {
  const log = path.join(guard.folder, 'audit', 'log');
  const text = fs.readdirSync(log).map((name) => fs.readFileSync(path.join(log, name), 'utf8')).join('');
  const traces = new Set(text.split('\n').filter((line) => line.endsWith('}')).map((line) => JSON.parse(line).trace?.split(' ')[2]));
  for (const adapter of ['auth-request', 'forward-auth', 'ext-authz']) check(traces.has(adapter), `${adapter} in ${[...traces]}`);
});

await suite.run();
