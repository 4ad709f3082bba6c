// PostgreSQL under test: clusters of its own in a directory of its own, on free ports, never a system cluster. A primary, a standby that it
// waits for (synchronous), and one behind that, so that the standby has somebody to wait for once it is promoted.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { program } from './daemon.mjs';
import { freePort } from './wire.mjs';

const ROOT = '/usr/lib/postgresql';

// The newest one that Debian has put there; null when there is none.
export function binaries() {
  const versions = fs.existsSync(ROOT) ? fs.readdirSync(ROOT).map(Number).filter((one) => one >= 15) : [];
  return versions.length ? path.join(ROOT, String(Math.max(...versions)), 'bin') : null;
}

// As an operator gets it.
export function schema() {
  const got = spawnSync(program('deputy'), ['guard', 'replay-schema'], { encoding: 'utf8' });
  if (got.status !== 0) throw new Error(`deputy guard replay-schema: ${got.stderr}`);
  return got.stdout;
}

// PostgreSQL refuses to run as root. As root it runs as the user of the package, otherwise as whoever we are.
function who() {
  if (process.getuid() !== 0) return {};
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map((flag) => Number(spawnSync('id', [flag, name]).stdout));
    if (uid > 0) return { uid, gid };
  }
  throw new Error('there is no user that PostgreSQL could run as');
}

const CONFIG = `
fsync = on
full_page_writes = on
shared_buffers = 64MB
max_connections = 40
wal_level = replica
max_wal_senders = 5
wal_retrieve_retry_interval = 100ms
wal_receiver_status_interval = 1s
hot_standby = on
log_min_messages = warning
jit = off
`;

// Ends what the suite has left behind, whatever ended the suite: its end of the pipe closes. It is told which servers run.
const KEEPER = `
pids=
while read -r what pid; do
  rest=
  for one in $pids; do [ "$one" = "$pid" ] || rest="$rest $one"; done
  pids=$rest
  [ "$what" = + ] && pids="$pids $pid"
done
for one in $pids; do kill -KILL $(cat "/proc/$one/task/$one/children") "$one"; done
rm -rf "$1"
`;

class Node {
  constructor(cluster, name, port) {
    Object.assign(this, { cluster, name, port, data: path.join(cluster.dir, name), child: null });
  }

  settings(text) {
    fs.appendFileSync(path.join(this.data, 'postgresql.conf'), text);
  }

