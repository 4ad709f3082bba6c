// Two guards, one PostgreSQL: every proof goes to both at once and is accepted once, also when the primary dies in the middle and its
// synchronous standby is promoted. Then what must be refused: a store that hangs, one that waits for nobody, one that has forgotten.
//
// REPLAY_PROOFS says how many proofs; the figures of docs/bench.md are for 100000.
import { now_s } from '../lib/forge.mjs';
import { Caller, Guard, until, verdict } from '../lib/nodes.mjs';
import { Cluster, schema } from '../lib/postgres.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { World } from '../lib/world.mjs';

const PROOFS = Number(process.env.REPLAY_PROOFS ?? 5000);
const LANES = 48;
const suite = new Suite('replay-pg');
const world = await World.start();
const cluster = await Cluster.start({ schema: schema(), count: 3 });
cluster.age(600);
const conninfo = cluster.guardRole();
const [one, two] = cluster.nodes;
const guards = [await Guard.start(world, conninfo), await Guard.start(world, conninfo)];
const wires = guards.map((guard) => guard.wire());
suite.end(() => world.daemon.stop());
suite.end(() => cluster.stop());
suite.end(() => Promise.all(guards.map((guard) => guard.stop())));
const caller = await Caller.start(world);

const statuses = async (proof) => (await Promise.all(wires.map((wire) => caller.ask(wire, proof)))).map(verdict);
const sorted = async (proof) => (await statuses(proof)).sort();
const works = async () => (await caller.ask(wires[0], caller.proof())).status === 200 && (await caller.ask(wires[1], caller.proof())).status === 200;

suite.row('B30 a proof that goes to both guards is accepted by one; B25 and by none a second time', async () => {
  for (let i = 0; i < 50; i += 1) {
    const proof = caller.proof();
    equal(await sorted(proof), [200, 401], 'at once');
    equal(await statuses(proof), [401, 401], 'again');
  }
});

suite.row('B26 first to one node, then to the other after 0, 10 and 100 ms: exactly one success', async () => {
  for (const after_ms of [0, 10, 100])
    for (const [first, second] of [wires, [...wires].reverse()]) {
      const proof = caller.proof();
      const answers = [caller.ask(first, proof)];
      await new Promise((resolve) => setTimeout(resolve, after_ms));
      answers.push(caller.ask(second, proof));
      equal((await Promise.all(answers)).map(verdict).sort(), [200, 401], `after ${after_ms} ms`);
      // Another proof is good at both.
      equal([verdict(await caller.ask(first, caller.proof())), verdict(await caller.ask(second, caller.proof()))], [200, 200], 'twin');
    }
});

