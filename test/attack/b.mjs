// Group B at the token endpoint: DPoP proofs. The same proofs at a guarded resource: guard.mjs.
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Key, decode, now_s, proof, randomId } from '../lib/forge.mjs';
import { Ledger, checkEcho } from '../lib/ledger.mjs';
import { Suite, check, equal, oneOf } from '../lib/tap.mjs';
import { RS1, World } from '../lib/world.mjs';
import { proofCases } from './b_cases.mjs';

const suite = new Suite('attack B');
const world = await World.start();
const { daemon } = world;
const url = `${world.issuer}/oauth/token`;
const ledger = new Ledger();
ledger.plant(...world.planted);
const key = Key.generate('ES256');
const other = Key.generate('ES256');
const client = world.CB;

const send = (dpop, options = {}) => client.token({ scope: 'read' }, { proof: dpop, ...options });
const good = (change = {}) => proof(key, { url, ...change });

async function accepted(dpop, label, options = {}) {
  for (const one of [dpop].flat()) ledger.plantToken(one);
  const answer = await send(dpop, options);
  const token = ledger.token(answer, label);
  equal(answer.json.token_type, 'DPoP', `${label}: token_type`);
  equal(decode(token).claims.cnf, { jkt: key.kid }, `${label}: cnf`);
  return token;
}

async function refused(dpop, label, { error = 'invalid_dpop_proof', ...options } = {}) {
  for (const one of [dpop].flat()) ledger.plantToken(one);
  const answer = await send(dpop, options);
  ledger.refusal(answer, { status: [400, 431], error, label });
  for (const one of [dpop].flat()) checkEcho(answer, one, label);
  if (error === 'use_dpop_nonce') {
    equal(answer.count('dpop-nonce'), 1, `${label}: DPoP-Nonce`);
    check(/^[\x21\x23-\x5B\x5D-\x7E]+$/.test(answer.header('dpop-nonce')), `${label}: the nonce's characters`);
  }
  return answer;
}

// A row with its positive twin before and after.
function row(name, run, options) {
  suite.row(
    name,
    async () => {
      await accepted(good(), `${name}: twin before`);
      await run();
      await accepted(good(), `${name}: twin after`);
    },
    options,
  );
}

for (const [name, make] of Object.entries(proofCases))
  row(name, async () => {
    const context = { key, other, url, method: 'POST', issuer: world.issuer };
    for (const [label, dpop, outcome] of make(context)) {
      if (outcome === 'accept') await accepted(dpop, `${name}: ${label}`);
      else if (outcome === 'either') {
        ledger.plantToken(dpop);
        const answer = await send(dpop);
        oneOf(answer.status, [200, 400, 431], `${name}: ${label}`);
        ledger.answer(answer, answer.status === 200 ? 'allow' : 'deny', `${name}: ${label}`);
      } else await refused(dpop, `${name}: ${label}`);
    }
  });

suite.row('B01 a client that must use DPoP sends no proof', async () => {
  const bound = world.CD;
  const label = 'B01';
  ledger.token(await bound.token({}, { proof: good() }), `${label}: twin before`);
  ledger.refusal(await bound.token(), { status: 400, error: 'invalid_dpop_proof', label });
  ledger.refusal(await bound.token({}, { headers: [['DPoP', '']] }), { status: 400, error: 'invalid_dpop_proof', label: `${label} empty` });
  ledger.token(await bound.token({}, { proof: good() }), `${label}: twin after`);
});

suite.row('B01 a resource that needs DPoP', async () => {
  await daemon.create('resources', { id: 'https://bound.example/', name: 'bound', scopes: ['read'], needs_dpop: true });
  const agent = await world.agent('bound', [{ resource: 'https://bound.example/', scopes: ['read'] }]);
  const its = await world.client('bound', 'basic', { agent });
  ledger.plant(its.secret);
  ledger.refusal(await its.token({ resource: 'https://bound.example/' }), { status: 400, error: 'invalid_dpop_proof', label: 'B01 resource' });
  ledger.token(await its.token({ resource: 'https://bound.example/' }, { proof: good() }), 'B01 resource, with a proof');
});

