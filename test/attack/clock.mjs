// Times to the second, and clocks that jump: the daemon runs with a clock of ours.
import { TYPE } from '../lib/client.mjs';
import { Clock } from '../lib/clock.mjs';
import { Key, compact, decode, now_s, proof, randomId } from '../lib/forge.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { RS1, World, likeAccessToken } from '../lib/world.mjs';

const SKEW_S = 30; // of assertions
const PROOF_AGE_S = 60;
const PROOF_SKEW_S = 10;
const suite = new Suite('attack: clocks');
const clock = new Clock();
const world = await World.start({ env: clock.env });
const { daemon, C1, CB, CW, R1 } = world;
const url = `${world.issuer}/oauth/token`;
const key = Key.generate('ES256');
world.keys = await world.keysOfEveryAlg();

const sendAssertion = (text) =>
  C1.token({ scope: 'read' }, { credentials: [[], [['client_assertion_type', TYPE.assertion], ['client_assertion', text]]] });
const prove = (iat) => CB.token({ scope: 'read' }, { proof: proof(key, { url, claims: { iat } }) });
const minted = await CB.get({ scope: 'read' });
const forged = (claims) => {
  const base = likeAccessToken(minted, { claims });
  return compact(base.header, base.claims, world.keys.ES256);
};

suite.row('A47 access tokens: good before exp, dead from exp on; for its own tokens the server knows no skew', async () => {
  const now = clock.freeze();
  const active = async (claims) => (await R1.introspect(forged({ iat: now - 200, nbf: now - 200, ...claims }))).json.active;
  for (const [label, claims, want] of [
    ['exp = now + 1', { exp: now + 1 }, true],
    ['exp = now', { exp: now }, false],
    ['exp = now - 1', { exp: now - 1 }, false],
    ['exp = now - skew', { exp: now - SKEW_S }, false],
    ['exp = now - skew - 1', { exp: now - SKEW_S - 1 }, false],
    ['nbf = now', { exp: now + 100, nbf: now }, true],
    ['iat = now', { exp: now + 100, iat: now, nbf: now }, true],
    ['nbf = now + skew + 1', { exp: now + 100, nbf: now + SKEW_S + 1 }, false],
    ['iat = now + skew + 1', { exp: now + 100, iat: now + SKEW_S + 1 }, false],
    ['fractions are rounded down', { exp: now + 1.5, iat: now - 200.5 }, true],
    ['exp = now + 0.5', { exp: now + 0.5 }, false],
  ])
    equal(await active(claims), want, label);
  clock.move(0);
});

suite.row('A47 C10 assertions: the skew to the second', async () => {
  const now = clock.freeze();
  for (const [label, claims, want] of [
    ['exp = now - skew + 1', { iat: now - 100, exp: now - SKEW_S + 1 }, 200],
    ['exp = now - skew', { iat: now - 100, exp: now - SKEW_S }, 401],
    ['exp = now - skew - 1', { iat: now - 100, exp: now - SKEW_S - 1 }, 401],
    ['iat = nbf = now + skew', { iat: now + SKEW_S, nbf: now + SKEW_S, exp: now + 100 }, 200],
    ['iat = now + skew + 1', { iat: now + SKEW_S + 1, exp: now + 100 }, 401],
    ['nbf = now + skew + 1', { iat: now, nbf: now + SKEW_S + 1, exp: now + 100 }, 401],
    ['300 seconds', { iat: now, exp: now + 300 }, 200],
    ['300 seconds and the skew', { iat: now, exp: now + 300 + SKEW_S }, 200],
    ['one more', { iat: now, exp: now + 301 + SKEW_S }, 401],
  ])
    equal((await sendAssertion(C1.assertion({ claims }))).status, want, label);
  clock.move(0);
});

suite.row('B20 proofs: the window to the second', async () => {
  const now = clock.freeze();
  for (const [label, iat, want] of [
    ['now', now, 200],
    ['now + 10', now + PROOF_SKEW_S, 200],
    ['now + 11', now + PROOF_SKEW_S + 1, 400],
    ['now - 10', now - 10, 200],
    ['now - 60', now - PROOF_AGE_S, 200],
    ['now - 61', now - PROOF_AGE_S - 1, 400],
  ])
    equal((await prove(iat)).status, want, label);
  clock.move(0);
});

suite.row('B28 a proof dated ahead stays used to its last second', async () => {
  const now = clock.freeze();
  const ahead = proof(key, { url, claims: { iat: now + PROOF_SKEW_S } });
  equal((await CB.token({}, { proof: ahead })).status, 200, 'first use');
  for (const at of [0, 1, 11, 20, 59, 60, 61, 69, 70, 71, 80, 120]) {
    clock.freeze(now + at);
    equal((await CB.token({}, { proof: ahead })).status, 400, `after ${at} s`);
  }
  clock.move(0);
});

suite.row('B37 the clock goes back an hour: what was used stays used', async () => {
  const used = proof(key, { url });
  equal((await CB.token({}, { proof: used })).status, 200, 'first use');
  const assertion = C1.assertion();
  equal((await sendAssertion(assertion)).status, 200, 'first use');
  // Away and back, so that whatever is dropped on the way is missed.
  for (const offset of [-3600, 0, -30, 0, 40, 0, 3600, 0]) {
    clock.move(offset);
    equal((await CB.token({}, { proof: used })).status, 400, `the proof at ${offset} s`);
    equal((await sendAssertion(assertion)).status, 401, `the assertion at ${offset} s`);
    equal((await prove(clock.now)).status, 200, `a fresh one at ${offset} s`);
  }
  clock.move(0);
});

