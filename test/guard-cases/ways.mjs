// The ways to the guard: asked directly as a proxy asks it, and through real proxies that run what `deputy guard snippet` prints.
//
// A way has a name, start(), send(request) -> Answer, take() -> what reached the API since the last take, stop().
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { Process, program } from '../lib/daemon.mjs';
import { Nginx, modulePath } from '../lib/nginx.mjs';
import { Wire, freePort } from '../lib/wire.mjs';
import { RS1 } from '../lib/world.mjs';

export const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(probe, what, limit_ms = 15000) {
  const end = Date.now() + limit_ms;
  for (;;) {
    const got = await probe();
    if (got) return got;
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await wait(10);
  }
}

export function grouped(rawHeaders) {
  const headers = {};
  for (let i = 0; i < rawHeaders.length; i += 2) (headers[rawHeaders[i].toLowerCase()] ??= []).push(rawHeaders[i + 1]);
  return headers;
}

// The guard's own process, on a Unix socket and a port.
export class Guard {
  static async start(world, { env = {}, args = [], isReady = true } = {}) {
    const guard = new Guard();
    Object.assign(guard, { world, env, args, folder: fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-')), port: await freePort() });
    guard.socket = path.join(guard.folder, 'guard.sock');
    await guard.up(isReady);
    return guard;
  }

  async up(isReady = true) {
    const args = ['guard', 'run', '--resource', RS1, '--issuer', this.world.issuer, '--client', this.world.R1.id, '--secret', 'env:GUARD_SECRET',
      '--listen', `unix:${this.socket}`, '--listen', `127.0.0.1:${this.port}`, '--audit', path.join(this.folder, 'audit'), '--scope', 'read',
      '--scopes-offered', 'read write', ...this.args];
    this.process = new Process(program('deputy'), args, { cwd: this.folder, env: { GUARD_SECRET: this.world.R1.secret, ...this.env } });
    await this.process.until(/listens on.*port/, { stream: 'stderr' });
    this.wire = new Wire({ socketPath: this.socket });
    if (isReady) await until(async () => (await this.wire.request({ path: '/readyz' })).status === 200, 'the guard is ready');
  }

  async down(signal = 'SIGTERM') {
    this.wire.close();
    const exit = this.process.exit ?? (await this.process.kill(signal));
    if (/Sanitizer|runtime error:/.test(this.process.stderr)) throw new Error(`the guard: ${this.process.stderr}`);
    return exit;
  }

  async stop() {
    await this.down();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

// The API behind the proxies: it notes what it is told. /api/stream sends an event and leaves the rest to the test.
export class Api {
  static async start() {
    const api = new Api();
    api.seen = [];
    api.streams = [];
    api.server = http.createServer((request, response) => api.answer(request, response).catch((error) => response.destroy(error)));
    await api.listen(0);
    return api;
  }

  async listen(port) {
    await new Promise((resolve, reject) => this.server.listen(port, '127.0.0.1', resolve).on('error', reject));
    this.port = this.server.address().port;
  }

  async answer(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    this.seen.push({ method: request.method, path: request.url, headers: grouped(request.rawHeaders), body, isWhole: true });
    if (request.url.startsWith('/api/stream')) {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write('data: first\n\n');
      this.streams.push(response);
      return;
    }
    const text = JSON.stringify({ method: request.method, path: request.url, body });
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': text.length }).end(text);
  }

  take() {
    return this.seen.splice(0);
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}

const OWN = /^(x-original-|x-forwarded-|connection$|deputy[-_])/i;

// The guard's endpoint for one kind of proxy, asked as that proxy asks it.
export class Direct {
  constructor(name, question) {
    Object.assign(this, { name, question, isDirect: true });
  }

  start({ guard }) {
    this.guard = guard;
    this.seen = [];
  }

  async send(request) {
    const { headers, ...target } = this.question(request);
    const passed = request.headers.filter(([key]) => !OWN.test(key) && !/^content-/i.test(key));
    const wire = new Wire({ socketPath: this.guard.socket });
    try {
      const answer = await wire.request({ ...target, host: request.host ?? 'rs1.example', headers: [...passed, ...headers] });
      if (answer.status === 200) {
        const told = answer.list.filter(([key]) => key.startsWith('deputy-'));
        this.seen.push({ headers: grouped(told.flat()), isWhole: false });
      }
      return answer;
    } finally {
      wire.close();
    }
  }

  take() {
    return this.seen.splice(0);
  }

  stop() {}
}

export const authRequest = () => new Direct('auth-request', ({ method, path: target }) => ({
  path: '/authz/auth-request', headers: [['X-Original-Method', method], ['X-Original-URL', `https://rs1.example${target}`]],
}));

export const extAuthz = () => new Direct('ext-authz', ({ method, path: target }) => ({
  method, path: `/authz/ext-authz${target}`, headers: [['Content-Length', '0']],
}));

export const forwardAuth = () => new Direct('forward-auth', ({ method, path: target, host }) => ({
  path: '/authz/forward-auth',
  headers: [['X-Forwarded-Method', method], ['X-Forwarded-Uri', target], ['X-Forwarded-Host', host ?? 'rs1.example'], ['X-Forwarded-Proto', 'https'], ['X-Forwarded-For', '127.0.0.1']],
}));

function find(name) {
  return ['/usr/sbin', '/usr/bin', '/sbin', '/usr/local/bin'].map((folder) => path.join(folder, name)).find((file) => fs.existsSync(file));
}

export function snippet(...args) {
  return execFileSync(program('deputy'), ['guard', 'snippet', ...args], { encoding: 'utf8' });
}

// The bytes of a request of the table.
export function bytesOf({ method, path: target, host, headers, body, isChunked }) {
  const lines = [`${method} ${target} HTTP/1.1`, `Host: ${host ?? 'rs1.example'}`, ...headers.map(([name, value]) => `${name}: ${value}`)];
  let payload = body ?? '';
  if (isChunked) {
    lines.push('Transfer-Encoding: chunked');
    const half = Math.ceil(body.length / 2);
    payload = [body.slice(0, half), body.slice(half), ''].map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('');
  } else if (body !== null) lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${payload}`, 'latin1');
}

// A real proxy in front of the API.
export class Proxy {
  // configure(way): writes the configuration, gives the arguments of the program.
  constructor(name, { command, configure, env = null, differences = {} }) {
    Object.assign(this, { name, command, configure, env, differences, isDirect: false, tls: null, secure: null });
  }

  get file() {
    return find(this.command);
  }

  // tls: { file, client }: it ends TLS with the certificate and key of that file; who calls comes with `client`, options of tls.connect().
  async start({ guard, api, tls = null }) {
    this.guard = guard;
    this.api = api;
    this.tls = tls;
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
    this.port = await freePort();
    await this.up();
  }

  // Why it cannot be started here; null when it can.
  get missing() {
    return this.file ? null : `${this.command} is not installed`;
  }

  get snippetArgs() {
    return ['--resource', RS1, '--guard', `unix:${this.guard.socket}`, '--upstream', `127.0.0.1:${this.api.port}`, '--listen', `127.0.0.1:${this.port}`, ...(this.tls ? ['--tls', this.tls.file] : [])];
  }

  async up() {
    const env = { HOME: this.folder, XDG_DATA_HOME: this.folder, XDG_CONFIG_HOME: this.folder, ...this.env?.(this) };
    this.process = new Process(this.file, this.configure(this), { cwd: this.folder, env });
    await until(() => {
      if (this.process.exit) throw new Error(`${this.name} ended: ${this.process.stderr}`);
      return this.probe().then(() => true, () => false);
    }, `${this.name} answers`);
  }

  // A client of its own for each call; `as`: with which certificate, as tls.connect() wants it.
  wire(as = {}) {
    return new Wire({ port: this.port, secure: this.tls ? { ...this.tls.client, ...as } : null });
  }

  async probe(headers = []) {
    const wire = this.wire();
    try {
      return (await wire.request({ path: '/api', host: 'rs1.example', headers })).status;
    } finally {
      wire.close();
    }
  }

  async send(request, as) {
    const wire = this.wire(as);
    try {
      return await wire.raw(bytesOf(request), { isHead: request.method === 'HEAD' });
    } finally {
      wire.close();
    }
  }

  take() {
    return this.api.take();
  }

  async stop() {
    if (!this.process.exit) await this.process.kill('SIGTERM');
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

// What stands around deputy.conf.
function nginxWith(folder, main) {
  fs.writeFileSync(path.join(folder, 'nginx.conf'), `${main} daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events { worker_connections 256; }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  include ${folder}/deputy.conf;
}
`);
  return ['-c', path.join(folder, 'nginx.conf'), '-p', folder, '-e', path.join(folder, 'error.log')];
}

// nginx itself answers what has two Authorization lines.
const ofNginx = {
  'A58 G4 two Authorization lines': { status: 400, isForeign: true },
  'A58 G4 Bearer and Basic': { status: 400, isForeign: true },
};

export const nginx = () => new Proxy('nginx', {
  command: 'nginx',
  differences: ofNginx,
  configure: ({ folder, snippetArgs }) => {
    fs.writeFileSync(path.join(folder, 'deputy.conf'), snippet('nginx', ...snippetArgs));
    return nginxWith(folder, 'master_process off;');
  },
});

export const caddy = () => new Proxy('caddy', {
  command: 'caddy',
  configure: ({ folder, snippetArgs }) => {
    fs.writeFileSync(path.join(folder, 'Caddyfile'), `{\n\tadmin off\n}\n${snippet('caddy', ...snippetArgs)}`);
    return ['run', '--adapter', 'caddyfile', '--config', path.join(folder, 'Caddyfile')];
  },
});

export const haproxy = (script = null) => new Proxy('haproxy', {
  command: 'haproxy',
  configure: ({ folder, snippetArgs }) => {
    const lua = path.join(folder, 'deputy.lua');
    fs.writeFileSync(lua, script ?? snippet('haproxy-lua'));
    fs.writeFileSync(path.join(folder, 'haproxy.cfg'), snippet('haproxy', '--lua', lua, ...snippetArgs));
    return ['-db', '-f', path.join(folder, 'haproxy.cfg')];
  },
});

export class NginxModule extends Proxy {
  // edit: what an operator changes in the configuration that is printed; more: flags for it, given the folder.
  constructor({ edit = (text) => text, more = () => [], workers = 1 } = {}) {
    super('nginx-module', {
      command: 'nginx',
      differences: ofNginx,
      env: ({ folder }) => Nginx.env(modulePath(), folder),
      configure: ({ folder, snippetArgs, guard }) => {
        const secret = path.join(folder, 'guard.secret');
        fs.writeFileSync(secret, guard.world.R1.secret, { mode: 0o600 });
        fs.writeFileSync(path.join(folder, 'deputy.conf'), edit(snippet('nginx-module', ...snippetArgs, '--issuer', guard.world.issuer,
          '--client', guard.world.R1.id, '--secret', `file:${secret}`, '--audit', path.join(folder, 'audit'), '--scope', 'read', ...more(folder))));
        const user = process.getuid() === 0 ? 'user root; ' : '';
        return nginxWith(folder, `load_module ${modulePath()}; ${user}worker_processes ${workers};`);
      },
    });
  }

  get missing() {
    return modulePath() ? super.missing : 'the module is not built: nginx-dev is missing';
  }

  // It listens before its guard knows the issuer's keys.
  async up() {
    await super.up();
    await until(async () => (await this.probe([['Authorization', 'Bearer x']])) === 401, 'the guard inside is ready');
  }

  async stop() {
    await this.process.kill('SIGTERM');
    const reports = fs.readdirSync(this.folder).filter((name) => name.startsWith('sanitizer'));
    const text = reports.map((name) => fs.readFileSync(path.join(this.folder, name), 'utf8')).join('');
    fs.rmSync(this.folder, { recursive: true, force: true });
    if (text) throw new Error(`nginx: ${text.slice(0, 4000)}`);
  }
}

export const nginxModule = (options) => new NginxModule(options);
