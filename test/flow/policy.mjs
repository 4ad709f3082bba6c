// Rules at the guard, as processes: a file of rules, requests of many kinds, through the guard's process and through an API that asks
// libdeputy itself; what the log says about them; and nonces that guards of one resource share. Tokens are signed with the server's own key, so that each can say what a rule asks for.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { Process, program } from '../lib/daemon.mjs';
import { Key, compact, now_s, proof, randomId } from '../lib/forge.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { Wire, freePort } from '../lib/wire.mjs';
import { RS1, RS2, World, likeAccessToken } from '../lib/world.mjs';

const suite = new Suite('rules at the guard');
const world = await World.start();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
const issued = (await world.CB.token({ scope: 'read' })).json.access_token;
const signer = (await world.signingKeys())[0];
const nonceKey = path.join(folder, 'nonce.key');
fs.writeFileSync(nonceKey, `${randomId(32)}\n`, { mode: 0o600 });
const ORIGIN = new URL(RS1).origin;

const RULES = `
mcp_headers: compared
origins: [https://app.example]
hierarchy:
  - scope: admin
    implies: write
rules:
  - name: tools-delete
    methods: [POST]
    path: /api/mcp
    mcp_methods: [tools/call]
    mcp_names: [delete]
    scopes: admin
  - name: mcp
    methods: [POST]
    path: /api/mcp
    mcp_methods: ["*"]
    any_token: true
  - name: orders-write
    methods: [POST, PUT]
    path: /api/orders/**
    scopes: write audit
  - name: orders
    methods: [GET]
    path: /api/orders/**
    any_token: true
  - name: direct
    methods: [GET]
    path: /api/direct
    depth_max: 0
    orgs: [org1]
  - name: pay
    methods: [POST]
    path: /api/pay
    acr_values: mfa phr
    max_age_s: 120
    scopes: write
  - name: detailed
    methods: [GET]
    path: /api/accounts/*
    details_type: account
    details_actions: [read]
    details_need_location: true
  - name: bound
    methods: [GET]
    path: /api/bound
    needs_dpop: true
`;

function file(name, text) {
  const at = path.join(folder, name);
  fs.writeFileSync(at, text);
  return at;
}

const rules = file('rules.yaml', RULES);
let started = 0;

class Guard {
  static async start(args = [], resource = RS1, client = world.R1) {
    const guard = new Guard();
    started += 1;
    guard.audit = path.join(folder, `audit${started}`);
    const socketPath = path.join(folder, `guard${started}.sock`);
    guard.process = new Process(program('deputy'), ['guard', 'run', '--resource', resource, '--issuer', world.issuer, '--client', client.id,
      '--secret', 'env:GUARD_SECRET', '--listen', `unix:${socketPath}`, '--audit', guard.audit, ...args], { cwd: folder, env: { GUARD_SECRET: client.secret } });
    await guard.process.until(/listens on/, { stream: 'stderr' });
    guard.wire = new Wire({ socketPath });
    for (let i = 0; (await guard.wire.request({ path: '/readyz' })).status !== 200; i += 1) {
      if (i > 1000) throw new Error(guard.process.stderr);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return guard;
  }

  ask(method, target, token, { scheme = 'Bearer', headers = [] } = {}) {
    const list = [['X-Original-Method', method], ['X-Original-URL', `${ORIGIN}${target}`], ...headers];
    if (token) list.push(['Authorization', `${scheme} ${token}`]);
    return this.wire.request({ path: '/authz/auth-request', headers: list });
  }

  bound(key, token, nonce, target = '/api/bound') {
    const dpop = proof(key, { method: 'GET', url: `${ORIGIN}${target}`, token, nonce });
    return this.ask('GET', target, token, { scheme: 'DPoP', headers: [['DPoP', dpop]] });
  }

  records() {
    const log = path.join(this.audit, 'log');
    return fs.readdirSync(log).filter((name) => name.endsWith('.jsonl')).flatMap((name) => fs.readFileSync(path.join(log, name), 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line)));
  }

  async stop() {
    this.wire.close();
    const exit = this.process.exit ?? (await this.process.kill('SIGTERM'));
    check(!/Sanitizer|runtime error:/.test(this.process.stderr), this.process.stderr);
    equal(exit.code, 0, 'stops in order');
  }
}