suite.row('the password stands in no argument and in nothing that is written', () => {
  for (const guard of guards) {
    check(!guard.process.child.spawnargs.join(' ').includes(cluster.password), 'arguments');
    check(!guard.process.stderr.includes(cluster.password), 'standard error');
  }
  equal(one.psql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'guard'"), '2', 'one session for each guard');
});

suite.row('B36 a store that hangs: 503 with Retry-After and never 401 or 200; it comes back without a restart', async () => {
  const taken = caller.proof();
  const during = [];
  equal((await caller.ask(wires[0], taken)).status, 200, 'before');
  one.signalAll('SIGSTOP');
  try {
    for (let i = 0; i < 3; i += 1) {
      const proof = caller.proof();
      const answers = await Promise.all(wires.map((wire) => caller.ask(wire, proof)));
      equal(answers.map((answer) => [answer.status, answer.header('retry-after') !== null]), [[503, true], [503, true]], `try ${i}`);
      equal(answers.map((answer) => answer.count('www-authenticate')), [0, 0], 'no challenge');
      during.push(proof);
    }
  } finally {
    one.signalAll('SIGCONT');
  }
  await Promise.all(guards.map((guard) => guard.ready()));
  await until(works, 'both guards work again');
  equal(await statuses(taken), [401, 401], 'what was taken stays taken');
  for (const proof of during) check((await sorted(proof)).filter((status) => status === 200).length <= 1, 'burnt or new, once');
  for (const proof of during) equal(await statuses(proof), [401, 401], 'and then never again');
});

suite.row('B36 a server that names no synchronous standby is refused, and taken again when it does', async () => {
  const taken = caller.proof();
  equal((await caller.ask(wires[0], taken)).status, 200, 'before');
  one.settings("synchronous_standby_names = ''\n");
  one.reload();
  await one.untilTrue("SELECT current_setting('synchronous_standby_names') = ''");
  await until(async () => (await statuses(caller.proof())).every((status) => status === 503), 'both refuse');
  for (let i = 0; i < 20; i += 1) equal(await statuses(caller.proof()), [503, 503], 'and go on refusing');
  one.settings("synchronous_standby_names = 'two'\n");
  one.reload();
  await until(works, 'both guards work again');
  equal(await statuses(taken), [401, 401], 'what was taken stays taken');
});

suite.row('B36 a standby that is gone: nothing is confirmed, so nothing is accepted', async () => {
  two.signalAll('SIGSTOP');
  const during = caller.proof();
  try {
    equal(await statuses(during), [503, 503], 'unknown');
  } finally {
    two.signalAll('SIGCONT');
  }
  await until(works, 'both guards work again');
  check((await statuses(during)).filter((status) => status === 200).length <= 1, 'burnt or new');
  equal(await statuses(during), [401, 401], 'and then never again');
});

// One proof to both guards, and again to whichever could not say, until both have said. Gives how often it was accepted and whether
// it met trouble.
async function settle(lane, proof) {
  const said = [0, 0];
  let accepted = 0;
  let met = false;
  const end = Date.now() + 40000;
  while (said.some((status) => status === 0)) {
    const answers = await Promise.all(lane.map((wire, i) => (said[i] === 0 ? caller.ask(wire, proof) : null)));
    for (const [i, answer] of answers.entries()) {
      if (!answer) continue;
      if (answer.status !== 503) said[i] = verdict(answer);
      else if (answer.header('retry-after') === null) throw new Error('503 without Retry-After');
      met ||= answer.status === 503;
      accepted += answer.status === 200;
    }
    if (said.some((status) => status === 0)) await new Promise((resolve) => setTimeout(resolve, 2));
    if (Date.now() > end) throw new Error(`never said: ${said}`);
  }
  return { accepted, met, strange: said.some((status) => status !== 200 && status !== 401) };
}

suite.row('B30 every proof to both guards at once, the primary killed in the middle and the standby promoted: none accepted twice', async () => {
  const count = { once: 0, never: 0, twice: 0, burnt: 0, strange: 0 };
  const before = []; // accepted before the crash, as young as can be
  let next = 0;
  let killed = 0;
  let back = 0;
  const began = Date.now();
  const lanes = Array.from({ length: LANES }, () => guards.map((guard) => guard.wire()));
  const run = async (lane) => {
    while (next < PROOFS) {
      next += 1;
      if (next === Math.floor(PROOFS / 2)) {
        killed = Date.now();
        one.crash().catch(() => {});
        two.promote();
      }
      const proof = caller.proof();
      const asked = Date.now();
      const { accepted, met, strange } = await settle(lane, proof);
      count[['never', 'once'][accepted] ?? 'twice'] += 1;
      count.strange += strange;
      count.burnt += accepted === 0 && met;
      if (accepted === 1 && !killed) before.push(proof);
      if (before.length > 2000) before.shift();
      // The first that was accepted by the promoted one: asked after the crash, or in trouble because of it.
      if (killed && !back && accepted === 1 && (asked > killed || met)) back = Date.now();
    }
  };
  await Promise.all(lanes.map(run));
  const took = Date.now() - began;
  console.log(`# ${PROOFS} proofs, each to both guards: ${JSON.stringify(count)}`);
  console.log(`# ${took} ms in all; outage ${back - killed} ms from the kill to the first proof accepted by the promoted standby`);
  equal([count.twice, count.strange], [0, 0], 'accepted twice, or answered otherwise');
  equal(count.once + count.burnt, PROOFS, 'each was accepted once, or burnt by an insert whose outcome nobody learned');
  check(count.burnt <= LANES, `${count.burnt} burnt: no more than were under way`);
  let again = 0;
  for (let i = 0; i < before.length; i += LANES)
    for (const said of await Promise.all(before.slice(i, i + LANES).map((proof, k) => Promise.all(lanes[k].map((wire) => caller.ask(wire, proof))))))
      again += said.filter((answer) => verdict(answer) !== 401).length;
  check(before.length > 100, `${before.length} accepted before the crash`);
  equal(again, 0, 'what the dead primary had confirmed is known to the promoted standby');
  for (const lane of lanes) for (const wire of lane) wire.close();
  equal(guards.map((guard) => guard.process.exit ?? null), [null, null], 'no guard was restarted');
}, { limit_ms: 400000 });

suite.row('B25 a restarted guard takes nothing that another has taken', async () => {
  const last = now_s();
  await until(() => now_s() > last, 'the next second');
  // So new that the restart fence does not need a nonce: the store alone can refuse it.
  const [proof, other] = [caller.proof({ iat: now_s() + 10 }), caller.proof({ iat: now_s() + 10 })];
  equal(verdict(await caller.ask(wires[0], proof)), 200, 'first use');
  await guards[1].process.kill('SIGKILL');
  await guards[1].up();
  equal(verdict(await caller.ask(wires[1], proof)), 401, 'there');
  equal(verdict(await caller.ask(wires[1], other)), 200, 'twin: one that nobody has taken');
  equal(verdict(await caller.ask(wires[0], other)), 401, 'here');
});

await suite.run();
