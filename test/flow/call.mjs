// deputy as a client of servers that mean no good: every proof is used once, a nonce is taken once, a token that is not bound is
// thrown away, and no address that an answer names gets a credential.
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Process, program } from '../lib/daemon.mjs';
import { decode } from '../lib/forge.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';

const suite = new Suite('deputy as a client');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
const pem = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'pem', type: 'pkcs8' });
fs.writeFileSync(path.join(folder, 'key.pem'), pem, { mode: 0o600 });

// Whoever connects here was sent by an answer.
const trap = net.createServer((socket) => {
  trap.seen += 1;
  socket.destroy();
});
trap.seen = 0;
await new Promise((resolve) => trap.listen(0, '127.0.0.1', resolve));
const elsewhere = `http://127.0.0.1:${trap.address().port}`;

const server = http.createServer((request, response) => {
  server.asked.push({ url: request.url, proof: request.headers.dpop ?? null, authorization: request.headers.authorization ?? null });
  server.answer(request, response);
});
server.asked = [];
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const origin = `http://127.0.0.1:${server.address().port}`;

async function deputy(...args) {
  const running = new Process(program('deputy'), args, { cwd: folder, env: { TOKEN: 'header.payload.signature', SECRET: 'a-secret-of-thirty-two-characters' } });
  const { code } = await running.ended;
  check(!/Sanitizer|runtime error:/.test(running.stderr), running.stderr);
  return { code, out: running.stdout, err: running.stderr };
}

function play(answers) {
  server.asked = [];
  server.answer = (request, response) => {
    const [status, headers, body] = answers[Math.min(server.asked.length - 1, answers.length - 1)];
    response.writeHead(status, headers).end(body ?? '');
  };
}

const call = (...more) => deputy('call', `${origin}/api`, '--token', 'env:TOKEN', '--dpop-key', 'file:key.pem', ...more);
const WANTS = { 'WWW-Authenticate': 'Bearer error="use_dpop_nonce", DPoP error="use_dpop_nonce", algs="ES256"', 'DPoP-Nonce': 'n1' };

suite.row('a nonce is taken once, in a new proof with a new jti', async () => {
  play([[401, WANTS], [200, {}, 'fine']]);
  const ran = await call();
  equal([ran.code, ran.out], [0, 'fine'], ran.err);
  const [first, second] = server.asked.map((one) => decode(one.proof).claims);
  equal([first.nonce, second.nonce], [undefined, 'n1'], 'nonces');
  check(first.jti !== second.jti, 'jti');
  play([[401, { ...WANTS, 'DPoP-Nonce': 'n2' }]]);
  equal((await call()).code, 4, 'no third try');
  equal(server.asked.length, 2, 'two tries');
});

suite.row('without a nonce, or for another fault, nothing is tried again', async () => {
  for (const headers of [{ 'WWW-Authenticate': WANTS['WWW-Authenticate'] }, { 'WWW-Authenticate': 'DPoP error="invalid_token"', 'DPoP-Nonce': 'n1' },
    { 'WWW-Authenticate': 'DPoP realm="use_dpop_nonce"', 'DPoP-Nonce': 'n1' }, { 'DPoP-Nonce': 'n1' }]) {
    play([[401, headers]]);
    equal((await call()).code, 4, JSON.stringify(headers));
    equal(server.asked.length, 1, JSON.stringify(headers));
  }
});

suite.row('O15 addresses in challenges and redirects get no connection', async () => {
  for (const answer of [
    [401, { 'WWW-Authenticate': `DPoP realm="${elsewhere}", authorization_uri="${elsewhere}/authorize", resource_metadata="${elsewhere}/.well-known/oauth-protected-resource"` }],
    [401, { ...WANTS, 'WWW-Authenticate': `${WANTS['WWW-Authenticate']}, resource_metadata="${elsewhere}/x"`, Link: `<${elsewhere}>; rel="authorization"` }],
    [307, { Location: `${elsewhere}/api` }],
    [308, { Location: `${elsewhere}/api` }],
  ]) {
    play([answer]);
    await call();
    equal(trap.seen, 0, JSON.stringify(answer));
  }
});

suite.row('a server that answers with a Bearer token to a DPoP request: the token is thrown away', async () => {
  const metadata = JSON.stringify({ issuer: origin, token_endpoint: `${origin}/token`, jwks_uri: `${origin}/keys` });
  const json = { 'Content-Type': 'application/json' };
  const get = (...more) => deputy('token', 'get', '--url', origin, '--client', 'c', '--secret', 'env:SECRET', '--raw', ...more);
  for (const [type, code, out] of [['DPoP', 0, 'the-token\n'], ['dpop', 0, 'the-token\n'], ['Bearer', 4, ''], ['bearer', 4, '']]) {
    server.answer = (request, response) => response.writeHead(200, json).end(request.url === '/token' ? JSON.stringify({ access_token: 'the-token', token_type: type, expires_in: 60 }) : metadata);
    const ran = await get('--dpop-key', 'file:key.pem');
    equal([ran.code, ran.out], [code, out], `${type}: ${ran.err}`);
    check(code === 0 || !ran.err.includes('the-token'), 'not in the fault either');
  }
  equal((await get()).code, 0, 'Bearer, where no key was given');
});

suite.row('O12 metadata that names another issuer, or endpoints elsewhere in clear text, gets no secret', async () => {
  for (const change of [{ issuer: elsewhere }, { token_endpoint: 'javascript:alert(1)' }, { token_endpoint: 'http://10.0.0.1/token' }, { token_endpoint: 'http://as.example/token' }]) {
    const metadata = JSON.stringify({ issuer: origin, token_endpoint: `${origin}/token`, jwks_uri: `${origin}/keys`, ...change });
    server.asked = [];
    server.answer = (request, response) => response.writeHead(200, { 'Content-Type': 'application/json' }).end(metadata);
    const ran = await deputy('token', 'get', '--url', origin, '--client', 'c', '--secret', 'env:SECRET', '--raw');
    check(ran.code !== 0, JSON.stringify(change));
    check(server.asked.every((one) => one.authorization === null), 'no credential was sent');
    equal(trap.seen, 0, JSON.stringify(change));
  }
});

suite.end(async () => {
  trap.close();
  server.closeAllConnections();
  server.close();
  fs.rmSync(folder, { recursive: true, force: true });
});
await suite.run();