// example/epoll-server.c over the same file.
class Library {
  static async start() {
    const library = new Library();
    const port = await freePort();
    library.process = new Process(program('example/epoll-server'), [String(port), RS1, world.issuer, world.R1.id, path.join(folder, 'library-audit')],
      { cwd: folder, env: { DEPUTY_SECRET: world.R1.secret, DEPUTY_RULES: rules } });
    await library.process.until(/listens on/);
    library.wire = new Wire({ port });
    const end = Date.now() + 10000;
    while ((await library.ask('GET', '/api/orders/7', 'x')).status !== 401) {
      if (Date.now() > end) throw new Error(library.process.stderr);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return library;
  }

  ask(method, target, token, { scheme = 'Bearer', headers = [], body = null } = {}) {
    const list = [...headers];
    if (token) list.push(['Authorization', `${scheme} ${token}`]);
    return this.wire.request({ method, path: target, headers: list, body });
  }

  bound(...args) {
    return Guard.prototype.bound.apply(this, args);
  }

  async stop() {
    this.wire.close();
    const exit = await this.process.kill('SIGTERM');
    check(!/Sanitizer|runtime error:/.test(this.process.stderr), this.process.stderr);
    equal(exit.code, 0, 'stops in order');
  }
}

function token(claims = {}) {
  const like = likeAccessToken(issued, { claims });
  return compact(like.header, like.claims, signer);
}

function deputy(...args) {
  const ran = spawnSync(program('deputy'), args, { encoding: 'utf8', cwd: folder, env: { ...process.env, GUARD_SECRET: 'x' } });
  return { code: ran.status, out: ran.stdout, err: ran.stderr };
}

const guard = await Guard.start(['--rules', rules, '--scope', 'read']);
const library = await Library.start();
suite.end(() => library.stop());

// The same row through each of them.
function both(name, run) {
  suite.row(`guard: ${name}`, () => run(guard));
  suite.row(`libdeputy: ${name}`, () => run(library));
}

function refused(answer, status, error, label) {
  equal(answer.status, status, `${label}: ${answer.text}`);
  equal(answer.json.error ?? null, error, label);
  return answer.header('www-authenticate') ?? '';
}

both('O03 a challenge names every scope that this operation needs, and no other', async (way) => {
  check(refused(await way.ask('POST', '/api/orders/7', null), 401, null, 'no token').startsWith('Bearer scope="read write audit"'), 'the 401');
  const line = refused(await way.ask('POST', '/api/orders/7', token()), 403, 'insufficient_scope', 'read alone');
  check(/scope="read write audit"/.test(line), line);
  equal((await way.ask('POST', '/api/orders/7', token({ scope: 'read admin audit' }))).status, 200, 'admin implies write');
  equal((await way.ask('GET', '/api/orders/7', token())).status, 200, 'another operation');
});

both('O21 what no rule is about, and paths that could be read in two ways', async (way) => {
  for (const [method, target] of [['GET', '/api/other'], ['DELETE', '/api/orders/7'], ['GET', '/'], ['BREW', '/api/orders']])
    refused(await way.ask(method, target, token()), 403, null, target);
  for (const target of ['/api/orders/../bound', '/api//orders', '/api/Orders/7', '/api/%6Frders/7', '/api/orders/7;x', '/api/orders%2F7', '/api/orders/..%2Fbound'])
    refused(await way.ask('GET', target, token()), 400, 'invalid_request', target);
  equal((await way.ask('GET', '/api/orders/7?next=/api/bound#x', token())).status, 200, 'a query changes nothing');
});

both('O07 rules by tool: headers from 2026-07-28 on, one of each, and nothing is guessed', async (way) => {
  const headers = (name, version = '2026-07-28', method = 'tools/call') => [['MCP-Protocol-Version', version], ['Mcp-Method', method], ['Mcp-Name', name]];
  const call = (list, scope = 'read') => way.ask('POST', '/api/mcp', token({ scope }), { headers: list });
  equal((await call(headers('search'))).status, 200, 'search');
  for (const name of ['delete', '=?base64?ZGVsZXRl?=']) {
    refused(await call(headers(name)), 403, 'insufficient_scope', name);
    equal((await call(headers(name), 'read admin')).status, 200, `${name} with admin`);
  }
  refused(await call(headers('search', '2025-11-25')), 403, null, 'an older client');
  refused(await call([]), 403, null, 'no headers');
  refused(await call([...headers('search'), ['Mcp-Name', 'delete']]), 400, 'invalid_request', 'two names');
  refused(await call(headers('=?base64?!?=')), 400, 'invalid_request', 'a broken name');
  refused(await call(headers('search', '2026-07-28', '')), 400, 'invalid_request', 'no method');
});

suite.row('O07 libdeputy: where the body is in sight it decides, for older clients too, and headers that say otherwise are refused', async () => {
  const message = (name) => JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } });
  const call = (body, headers = [], scope = 'read') =>
    library.ask('POST', '/api/mcp', token({ scope }), { body, headers: [['Content-Type', 'application/json'], ...headers] });
  equal((await call(message('search'))).status, 200, 'search');
  refused(await call(message('delete')), 403, 'insufficient_scope', 'delete');
  equal((await call(message('delete'), [], 'read admin')).status, 200, 'delete with admin');
  const said = (name) => [['MCP-Protocol-Version', '2026-07-28'], ['Mcp-Method', 'tools/call'], ['Mcp-Name', name]];
  equal((await call(message('search'), said('search'))).status, 200, 'both say the same');
  refused(await call(message('delete'), said('search')), 400, 'invalid_request', 'the header says another tool');
  refused(await call('[]'), 400, 'invalid_request', 'a batch');
  refused(await call(message('search').replace('"method"', '"Method"')), 400, 'invalid_request', 'another letter case');
});