row('B02 two proofs: two header lines, one line with a comma', async () => {
  await refused([good(), good()], 'two lines');
  const same = good();
  await refused([same, same], 'the same twice');
  await refused(`${good()}, ${good()}`, 'joined by a comma');
  await refused(`${good()},${good()}`, 'joined by a comma alone');
  await refused(`${good()} ${good()}`, 'joined by a blank');
});

row('B03 the name of the header has no case', async () => {
  for (const name of ['DPOP', 'dpop', 'dPoP'])
    ledger.token(await client.token({ scope: 'read' }, { proof: null, headers: [[name, good()]] }), name);
});

row('B19 X-Forwarded-* and Forwarded change nothing', async () => {
  const spoof = [
    ['X-Forwarded-Host', 'evil.example'],
    ['X-Forwarded-Proto', 'https'],
    ['Forwarded', 'host=evil.example;proto=https'],
    ['X-Forwarded-Prefix', '/x'],
    ['X-Original-URL', 'https://evil.example/oauth/token'],
  ];
  await refused(good({ claims: { htu: 'https://evil.example/oauth/token' } }), 'the spoofed URL', { headers: spoof });
  await accepted(good(), 'the right URL', { headers: spoof });
  await refused(good({ claims: { htu: 'http://evil.example/oauth/token' } }), 'the Host header', { headers: [['Host', 'evil.example']] });
});

row('B25 the same proof twice', async () => {
  const once = good();
  await accepted(once, 'first');
  for (let i = 0; i < 3; i += 1) await refused(once, `again ${i}`);
  const elsewhere = client.over(daemon.wire());
  const answer = await elsewhere.token({ scope: 'read' }, { proof: once });
  ledger.refusal(answer, { status: 400, error: 'invalid_dpop_proof', label: 'on another connection' });
  elsewhere.wire.close();
});

row('B30 a hundred at the same instant: exactly one', async () => {
  for (let round = 0; round < 5; round += 1) {
    const once = good();
    ledger.plantToken(once);
    const wires = Array.from({ length: 100 }, () => daemon.wire());
    const answers = await Promise.all(wires.map((wire) => client.over(wire).token({ scope: 'read' }, { proof: once })));
    for (const wire of wires) wire.close();
    equal(answers.filter((answer) => answer.status === 200).length, 1, `round ${round}: successes`);
    for (const answer of answers)
      if (answer.status === 200) ledger.token(answer, 'B30 the one');
      else ledger.refusal(answer, { status: 400, error: 'invalid_dpop_proof', label: 'B30 the others' });
  }
});

row('B31 a broken proof does not burn the jti of the honest one', async () => {
  const jti = randomId();
  const honest = good({ claims: { jti } });
  const bytes = Buffer.from(honest.split('.')[2], 'base64url');
  bytes[5] ^= 1;
  await refused(`${honest.slice(0, honest.lastIndexOf('.'))}.${bytes.toString('base64url')}`, 'signature broken');
  await refused(good({ claims: { jti, htm: 'GET' } }), 'another method');
  await refused(good({ claims: { jti, iat: now_s() - 1000 } }), 'too old');
  const wrong = await client.token({ scope: 'nothing-of-the-kind' }, { proof: honest });
  ledger.refusal(wrong, { status: 400, error: 'invalid_scope', label: 'a request that is refused for another reason' });
  await accepted(honest, 'the honest one');
  await refused(honest, 'and again');
});

row('B33 a jti belongs to its key', async () => {
  const jti = randomId();
  await accepted(good({ claims: { jti } }), 'first key');
  const answer = await send(proof(other, { url, claims: { jti } }));
  ledger.token(answer, 'the same jti, another key');
});

row('B49 D28 a bound subject token stays bound', async () => {
  const subject = await accepted(good(), 'the subject');
  const exchange = (options) => client.exchange(subject, { resource: RS1 }, options);
  ledger.refusal(await exchange({}), { status: 400, error: 'invalid_dpop_proof', label: 'without a proof' });
  ledger.refusal(await exchange({ proof: proof(other, { url }) }), { status: 400, error: 'invalid_dpop_proof', label: 'with another key' });
  const answer = await exchange({ proof: good() });
  const token = ledger.token(answer, 'with its key');
  equal(answer.json.token_type, 'DPoP', 'token_type');
  equal(decode(token).claims.cnf.jkt, key.kid, 'cnf.jkt');
});

