// A guard over PostgreSQL whose store forgets: a standby that lagged is promoted, a partition is dropped. What may have been used before
// is refused; what is new is taken again.
import { Caller, Guard, until } from '../lib/nodes.mjs';
import { Cluster, schema } from '../lib/postgres.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { World } from '../lib/world.mjs';

const suite = new Suite('replay-lost');
const world = await World.start();
const cluster = await Cluster.start({ schema: schema(), count: 2 });
cluster.age(600);
const [one, two] = cluster.nodes;
one.settings("synchronous_standby_names = ''\n");
one.reload();
await one.untilTrue("SELECT current_setting('synchronous_standby_names') = ''");
const guard = await Guard.start(world, cluster.guardRole(), ['--replay-alone']);
const wire = guard.wire();
suite.end(() => world.daemon.stop());
suite.end(() => cluster.stop());
suite.end(() => guard.stop());
const caller = await Caller.start(world);
const ask = (proof) => caller.ask(wire, proof);

suite.row('--replay-alone: a server without a synchronous standby will do', async () => {
  const proof = caller.proof();
  equal((await ask(proof)).status, 200, 'new');
  equal((await ask(proof)).status, 401, 'B25 used');
});

suite.row('P08 a partition that was dropped: a late proof of its time is refused, and it never comes back', async () => {
  const late = [caller.proof(), caller.proof()];
  equal((await ask(late[0])).status, 200, 'used before');
  const clock = (ahead) => one.psql(`CREATE OR REPLACE FUNCTION deputy.replay_clock() RETURNS bigint LANGUAGE sql SET search_path = pg_catalog, pg_temp
    AS $$ SELECT floor(extract(epoch FROM clock_timestamp()))::bigint + ${ahead} $$`);
  const open = () => one.psql(`SELECT is_drop_due FROM deputy.replay_open(true, ${Math.floor(Date.now() / 1000)}, 70, 10, NULL, NULL)`, { user: 'guard' });
  const partitions = () => Number(one.psql("SELECT count(*) FROM pg_inherits WHERE inhparent = 'deputy.replay'::regclass"));
  const before = partitions();
  clock(420);
  for (let i = 0; open() === 't'; i += 1) {
    check(i < 30, 'there is an end to it');
    one.psql('SELECT deputy.replay_drop()', { user: 'guard' });
  }
  equal(one.psql(`SELECT first_anchor > ${Math.floor(Date.now() / 1000)} FROM deputy.replay_state`), 't', 'the time of the proofs is gone');
  check(partitions() <= before, 'dropped, not piled up');
  for (let i = 0; i < 3; i += 1) for (const proof of late) check((await ask(proof)).status !== 200, 'refused');
  clock(0);
  open();
  for (let i = 0; i < 3; i += 1) for (const proof of [...late, caller.proof()]) check((await ask(proof)).status !== 200, 'also when the clock is back');
  // Made anew by the operator, as the documentation says. The guard finds its place again.
  one.psql(`DROP SCHEMA deputy CASCADE; ${schema()}`);
  for (const proof of late) check((await ask(proof)).status !== 200, 'a new schema knows that it knows nothing');
  await until(async () => (await ask(caller.proof())).status === 200, 'new proofs are taken');
  for (const proof of late) check((await ask(proof)).status !== 200, 'and the old ones are not');
}, { limit_ms: 90000 });

suite.row('B36 a standby that lagged is promoted: what it never heard of is not accepted again', async () => {
  const known = one.psql('SELECT count(*) FROM deputy.replay');
  await two.untilTrue(`SELECT count(*) = ${known} FROM deputy.replay`);
  await two.down();
  const used = [caller.proof(), caller.proof(), caller.proof()];
  for (const proof of used) equal((await ask(proof)).status, 200, 'used before the crash');
  await one.crash();
  await two.up();
  two.promote();
  await guard.ready();
  equal(two.psql('SELECT count(*) FROM deputy.replay'), known, 'it does not have them');
  for (let i = 0; i < 3; i += 1)
    for (const proof of used) {
      const answer = await ask(proof);
      equal([answer.status, answer.header('retry-after') !== null], [503, true], 'nobody can know');
    }
  await until(async () => (await ask(caller.proof())).status === 200, 'what is newer than the failover is taken');
  for (const proof of used) equal((await ask(proof)).status, 503, 'and the old ones are not');
}, { limit_ms: 90000 });

await suite.run();
