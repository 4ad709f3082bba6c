// The guard over its replay stores: in memory, in SQLite, in PostgreSQL with a synchronous standby, by one guard and by two at once. A fresh DPoP
// proof per request, made before the clock starts; every answer must be 200. Prints a section of docs/bench.md.
//
//   bench/replay.mjs [REQUESTS]     DEPUTY_BUILD names the build; everything runs on this machine, the servers of PostgreSQL too
import { spawn, spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Key } from '../test/lib/forge.mjs';
import { Guard, ORIGIN } from '../test/lib/nodes.mjs';
import { Cluster, schema } from '../test/lib/postgres.mjs';
import { World } from '../test/lib/world.mjs';

const requests = Number(process.argv[2] ?? 12000);
const build = process.env.DEPUTY_BUILD;
const tool = (name) => path.join(build, 'bench', name);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-bench-'));
const world = await World.start();
const cluster = await Cluster.start({ schema: schema(), count: 3 });
cluster.age(600);
const conninfo = cluster.guardRole();

// The load generator's key, and tokens that are bound to it.
const keyFile = path.join(folder, 'key');
if (spawnSync(tool('bench_load'), ['--new-key', keyFile]).status !== 0) throw new Error('no key');
const key = new Key('ES256', crypto.createPrivateKey({ key: fs.readFileSync(keyFile), format: 'der', type: 'pkcs8' }));
const client = world.CB.withDpop(key);
const tokens = [];
for (let i = 0; i < 64; i += 1) tokens.push(await client.get({ scope: 'read' }));
const tokenFile = path.join(folder, 'tokens');
fs.writeFileSync(tokenFile, tokens.map((one) => `${one}\n`).join(''), { mode: 0o600 });

const ticks = (pid) => {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return Number(fields[11]) + Number(fields[12]);
};
const children = (pid) => fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
// CPU time of PostgreSQL, all nodes, in ticks of ten milliseconds.
const postgresTicks = () => cluster.nodes.flatMap((node) => [node.child.pid, ...children(node.child.pid)]).reduce((sum, pid) => sum + ticks(pid), 0);

function load(guard, extra) {
  const args = ['--unix', guard.socketPath, '--path', '/authz/auth-request', '--method', 'GET', '--header', 'X-Original-Method: GET', '--header',
    `X-Original-URL: ${ORIGIN}/api`, '--tokens', tokenFile, '--scheme', 'DPoP', '--dpop', `${ORIGIN}/api`, '--dpop-method', 'GET', '--key', keyFile,
    '--requests', String(requests), '--warmup', '1000', '--connections', '64', ...extra];
  return new Promise((resolve, reject) => {
    const child = spawn(tool('bench_load'), args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (chunk) => (text += chunk));
    child.on('close', (code) => {
      const figures = Object.fromEntries(text.split('\n').filter(Boolean).map((line) => line.split('=')));
      if (code === 0) resolve(figures);
      else reject(new Error(`not every answer was good\n${text}`));
    });
  });
}

async function measure(name, count, where, extra = []) {
  const guards = [];
  for (let i = 0; i < count; i += 1) guards.push(await Guard.start(world, conninfo, [], where));
  const before = [guards.reduce((sum, guard) => sum + ticks(guard.process.child.pid), 0), postgresTicks()];
  const got = await Promise.all(guards.map((guard) => load(guard, extra)));
  const asked = count * (requests + 1000);
  const cost = [guards.reduce((sum, guard) => sum + ticks(guard.process.child.pid), 0) - before[0], postgresTicks() - before[1]];
  const sum = got.reduce((total, one) => total + Number(one.rate), 0);
  const p99 = Math.max(...got.map((one) => Number(one.p99_us))) / 1000;
  console.log(`| ${name} | ${Math.round(sum)} | ${p99.toFixed(1)} | ${Math.round((cost[0] * 10000) / asked)} | ${Math.round((cost[1] * 10000) / asked)} |`);
  for (const guard of guards) await guard.stop();
}

console.log(`
## Replay stores

The table in memory (\`bench_micro_replay\`), one core, a million live entries, 36 million inserts in windows of six million; the
best of three runs:
`);
function micro() {
  const got = spawnSync(tool('bench_micro_replay'), { encoding: 'utf8' });
  const figure = Object.fromEntries(got.stdout.split('\n').filter(Boolean).map((line) => line.split('=')));
  return { figure, windows: Object.entries(figure).filter(([name]) => name.startsWith('replay_window_')).map(([, value]) => Number(value)) };
}
const slowest = (one) => Math.min(...one.windows);
const { figure, windows } = [micro(), micro(), micro()].sort((a, b) => slowest(b) - slowest(a))[0];
const verdict = (is) => (is ? 'met' : 'missed');
console.log(`| | measured | demand |
|---|---|---|
| inserts, millions a second, window by window | ${windows.join(', ')} | ≥ 10: ${verdict(Math.min(...windows) >= 10)} |
| last window against the first | ${(windows.at(-1) / windows[0]).toFixed(2)} | no decay: ${verdict(windows.at(-1) >= 0.9 * windows[0])} |
| bytes an entry | ${figure.replay_bytes_per_entry} | ≤ 32: ${verdict(Number(figure.replay_bytes_per_entry) <= 32)} |
| two threads together, millions a second | ${figure.replay_two_threads} | |

The guard, a fresh DPoP proof per request, 64 connections; PostgreSQL (primary, synchronous standby, one behind it), guards and load share
${os.cpus().length} cores, so that the CPU time of a request says more than the rate:

| | requests/s | p99 ms | guard µs/request | PostgreSQL µs/request |
|---|---|---|---|---|`);
await measure('in memory', 1, 'memory', ['--learn-nonce']);
await measure('SQLite', 1, `sqlite:${path.join(folder, 'replay.db')}`);
await measure('PostgreSQL, one guard', 1, 'postgresql:env:REPLAY');
await measure('PostgreSQL, two guards', 2, 'postgresql:env:REPLAY');
await world.daemon.stop();
await cluster.stop();
fs.rmSync(folder, { recursive: true, force: true });