  async up() {
    const { bin, env, dir } = this.cluster;
    this.log = fs.openSync(path.join(dir, `${this.name}.log`), 'a');
    this.child = spawn(path.join(bin, 'postgres'), ['-D', this.data, '-p', String(this.port)], { ...env, cwd: dir, detached: true,
      stdio: ['ignore', this.log, this.log] });
    this.ended = new Promise((resolve) => this.child.once('close', resolve));
    this.cluster.started(this);
    const end = Date.now() + 30000;
    while (spawnSync(path.join(bin, 'pg_isready'), ['-q', '-h', '127.0.0.1', '-p', String(this.port)]).status !== 0) {
      if (this.child.exitCode !== null || Date.now() > end) throw new Error(`PostgreSQL ${this.name} does not start\n${this.output()}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  output() {
    return fs.readFileSync(path.join(this.cluster.dir, `${this.name}.log`), 'utf8').slice(-3000);
  }

  psql(text, { user = 'postgres' } = {}) {
    const got = spawnSync(path.join(this.cluster.bin, 'psql'), ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-h', '127.0.0.1', '-p', String(this.port),
      '-U', user, '-d', 'postgres'], { input: text, encoding: 'utf8', env: { ...process.env, PGPASSWORD: this.cluster.password } });
    if (got.status !== 0) throw new Error(`psql: ${got.stderr}`);
    return got.stdout.trim();
  }

  async untilTrue(query, limit_ms = 30000) {
    const end = Date.now() + limit_ms;
    while (this.psql(query) !== 't') {
      if (Date.now() > end) throw new Error(`PostgreSQL ${this.name}: never true: ${query}\n${this.output()}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  reload() {
    this.psql('SELECT pg_reload_conf()');
  }

  // Every process of it, as when the machine is gone. It leads a process group of its own; its children lead theirs.
  crash() {
    const children = fs.readFileSync(`/proc/${this.child.pid}/task/${this.child.pid}/children`, 'utf8').trim().split(' ');
    for (const pid of [this.child.pid, ...children.filter((one) => one !== '').map(Number)])
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    this.cluster.ended(this);
    return this.ended;
  }

  // Stands still, as when the network or the disk hangs; `SIGCONT` lets it go on.
  signalAll(signal) {
    const children = fs.readFileSync(`/proc/${this.child.pid}/task/${this.child.pid}/children`, 'utf8').trim().split(' ');
    for (const pid of [this.child.pid, ...children.filter((one) => one !== '').map(Number)]) process.kill(pid, signal);
  }

  promote() {
    const got = spawnSync(path.join(this.cluster.bin, 'pg_ctl'), ['promote', '--no-wait', '-D', this.data], { ...this.cluster.env, encoding: 'utf8' });
    if (got.status !== 0) throw new Error(`pg_ctl promote: ${got.stderr}`);
  }

  async down() {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGINT');
    await this.ended;
    this.cluster.ended(this);
  }
}

export class Cluster {
  // names: "one" alone, or "one", "two", "three" in a chain, each waiting for the next.
  static async start({ schema = null, count = 3 } = {}) {
    const cluster = new Cluster();
    cluster.bin = binaries();
    if (!cluster.bin) throw new Error('PostgreSQL is not installed: apt-get install postgresql');
    cluster.env = who();
    cluster.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-pg-'));
    cluster.running = new Set();
    cluster.password = 'a-password-for-tests-only';
    if (cluster.env.uid) fs.chownSync(cluster.dir, cluster.env.uid, cluster.env.gid);
    // In a session of its own: what ends the suite does not end it.
    cluster.keeper = spawn('/bin/sh', ['-c', KEEPER, 'keeper', cluster.dir], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    cluster.keeper.unref();
    cluster.keeper.stdin.unref();
    cluster.keeper.stdin.on('error', () => {});
    const one = new Node(cluster, 'one', await freePort());
    cluster.nodes = [one];
    const file = path.join(cluster.dir, 'password');
    fs.writeFileSync(file, `${cluster.password}\n`, { mode: 0o600 });
    if (cluster.env.uid) fs.chownSync(file, cluster.env.uid, cluster.env.gid);
    cluster.run('initdb', ['-D', one.data, '-U', 'postgres', '-A', 'scram-sha-256', '--pwfile', file, '--encoding', 'UTF8', '--no-locale', '--no-sync']);
    one.settings(`${CONFIG}listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\n`);
    fs.appendFileSync(path.join(one.data, 'pg_hba.conf'), 'host replication postgres 127.0.0.1/32 scram-sha-256\n');
    await one.up();
    for (const name of ['two', 'three'].slice(0, count - 1)) await cluster.follow(name);
    if (schema) one.psql(schema);
    return cluster;
  }

  run(program, args) {
    const got = spawnSync(path.join(this.bin, program), args, { ...this.env, cwd: this.dir, encoding: 'utf8',
      env: { ...process.env, PGPASSWORD: this.password } });
    if (got.status !== 0) throw new Error(`${program}: ${got.stderr}${got.stdout}`);
  }

  // One more behind the last, which from now on waits for it.
  async follow(name) {
    const before = this.nodes.at(-1);
    const node = new Node(this, name, await freePort());
    this.run('pg_basebackup', ['-D', node.data, '-d', `host=127.0.0.1 port=${before.port} user=postgres`, '-c', 'fast', '--no-sync']);
    fs.writeFileSync(path.join(node.data, 'standby.signal'), '');
    if (this.env.uid) fs.chownSync(path.join(node.data, 'standby.signal'), this.env.uid, this.env.gid);
    node.settings(`synchronous_standby_names = ''\nprimary_conninfo = 'host=127.0.0.1 port=${before.port} user=postgres password=${this.password} application_name=${name}'\n`);
    await node.up();
    before.settings(`synchronous_standby_names = '${name}'\n`);
    before.reload();
    await before.untilTrue(`SELECT count(*) = 1 FROM pg_stat_replication WHERE application_name = '${name}' AND state = 'streaming'`);
    this.nodes.push(node);
  }

  // As if the schema had been made so long ago, before anything was in it: then nothing is fenced.
  age(seconds) {
    this.nodes[0].psql(`UPDATE deputy.replay_state SET first_anchor = first_anchor - ${seconds}, end_anchor = end_anchor - ${seconds}, floor_anchor = floor_anchor - ${seconds}`);
  }

  // A role of the least privilege, and the connection string that a guard is given.
  guardRole(name = 'guard') {
    this.nodes[0].psql(`CREATE ROLE ${name} LOGIN PASSWORD '${this.password}' IN ROLE deputy_guard`);
    return this.conninfo(name);
  }

  conninfo(user, nodes = this.nodes) {
    const hosts = nodes.map(() => '127.0.0.1').join(',');
    return `host=${hosts} port=${nodes.map((one) => one.port).join(',')} user=${user} password=${this.password} dbname=postgres sslmode=disable`;
  }

  started(node) {
    this.running.add(node);
    this.keeper.stdin.write(`+ ${node.child.pid}\n`);
  }

  ended(node) {
    this.running.delete(node);
    this.keeper.stdin.write(`- ${node.child.pid}\n`);
  }

  async stop() {
    for (const node of [...this.running].reverse()) await node.down();
    this.keeper.ref();
    this.keeper.stdin.end();
    await new Promise((resolve) => this.keeper.once('close', resolve));
  }
}