row('B50 introspection of a bound token shows the binding', async () => {
  const token = await accepted(good(), 'the token');
  const answer = await world.R1.introspect(token);
  equal(answer.json.active, true, 'active');
  equal(answer.json.cnf, { jkt: key.kid }, 'cnf');
  equal(answer.json.token_type, 'DPoP', 'token_type');
});

row('B52 a proof for POST on another method', async () => {
  for (const method of ['GET', 'OPTIONS', 'PUT', 'HEAD']) {
    const once = good();
    const answer = await client.wire.request({ method, path: '/oauth/token', headers: [['DPoP', once]] });
    equal(answer.status, 405, method);
    if (method !== 'HEAD') equal(answer.header('allow'), 'POST', `${method}: Allow`);
    await accepted(once, `${method}: the proof is still good for POST`);
  }
});

row('B53 no CORS headers are sent: nothing is exposed to other origins', async () => {
  const answer = await client.token({ scope: 'none-such' }, { headers: [['Origin', 'https://evil.example']] });
  check(!answer.list.some(([name]) => name.startsWith('access-control-')), 'an Access-Control header');
});

suite.row('B36 the replay store is full: 503, nothing issued', async () => {
  const small = await World.start({ config: { replay_entries_max: 1000 } });
  const its = small.CB;
  const endpoint = `${small.issuer}/oauth/token`;
  let full = null;
  for (let i = 0; i < 20000 && !full; i += 50) {
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => its.token({ scope: 'read' }, { proof: proof(key, { url: endpoint }) })),
    );
    full = answers.find((answer) => answer.status !== 200);
  }
  check(full, 'never full');
  equal(full.status, 503, full.text);
  check(Number(full.header('retry-after')) >= 1, 'Retry-After');
  check(!full.json.access_token, 'nothing issued');
  equal((await its.token({ scope: 'read' })).status, 200, 'without a proof nothing has to be remembered');
  await small.daemon.stop();
});

suite.row('B27 B42 restart: a used proof stays used, a nonce of before is no 500', async () => {
  const used = good();
  await accepted(used, 'first use');
  const ahead = good({ claims: { iat: now_s() + 8 } });
  await accepted(ahead, 'first use, dated ahead');
  const unused = good();
  for (const signal of ['SIGKILL', 'SIGTERM']) {
    await daemon.restart(signal);
    for (const [label, dpop] of [['used', used], ['used, dated ahead', ahead]]) {
      const answer = await send(dpop);
      ledger.refusal(answer, { status: 400, error: ['invalid_dpop_proof', 'use_dpop_nonce'], label: `${signal}: ${label}` });
    }
    // What was never used may be older than the start: the server cannot know, and asks for a nonce.
    const answer = await send(unused);
    ledger.refusal(answer, { status: 400, error: 'use_dpop_nonce', label: `${signal}: unused` });
    const nonce = answer.header('dpop-nonce');
    await accepted(good({ nonce }), `${signal}: with the new nonce`);
    // The used proof does not come back by a nonce: it would be another proof.
    await refused(used, `${signal}: used, once more`, { error: ['invalid_dpop_proof', 'use_dpop_nonce'] });
  }
});

// A server that always asks for a nonce.
let strict;
const nonceOf = async () => (await strict.CB.token({}, { proof: proof(key, { url: `${strict.issuer}/oauth/token` }) })).header('dpop-nonce');

suite.row('B38 B40 a nonce is needed', async () => {
  strict = await World.start({ config: { dpop_needs_nonce: true } });
  const endpoint = `${strict.issuer}/oauth/token`;
  const mine = new Ledger();
  const asked = (answer, label) => {
    mine.refusal(answer, { status: 400, error: 'use_dpop_nonce', label });
    equal(answer.count('dpop-nonce'), 1, `${label}: DPoP-Nonce`);
    return answer.header('dpop-nonce');
  };
  const nonce = asked(await strict.CB.token({}, { proof: proof(key, { url: endpoint }) }), 'B38 none');
  mine.token(await strict.CB.token({}, { proof: proof(key, { url: endpoint, nonce }) }), 'with the nonce');
  mine.token(await strict.CB.token({}, { proof: proof(key, { url: endpoint, nonce }) }), 'a nonce may serve again');
  asked(await strict.CB.token({}, { proof: proof(key, { url: endpoint }) }), 'B40 none, after one was given');
  mine.settle(strict.daemon);
});

