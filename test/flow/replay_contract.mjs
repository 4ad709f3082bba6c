// The contract test of the replay stores against a real PostgreSQL with a synchronous standby, and what only such a server can show:
// the contract of all stores, and a role that may insert and read and nothing else.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { Process, program } from '../lib/daemon.mjs';
import { until } from '../lib/nodes.mjs';
import { Cluster, schema } from '../lib/postgres.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';

const suite = new Suite('replay-contract');
const cluster = await Cluster.start({ schema: schema(), count: 2 });
suite.end(() => cluster.stop());
const [one, two] = cluster.nodes;
const conninfo = cluster.guardRole();
cluster.age(600);

// Its rows are rows of this suite.
const contract = spawnSync(program('test_store_replay_store'), { encoding: 'utf8', env: { ...process.env, DEPUTY_TEST_POSTGRES: conninfo } });
const rows = contract.stdout.split('\n').filter((line) => /^(not )?ok /.test(line));
for (const line of rows)
  suite.row(`contract: ${line.replace(/^(not )?ok \d+ - /, '')}`, () => check(line.startsWith('ok '), contract.stdout.slice(-3000)));

suite.row('the contract ran, and PostgreSQL and its standby have what was taken', async () => {
  equal([contract.status, rows.length], [0, 10], `status and rows\n${contract.stderr}`);
  const count = Number(one.psql('SELECT count(*) FROM deputy.replay'));
  check(count > 2500, `${count} entries`);
  await two.untilTrue(`SELECT count(*) = ${count} FROM deputy.replay`);
});

suite.row('the role of a guard may insert and read, and nothing else', () => {
  const as = (text) => one.psql(text, { user: 'guard' });
  equal(as('SELECT count(*) > 0 FROM deputy.replay'), 't', 'twin: it reads');
  for (const text of ['DELETE FROM deputy.replay', 'TRUNCATE deputy.replay', 'UPDATE deputy.replay SET anchor = 1', 'DROP TABLE deputy.replay',
    'UPDATE deputy.replay_state SET floor_anchor = 0', 'SELECT deputy.replay_clock()', 'CREATE TABLE deputy.x ()',
    'ALTER TABLE deputy.replay DETACH PARTITION deputy.x']) {
    let said = null;
    try {
      as(text);
    } catch (error) {
      said = error.message;
    }
    check(/permission denied|must be owner|does not exist/.test(said ?? ''), `${text}: ${said}`);
  }
});

// The test program under it: starts a cluster, says which, and waits to be ended.
const LEFT = `import { Cluster } from './test/lib/postgres.mjs';
const cluster = await Cluster.start({ count: 2 });
cluster.nodes[1].signalAll('SIGSTOP');
console.log(JSON.stringify({ dir: cluster.dir, pids: cluster.nodes.map((node) => node.child.pid) }));
setInterval(() => {}, 1000);`;

suite.row('a cluster does not outlive the suite that started it, whatever ends that', async () => {
  for (const signal of ['SIGTERM', 'SIGKILL']) {
    const child = new Process(process.execPath, ['--input-type=module', '-e', LEFT]);
    const { dir, pids } = JSON.parse((await child.until(/^\{.*\}$/m))[0]);
    equal(pids.map((pid) => fs.existsSync(`/proc/${pid}`)), [true, true], 'both run');
    await child.kill(signal);
    await until(() => pids.every((pid) => !fs.existsSync(`/proc/${pid}`)) && !fs.existsSync(dir), `${signal}: nothing is left of ${dir}`);
  }
});

await suite.run();
