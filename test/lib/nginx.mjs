// Debian's nginx with ngx_http_deputy_module in it: its own folder, stopped by process id. A module with a sanitizer in it gets the
// sanitizer's library loaded first, and its reports are looked for at the end.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Process, program } from './daemon.mjs';
import { skip } from './tap.mjs';
import { freePort } from './wire.mjs';

export function nginxFile() {
  return ['/usr/sbin/nginx', '/usr/bin/nginx', '/sbin/nginx'].find((one) => fs.existsSync(one)) ?? null;
}

export const modulePath = () => program('nginx/ngx_http_deputy_module.so');

// Why there can be no nginx with the module here; null when there can.
function whyNot() {
  if (!nginxFile()) return 'nginx is not installed';
  if (!modulePath()) return 'the module is not built: nginx-dev is missing';
  // TSan must see every thread and lock of a process, and nginx is not built with it.
  return process.env.DEPUTY_SANITIZER === 'tsan' ? 'nginx is not built with TSan' : null;
}

// Rows that are skipped where there is no nginx with the module.
export function needsNginx(suite) {
  const why = whyNot();
  const row = suite.row.bind(suite);
  suite.row = (name, run, more) => row(name, why ? () => skip(why) : run, more);
}

// The sanitizer libraries the module was linked with: they must come first in the process.
function sanitizerOf(file) {
  const lines = execFileSync('ldd', [file], { encoding: 'utf8' }).split('\n');
  return lines.filter((line) => /lib[at]san\.so/.test(line)).map((line) => line.trim().split(/\s+/)[2]);
}

export class Nginx {
  constructor() {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
    this.log = path.join(this.folder, 'audit');
  }

  // server: what stands in server {}, given the port. http: what stands beside it.
  static async start({ server, http = '', workers = 1, main = '', port = null }) {
    const nginx = new Nginx();
    nginx.file = nginxFile();
    nginx.module = modulePath();
    nginx.port = port ?? (await freePort());
    nginx.origin = `http://127.0.0.1:${nginx.port}`;
    nginx.parts = { server, http, workers, main };
    await nginx.up();
    return nginx;
  }

  secret(name, text) {
    const file = path.join(this.folder, name);
    fs.writeFileSync(file, `${text}\n`, { mode: 0o600 });
    return `file:${file}`;
  }

  write() {
    const { server, http, workers, main } = this.parts;
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${this.folder}/${name};`);
    const user = process.getuid() === 0 ? 'user root;' : '';
    this.configFile = path.join(this.folder, 'nginx.conf');
    fs.writeFileSync(this.configFile, `load_module ${this.module};
daemon off; ${user} worker_processes ${workers}; pid ${this.folder}/nginx.pid; error_log ${this.folder}/error.log info; ${main}
events { worker_connections 256; }
http {
  access_log off;
  ${temporary.join(' ')}
  ${typeof http === 'function' ? http(this) : http}
  server {
    listen 127.0.0.1:${this.port};
    ${server(this)}
  }
}
`);
  }

  // What `nginx -t` says about the configuration: { code, text }.
  static async check(module, text, folder) {
    const file = path.join(folder, 'check.conf');
    fs.writeFileSync(file, `load_module ${module}; pid ${folder}/check.pid; events {}\n${text}`);
    const run = new Process(nginxFile(), ['-t', '-c', file, '-p', folder, '-e', path.join(folder, 'check.log')], { cwd: folder, env: Nginx.env(module, folder) });
    const { code } = await run.ended;
    return { code, text: run.stderr };
  }

  static env(module, folder) {
    const libraries = sanitizerOf(module);
    if (!libraries.length) return {};
    // nginx keeps memory of its own to the end; the module's comes from elsewhere.
    fs.writeFileSync(path.join(folder, 'suppressions'), 'leak:ngx_alloc\nleak:ngx_memalign\n');
    return {
      LD_PRELOAD: libraries.join(' '),
      ASAN_OPTIONS: `detect_leaks=1:log_path=${folder}/sanitizer`,
      UBSAN_OPTIONS: `print_stacktrace=1:log_path=${folder}/sanitizer`,
      LSAN_OPTIONS: `suppressions=${folder}/suppressions:print_suppressions=0`,
    };
  }

  async up() {
    this.write();
    this.process = new Process(this.file, ['-c', this.configFile, '-p', this.folder, '-e', path.join(this.folder, 'error.log')],
      { cwd: this.folder, env: Nginx.env(this.module, this.folder) });
    await this.until(() => fetch(`${this.origin}/`).then(() => true, () => false), 'nginx answers');
  }

  async until(probe, what, limit_ms = 20000) {
    const end = Date.now() + limit_ms;
    for (;;) {
      const got = await probe();
      if (got) return got;
      if (this.process.exit) throw new Error(`nginx ended: ${this.process.stderr} ${this.errors()}`);
      if (Date.now() > end) throw new Error(`not in time: ${what}; ${this.errors()}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  errors() {
    const file = path.join(this.folder, 'error.log');
    return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
  }

  // Process ids of the workers that are not draining.
  workers() {
    const pid = this.process.child.pid;
    const all = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return (all === '' ? [] : all.split(' ')).map(Number).filter((one) => {
      try {
        return /nginx: worker process\0*$/.test(fs.readFileSync(`/proc/${one}/cmdline`, 'utf8'));
      } catch {
        return false;
      }
    });
  }

  // With another configuration if one is given; over when none of the old workers serves.
  async reload(parts = {}) {
    const old = this.workers();
    Object.assign(this.parts, parts);
    this.write();
    this.process.child.kill('SIGHUP');
    await this.until(() => {
      const now = this.workers();
      return now.length >= this.parts.workers && old.every((one) => !now.includes(one));
    }, 'new workers');
  }

  // All records of all logs of the workers.
  records(log = this.log) {
    const text = fs.readdirSync(log).filter((name) => /^\d+$/.test(name)).flatMap((slot) => {
      const folder = path.join(log, slot, 'log');
      return fs.readdirSync(folder).map((name) => fs.readFileSync(path.join(folder, name), 'utf8'));
    }).join('');
    return text.split('\n').filter((line) => line.endsWith('}')).map((line) => JSON.parse(line));
  }

  reports() {
    return fs.readdirSync(this.folder).filter((name) => name.startsWith('sanitizer')).map((name) => fs.readFileSync(path.join(this.folder, name), 'utf8'));
  }

  async stop(signal = 'SIGQUIT') {
    const exit = this.process.exit ?? (await this.process.kill(signal));
    const reports = this.reports();
    const crash = /exited on signal (?!9\b)\d+|\[(alert|emerg)\].*/.exec(this.errors().replace(/^.*exited on signal 9.*$/gm, ''));
    if (!process.env.TEST_KEEP) fs.rmSync(this.folder, { recursive: true, force: true });
    if (reports.length) throw new Error(`nginx: ${reports[0].slice(0, 4000)}`);
    if (crash) throw new Error(`nginx: ${crash[0]}`);
    if (exit.code !== 0) throw new Error(`nginx: ${JSON.stringify(exit)} ${this.process.stderr}`);
    return exit;
  }
}
