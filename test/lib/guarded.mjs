// A guarded HTTP server: a plain one that asks `deputy guard run` about each request, as a proxy would.
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { Process, program } from './daemon.mjs';
import { Wire } from './wire.mjs';

const IDENTITY = ['subject', 'client', 'actor', 'actor-chain', 'scope', 'audience', 'task', 'token-id', 'decision'];
const REFUSAL = ['content-type', 'www-authenticate', 'dpop-nonce', 'cache-control', 'retry-after', 'deputy-decision'];

export class Guarded {
  // setUp(resource): registers the resource and gives the guard's client. handle(request, response, identity, body) answers what is allowed.
  static async start({ issuer, scopes, needs, setUp, handle, where = '/api' }) {
    const one = new Guarded();
    one.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
    one.log = path.join(one.folder, 'audit');
    one.handle = handle;
    one.seen = [];
    one.server = http.createServer((request, response) => one.answer(request, response).catch((error) => response.destroy(error)));
    await new Promise((resolve) => one.server.listen(0, '127.0.0.1', resolve));
    one.origin = `http://127.0.0.1:${one.server.address().port}`;
    one.resource = `${one.origin}${where}`;
    const client = await setUp(one.resource);
    const socketPath = path.join(one.folder, 'guard.sock');
    const args = ['guard', 'run', '--resource', one.resource, '--issuer', issuer, '--client', client.id, '--secret', 'env:GUARD_SECRET',
      '--listen', `unix:${socketPath}`, '--audit', one.log, '--scope', needs, '--scopes-offered', scopes];
    one.guard = new Process(program('deputy'), args, { cwd: one.folder, env: { GUARD_SECRET: client.secret } });
    await one.guard.until(/listens on/, { stream: 'stderr' });
    one.socketPath = socketPath;
    const wire = new Wire({ socketPath });
    for (let i = 0; (await wire.request({ path: '/readyz' })).status !== 200; i += 1) {
      if (i > 1000) throw new Error(`the guard is not ready: ${one.guard.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    wire.close();
    return one;
  }

  async ask(target) {
    const wire = new Wire({ socketPath: this.socketPath });
    try {
      return await wire.request(target);
    } finally {
      wire.close();
    }
  }

  async answer(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    if (request.url.startsWith('/.well-known/oauth-protected-resource')) {
      const document = await this.ask({ path: request.url });
      response.writeHead(document.status, { 'Content-Type': document.header('content-type') }).end(document.body);
      return;
    }
    const headers = [['X-Original-Method', request.method], ['X-Original-URL', `${this.origin}${request.url}`]];
    for (const name of ['Authorization', 'DPoP'])
      if (request.headers[name.toLowerCase()]) headers.push([name, request.headers[name.toLowerCase()]]);
    const verdict = await this.ask({ path: '/authz/auth-request', headers });
    if (verdict.status !== 200) {
      const copied = REFUSAL.filter((name) => verdict.header(name) !== null).map((name) => [name, verdict.header(name)]);
      response.writeHead(verdict.status, Object.fromEntries(copied)).end(verdict.body);
      return;
    }
    const identity = Object.fromEntries(IDENTITY.map((name) => [name, verdict.header(`deputy-${name}`)]));
    this.seen.push(identity);
    this.handle(request, response, identity, Buffer.concat(chunks));
  }

  async stop() {
    this.server.closeAllConnections();
    this.server.close();
    const exit = this.guard.exit ?? (await this.guard.kill('SIGTERM'));
    if (/Sanitizer|runtime error:/.test(this.guard.stderr)) throw new Error(`the guard: ${this.guard.stderr}`);
    fs.rmSync(this.folder, { recursive: true, force: true });
    return exit;
  }
}