both('who presents a token, through how many hands, and for which organisation', async (way) => {
  equal((await way.ask('GET', '/api/direct', token())).status, 200, 'itself');
  refused(await way.ask('GET', '/api/direct', token({ act: { sub: 'agent:X' } })), 403, null, 'through another');
  refused(await way.ask('GET', '/api/direct', token({ org_id: 'org2' })), 403, null, 'another organisation');
  refused(await way.ask('GET', '/api/direct', token({ org_id: undefined })), 403, null, 'no organisation');
});

both('step-up: the challenge says which login, how fresh, and the scopes too', async (way) => {
  for (const claims of [{}, { acr: 'pwd', auth_time: now_s() }, { acr: 'mfa' }, { acr: 'mfa', auth_time: now_s() - 600 }]) {
    const line = refused(await way.ask('POST', '/api/pay', token(claims)), 401, 'insufficient_user_authentication', JSON.stringify(claims));
    check(/acr_values="mfa phr", max_age="120"/.test(line) && /scope="read write"/.test(line), line);
  }
  equal((await way.ask('POST', '/api/pay', token({ acr: 'phr', auth_time: now_s() - 5, scope: 'read write' }))).status, 200, 'fresh and strong');
});

both('authorization_details cover the request or refuse it', async (way) => {
  const details = (action, location) => ({ authorization_details: [{ type: 'account', actions: [action], locations: [location] }] });
  equal((await way.ask('GET', '/api/accounts/7', token(details('read', `${ORIGIN}/api/accounts`)))).status, 200, 'covered');
  for (const [label, claims] of [['another action', details('write', `${ORIGIN}/api/accounts`)], ['another place', details('read', `${ORIGIN}/api/accounts/8`)], ['none', {}]])
    refused(await way.ask('GET', '/api/accounts/7', token(claims)), 403, null, label);
  refused(await way.ask('GET', '/api/accounts/7', token({ authorization_details: {} })), 401, 'invalid_token', 'malformed');
});

both('a rule that needs DPoP takes bound tokens only', async (way) => {
  const key = Key.generate('ES256');
  const bound = token({ cnf: { jkt: key.kid } });
  check(refused(await way.ask('GET', '/api/bound', token()), 401, 'invalid_token', 'bearer').startsWith('DPoP '), 'a DPoP challenge alone');
  const nonce = (await way.bound(key, bound, 'none')).header('dpop-nonce');
  equal((await way.bound(key, bound, nonce)).status, 200, 'bound');
});