suite.row('B37 the clock goes back an hour over a restart', async () => {
  const used = proof(key, { url });
  equal((await CB.token({}, { proof: used })).status, 200, 'first use');
  const assertion = C1.assertion();
  equal((await sendAssertion(assertion)).status, 200, 'first use');
  for (const offset of [-3600, 0, 5, -5]) {
    await daemon.down('SIGKILL');
    clock.move(offset);
    await daemon.up();
    equal((await CB.token({}, { proof: used })).status, 400, `the proof after a start at ${offset} s`);
    equal((await sendAssertion(assertion)).status, 401, `the assertion after a start at ${offset} s`);
    clock.move(0);
    equal((await CB.token({}, { proof: used })).status, 400, 'the proof, the clock right again');
    equal((await sendAssertion(assertion)).status, 401, 'the assertion, the clock right again');
  }
});

suite.row('D10 H04 a revoked token never comes back, not when its entry ends, not when clocks jump', async () => {
  const first = await CB.get({ audience: world.worker.id, scope: 'read' });
  const child = await CW.delegate(first, { resource: RS1, scope: 'read' });
  equal((await world.RX.introspect(child)).json.active, true, 'alive');
  equal((await CB.revoke(first)).status, 200, 'revoked');
  const left_s = decode(first).claims.exp - now_s();
  const dead = async (label) => {
    // Something is written, so that the server looks at what it may drop.
    await CW.token({ scope: 'read' });
    await daemon.admin('POST', '/revocations', { kind: 'jti', id: randomId() }, { want: 201 });
    for (const token of [first, child]) equal((await world.RX.introspect(token)).json.active, false, label);
  };
  for (const at of [0, -3600, 0, -30, 1, 100, left_s - 1, left_s, 0]) {
    clock.move(at);
    await dead(`at ${at} s`);
  }
  await daemon.restart();
  await dead('after a restart');
  for (const at of [left_s - 1, left_s, left_s + 1, left_s + 10, left_s + SKEW_S - 1, left_s + SKEW_S + 1]) {
    clock.move(at);
    await dead(`at ${at} s, at the end`);
  }
  clock.move(0);
});

suite.row('A64 a retired key verifies as long as its tokens can live, and is gone then', async () => {
  const token = await CW.get({ scope: 'read' });
  const { kid: old } = decode(token).header;
  const jwks = async () => (await daemon.wire().request({ path: '/.well-known/jwks.json' })).json.keys.map((one) => one.kid);
  const { kid } = (await daemon.admin('POST', '/keys', { alg: 'ES256' }, { want: 201 })).json;
  await daemon.admin('POST', `/keys/${kid}/activate`, {}, { want: 200 });
  clock.move(decode(token).claims.exp - now_s() - 2);
  equal((await R1.introspect(token)).json.active, true, 'to the end of its life');
  check((await jwks()).includes(old), 'published');
  const signer = (await world.signingKeys()).find((one) => one.kid === old);
  // Days later nothing that the old key signs is good, whatever it says of itself.
  clock.move(2 * 86400);
  await daemon.admin('POST', '/keys', { alg: 'ES256' }, { want: 201 });
  const base = likeAccessToken(token, { claims: { iat: clock.now, nbf: clock.now, exp: clock.now + 300 } });
  const late = compact(base.header, base.claims, signer);
  equal((await R1.introspect(late)).json.active, false, 'gone');
  equal((await CW.exchange(late, { resource: RS1 })).json.error, 'invalid_request', 'gone at exchange');
  check(!(await jwks()).includes(old), 'not published');
  clock.move(0);
});

suite.row('C20 a secret of a rotation ends at its second', async () => {
  const old = CW.secret;
  const { client_secret: next } = (await daemon.admin('POST', `/clients/${CW.id}/rotate-secret`, { overlap_s: 100 }, { want: 200 })).json;
  const status = async (secret) => {
    CW.secret = secret;
    return (await CW.token({ scope: 'read' })).status;
  };
  equal([await status(old), await status(next)], [200, 200], 'both');
  clock.move(95);
  equal([await status(old), await status(next)], [200, 200], 'just before');
  clock.move(102);
  equal([await status(old), await status(next)], [401, 200], 'just after');
  clock.move(0);
});

suite.row('C23 a lock ends by itself', async () => {
  const attacker = CB.over(daemon.wire({ localAddress: '127.0.3.1' }));
  attacker.secret = 'x'.repeat(43);
  let answer;
  for (let i = 0; i < 100; i += 1) {
    answer = await attacker.token({ scope: 'read' });
    if (answer.status === 429) break;
  }
  equal(answer.status, 429, 'locked');
  const honest = CB.over(attacker.wire);
  equal((await honest.token({ scope: 'read' })).status, 429, 'locked for the right secret too');
  clock.move(Number(answer.header('retry-after')) + 1);
  equal((await honest.token({ scope: 'read' })).status, 200, 'after Retry-After');
  clock.move(0);
});

suite.end(async () => {
  await daemon.stop();
  clock.done();
});
await suite.run();