suite.row('B39 a nonce that is not a current one of this server', async () => {
  const endpoint = `${strict.issuer}/oauth/token`;
  const nonce = await nonceOf();
  const foreign = await World.start({ config: { dpop_needs_nonce: true } });
  const theirs = (await foreign.CB.token({}, { proof: proof(key, { url: `${foreign.issuer}/oauth/token` }) })).header('dpop-nonce');
  await foreign.daemon.stop();
  const bytes = Buffer.from(nonce, 'base64url');
  bytes[bytes.length - 1] ^= 1;
  const early = Buffer.from(nonce, 'base64url');
  early[7] ^= 0x40;
  for (const [label, bad] of [
    ['random', randomId(24)],
    ['empty', ''],
    ['truncated', nonce.slice(0, -1)],
    ['longer', `${nonce}A`],
    ['flipped', bytes.toString('base64url')],
    ['another time', early.toString('base64url')],
    ["another server's", theirs],
    ['64 kB of text', 'n'.repeat(5000)],
    ['with quotes', '"\\"'],
  ]) {
    const answer = await strict.CB.token({}, { proof: proof(key, { url: endpoint, claims: { nonce: bad } }) });
    equal([answer.status, answer.json?.error], [400, 'use_dpop_nonce'], `${label}: ${answer.text}`);
    const fresh = answer.header('dpop-nonce');
    equal((await strict.CB.token({}, { proof: proof(key, { url: endpoint, nonce: fresh }) })).status, 200, `${label}: the fresh one`);
  }
  for (const bad of [5, null, [], {}, true]) {
    const answer = await strict.CB.token({}, { proof: proof(key, { url: endpoint, claims: { nonce: bad } }) });
    equal(answer.status, 400, JSON.stringify(bad));
    oneOf(answer.json.error, ['invalid_dpop_proof', 'use_dpop_nonce'], JSON.stringify(bad));
  }
});

suite.row('B42 a nonce from before a restart is refused with a fresh one where no key is kept', async () => {
  const endpoint = `${strict.issuer}/oauth/token`;
  const nonce = await nonceOf();
  await strict.daemon.restart();
  const answer = await strict.CB.token({}, { proof: proof(key, { url: endpoint, nonce }) });
  equal([answer.status, answer.json?.error], [400, 'use_dpop_nonce'], answer.text);
  const fresh = answer.header('dpop-nonce');
  equal((await strict.CB.token({}, { proof: proof(key, { url: endpoint, nonce: fresh }) })).status, 200, 'the fresh one');
  await strict.daemon.stop();
});

suite.row('B42 a nonce from before a restart is taken where nonce_key_file keeps the key, and only with that key', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
  const file = path.join(folder, 'nonce.key');
  const write = () => fs.writeFileSync(file, randomBytes(32), { mode: 0o600 });
  write();
  strict = await World.start({ config: { dpop_needs_nonce: true, dpop_skew_s: 1, nonce_key_file: file } });
  const endpoint = `${strict.issuer}/oauth/token`;
  const present = (nonce) => strict.CB.token({}, { proof: proof(key, { url: endpoint, nonce }) });
  const why = (answer) => strict.daemon.audit().find((record) => record.id === answer.header('deputy-decision')).reason;
  const nonce = await nonceOf();
  await strict.daemon.restart('SIGKILL');
  // A proof dated within the skew of the start may be one that was used before it: until then the fence stands, and the key is known.
  let answer = await present(nonce);
  for (const end = Date.now() + 20000; answer.status !== 200 && Date.now() < end; answer = await present(nonce))
    equal([answer.status, answer.json?.error, why(answer)], [400, 'use_dpop_nonce', 'DPOP_FENCE'], answer.text);
  equal(answer.status, 200, 'the same key');
  write();
  await strict.daemon.restart();
  answer = await present(nonce);
  equal([answer.status, answer.json?.error, why(answer)], [400, 'use_dpop_nonce', 'DPOP_NONCE'], `another key: ${answer.text}`);
  equal((await present(answer.header('dpop-nonce'))).status, 200, 'the fresh one');
  await strict.daemon.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

suite.row('B every refusal has exactly one record, no proof stands in any', async () => {
  check(ledger.settle(daemon).length > 100, 'records');
});

suite.end(() => daemon.stop());
await suite.run();