both('O06 pages of other origins are refused before anything else', async (way) => {
  const from = (origin) => way.ask('GET', '/api/orders/7', token(), { headers: [['Origin', origin]] });
  equal((await from('https://app.example')).status, 200, 'named');
  for (const origin of ['https://evil.example', 'null', 'https://app.example.evil', '']) refused(await from(origin), 403, null, origin);
});

suite.row('O02 O04 O05 O20 tokens of others, no token at all, and nothing of the caller goes on', async () => {
  refused(await guard.ask('GET', '/api/orders/7', token({ aud: RS2 })), 401, 'invalid_token', 'O02 for another resource');
  const spoofed = [['Mcp-Session-Id', 's1'], ['Deputy-Subject', 'agent:root'], ['Deputy-Decision', '01JD0000000000000000000000'], ['Cookie', 'session=1']];
  refused(await guard.ask('GET', '/api/orders/7', null, { headers: spoofed }), 401, null, 'O05 a session is no token');
  const mine = token();
  const answer = await guard.ask('GET', '/api/orders/7', mine, { headers: spoofed });
  equal(answer.status, 200, answer.text);
  check(!answer.list.some(([, value]) => value.includes(mine) || value.includes(mine.split('.')[2])), 'O04 the token is in no header');
  check(answer.header('deputy-subject') !== 'agent:root' && answer.header('deputy-decision') !== spoofed[2][1], 'O20 its own headers');
  for (const inside of ['/authz', '/authz/decision/x', '/metrics', '/admin/v1/agents', '/debug'])
    equal((await guard.wire.request({ path: inside })).status, 404, `O20 ${inside}`);
});

suite.row('O09 a guard does not start on rules that say too little, too much or nothing', async () => {
  const one = 'rules:\n  - name: one\n    methods: [GET]\n    path: /a\n';
  for (const [label, text, message] of [
    ['unknown key', `${one}    scoops: read\n`, /r\.yaml:5: unknown key 'scoops'; did you mean 'scopes'\?/],
    ['asks for nothing', one, /r\.yaml:2: rule 'one': it asks for nothing/],
    ['no rules', 'rules: []\n', /r\.yaml/],
    ['blank', '', /r\.yaml/],
    ['tools without bodies', 'rules:\n  - {name: m, methods: [POST], path: /a, mcp_methods: [tools/call], scopes: read}\n', /mcp_headers: compared/],
  ]) {
    const ran = deputy('guard', 'run', '--resource', RS1, '--issuer', world.issuer, '--client', 'c', '--secret', 'env:GUARD_SECRET',
      '--listen', '127.0.0.1:0', '--audit', path.join(folder, 'never'), '--rules', file('r.yaml', text));
    equal(ran.code, 2, `${label}: ${ran.err}`);
    check(message.test(ran.err), `${label}: ${ran.err}`);
  }
});

suite.row('deputy guard check says the same without a guard', async () => {
  const say = (...args) => deputy('guard', 'check', ...args, '--rules', rules, '--scope', 'read', '--format', 'json');
  equal(JSON.parse(say('POST', '/api/orders/7').out).scopes, 'read write audit', 'scopes');
  equal(JSON.parse(say('POST', '/api/mcp', '--mcp-method', 'tools/call', '--mcp-name', 'delete').out).rule, 'tools-delete', 'tool');
  equal(JSON.parse(say('GET', '/api/other').out).reason, 'GUARD_NO_RULE', 'none');
  equal(say('GET', '/api/other', '--expect', 'none').code, 0, 'expected');
  equal(say('GET', '/api/orders/7', '--expect', 'direct').code, 7, 'not expected');
  equal(JSON.parse(say().out).length ?? JSON.parse(say().out).items.length, 8, 'all of them');
});

