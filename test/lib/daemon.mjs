// deputyd under test: its own data directory, its own port, stopped by process id, all its output kept.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Wire, freePort } from './wire.mjs';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

// The folder of the build: DEPUTY_BUILD, or build/ of this tree.
export function program(name) {
  const base = process.env.DEPUTY_BUILD ?? path.join(root, 'build');
  for (const folder of ['', 'src', 'src/server', 'src/cli', 'bin']) {
    const file = path.join(base, folder, name);
    if (fs.existsSync(file) && fs.statSync(file).isFile()) return file;
  }
  return null;
}

const started = new Set();
process.on('exit', () => {
  for (const child of started) child.kill('SIGKILL');
});

export class Process {
  constructor(file, args, { cwd, env = {} } = {}) {
    this.stdout = '';
    this.stderr = '';
    this.watchers = [];
    this.child = spawn(file, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    started.add(this.child);
    for (const name of ['stdout', 'stderr'])
      this.child[name].on('data', (chunk) => {
        this[name] += chunk;
        for (const watch of this.watchers) watch();
      });
    this.ended = new Promise((resolve) => {
      this.child.on('close', (code, signal) => {
        started.delete(this.child);
        this.exit = { code, signal };
        for (const watch of this.watchers) watch();
        resolve(this.exit);
      });
      this.child.on('error', (error) => {
        this.stderr += String(error);
        this.exit = { code: null, signal: 'spawn' };
        for (const watch of this.watchers) watch();
        resolve(this.exit);
      });
    });
  }

  // Waits until the output matches, or the process ends.
  until(pattern, { stream = 'stdout', limit_ms = 15000 } = {}) {
    return new Promise((resolve, reject) => {
      const done = (result) => {
        clearTimeout(timer);
        this.watchers = this.watchers.filter((one) => one !== watch);
        result();
      };
      const fail = (why) => done(() => reject(new Error(`${why}\nstdout: ${this.stdout}\nstderr: ${this.stderr.slice(-2000)}`)));
      const timer = setTimeout(() => fail(`no ${pattern} within ${limit_ms} ms`), limit_ms);
      const watch = () => {
        const match = pattern.exec(this[stream]);
        if (match) done(() => resolve(match));
        else if (this.exit) fail(`ended (${JSON.stringify(this.exit)}) before ${pattern}`);
      };
      this.watchers.push(watch);
      watch();
    });
  }

  kill(signal) {
    this.child.kill(signal);
    return this.ended;
  }
}

export class Daemon {
  // config: extra keys of the YAML file. dir: a directory to go on with.
  static async start({ config = {}, dir = null, port = null, env = {} } = {}) {
    const daemon = new Daemon();
    daemon.file = program('deputyd');
    if (!daemon.file) throw new Error('deputyd is not built; set DEPUTY_BUILD');
    daemon.dir = dir ?? fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
    daemon.ownsDir = dir === null;
    daemon.port = port ?? (await freePort());
    daemon.issuer = `http://127.0.0.1:${daemon.port}`;
    daemon.data = path.join(daemon.dir, 'data');
    daemon.socket = path.join(daemon.data, 'admin.sock');
    daemon.configFile = path.join(daemon.dir, 'deputyd.yaml');
    daemon.config = {
      issuer: daemon.issuer,
      listen: `127.0.0.1:${daemon.port}`,
      data_dir: daemon.data,
      ...config,
    };
    daemon.env = env;
    daemon.output = '';
    daemon.writeConfig(daemon.config);
    await daemon.up();
    return daemon;
  }

  writeConfig(config) {
    const text = Object.entries(config).map(([key, value]) => `${key}: ${value}\n`);
    fs.writeFileSync(this.configFile, text.join(''));
  }

  async up() {
    const begin = process.hrtime.bigint();
    this.process = new Process(this.file, ['--config', this.configFile], { cwd: this.dir, env: this.env });
    await this.process.until(/^deputyd ready.*\n/m);
    this.ready_ms = Number(process.hrtime.bigint() - begin) / 1e6;
  }

  get pid() {
    return this.process.child.pid;
  }

  keepOutput() {
    this.output += this.process.stdout + this.process.stderr;
  }

  // Ends the process; the directory stays.
  async down(signal = 'SIGTERM') {
    const exit = await this.process.kill(signal);
    this.keepOutput();
    this.adminWire?.close();
    this.adminWire = null;
    return exit;
  }

  async restart(signal = 'SIGTERM') {
    await this.down(signal);
    await this.up();
  }

  // Ends for good. What a sanitizer said, or another end than an orderly one, fails the suite.
  async stop() {
    const exit = this.process.exit ?? (await this.down());
    const fault = /^.*(?:Sanitizer|runtime error:).*$/m.exec(this.output);
    if (fault || (exit.code !== 0 && exit.signal === null)) throw new Error(`deputyd: ${JSON.stringify(exit)} ${fault ?? ''}\n${this.output.slice(-3000)}`);
    if (this.ownsDir && !process.env.TEST_KEEP) fs.rmSync(this.dir, { recursive: true, force: true });
  }

  wire(options = {}) {
    return new Wire({ port: this.port, ...options });
  }

  // The admin API. Gives the parsed body; throws on a status other than `want` when that is given.
  async admin(method, resource, body = undefined, { want = null, headers = [] } = {}) {
    this.adminWire ??= new Wire({ socketPath: this.socket });
    const answer = await this.adminWire.request({
      method,
      path: `/admin/v1${resource}`,
      host: 'localhost',
      headers: body === undefined ? headers : [['Content-Type', 'application/json'], ...headers],
      body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
    });
    if (want !== null && answer.status !== want)
      throw new Error(`${method} ${resource}: ${answer.status} instead of ${want}: ${answer.text}`);
    return answer;
  }

  async create(collection, body) {
    return (await this.admin('POST', `/${collection}`, body, { want: 201 })).json;
  }

  // Every audit record so far: parsed lines in order. A line that is not JSON throws.
  audit() {
    return this.auditText()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  }

  auditText() {
    const folder = path.join(this.data, 'audit', 'log');
    if (!fs.existsSync(folder)) return '';
    const files = fs.readdirSync(folder).filter((name) => name.endsWith('.jsonl')).sort();
    return files.map((name) => fs.readFileSync(path.join(folder, name), 'utf8')).join('');
  }

  // Everything written by the daemon that a person or a tool may read.
  artefacts() {
    return this.output + (this.process.exit ? '' : this.process.stdout + this.process.stderr) + this.auditText();
  }

  rss_bytes() {
    return Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${this.pid}/status`, 'utf8'))[1]) * 1024;
  }
}