suite.row('B39 B42 guards of one resource share nonces by a key; a guard of another resource and the server do not', async () => {
  const key = Key.generate('ES256');
  const shared = ['--needs-nonce', '--nonce-key', `file:${nonceKey}`];
  const [one, two, apart, other] = [await Guard.start(shared), await Guard.start(shared), await Guard.start(['--needs-nonce']), await Guard.start(shared, RS2, world.R2)];
  const bound = token({ cnf: { jkt: key.kid } });
  // A nonce that is older than the sibling's start says nothing about proofs from before it.
  let nonce;
  let answer;
  for (const end = Date.now() + 10000; answer?.status !== 200 && Date.now() < end;) {
    nonce = (await one.bound(key, bound)).header('dpop-nonce');
    answer = await two.bound(key, bound, nonce);
  }
  equal(answer.status, 200, `a sibling takes it: ${answer.text}`);
  const next = answer.header('dpop-nonce');
  equal(answer.count('dpop-nonce'), 1, 'an allow brings the next one');
  const back = await one.bound(key, bound, next);
  equal(back.status, 200, `and it is good at the first: ${back.text}`);
  refused(await apart.bound(key, bound, nonce), 401, 'use_dpop_nonce', 'another key');
  const elsewhere = token({ cnf: { jkt: key.kid }, aud: RS2 });
  const at = (value) => other.wire.request({ path: '/authz/auth-request', headers: [['X-Original-Method', 'GET'], ['X-Original-URL', RS2], ['Authorization', `DPoP ${elsewhere}`], ['DPoP', proof(key, { method: 'GET', url: RS2, token: elsewhere, nonce: value })]] });
  const own = refused(await at(nonce), 401, 'use_dpop_nonce', 'another resource') && (await at(nonce)).header('dpop-nonce');
  equal((await at(own)).status, 200, 'its own');
  const server = (await world.CB.token({}, { proof: proof(key, { url: `${world.issuer}/oauth/token`, nonce }) }));
  equal(server.status, 400, 'the server');
  equal(server.json.error, 'use_dpop_nonce', 'the server');
  for (const guard of [one, two, apart, other]) await guard.stop();
});

suite.row('B10 proofs by RSA keys: refused, and taken where they are asked for', async () => {
  const rsa = await Guard.start(['--dpop-rsa']);
  for (const alg of ['PS256', 'RS256']) {
    const key = Key.generate(alg);
    const bound = token({ cnf: { jkt: key.kid } });
    const line = refused(await guard.bound(key, bound, 'none'), 401, 'invalid_dpop_proof', alg);
    check(/algs="ES256 EdDSA"/.test(line), line);
    const nonce = (await rsa.bound(key, bound, 'none')).header('dpop-nonce');
    equal((await rsa.bound(key, bound, nonce)).status, 200, `${alg}, asked for`);
    for (const [label, options] of [['1024 bits', { modulusLength: 1024 }], ['exponent 3', { publicExponent: 3 }]]) {
      const weak = Key.generate(alg, options);
      refused(await rsa.bound(weak, token({ cnf: { jkt: weak.kid } }), nonce), 401, 'invalid_dpop_proof', `${alg} ${label}`);
    }
  }
  const document = (await rsa.wire.request({ path: '/.well-known/oauth-protected-resource/api' })).json;
  equal(document.dpop_signing_alg_values_supported, ['ES256', 'EdDSA', 'PS256', 'RS256'], 'its metadata');
  await rsa.stop();
}, { limit_ms: 30000 });

suite.row('the log says which rule decided, and deputy explain shows it', async () => {
  const answer = await guard.ask('POST', '/api/orders/7', token());
  const id = answer.header('deputy-decision');
  await guard.stop();
  const record = guard.records().find((one) => one.id === id);
  equal([record.rule, record.check, record.reason], ['orders-write', 'token.scope', 'TOKEN_SCOPE'], 'the record');
  const shown = deputy('explain', id, '--log', guard.audit, '--format', 'table');
  equal(shown.code, 0, shown.err);
  check(/rule\s+orders-write/.test(shown.out) && /refused\s+token\.scope/.test(shown.out), shown.out);
  const tools = guard.records().filter((one) => one.rule === 'tools-delete');
  check(tools.length > 0 && tools.every((one) => one.tool === 'delete'), 'the tool stands in the record');
});

suite.end(async () => {
  if (!guard.process.exit) await guard.stop();
  await world.daemon.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});
await suite.run();
