// The C API: example/epoll-server.c, an API that asks libdeputy itself. It answers with what it was told: subject, scope, actors.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Process, program } from '../lib/daemon.mjs';
import { Wire, freePort } from '../lib/wire.mjs';
import { RS1 } from '../lib/world.mjs';
import { bytesOf, until } from './ways.mjs';

class Library {
  constructor(example, name) {
    this.example = example;
    this.name = name;
    this.file = program(`example/${example}`);
    this.missing = this.file ? null : `example/${example} is not built`;
    // The example reads no chunks.
    this.differences = { 'a body in chunks goes through': { status: 400, isForeign: true } };
  }

  // It asks for more where something is written.
  scopeOf(method) {
    return ['POST', 'PUT'].includes(method) ? 'read write' : 'read';
  }

  get args() {
    return [];
  }

  wire() {
    return new Wire({ port: this.port });
  }

  async start({ guard: { world }, tls }) {
    this.tls = tls;
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
    this.port = await freePort();
    this.seen = [];
    this.process = new Process(this.file, [String(this.port), RS1, world.issuer, world.R1.id, path.join(this.folder, 'audit'), ...this.args],
      { cwd: this.folder, env: { DEPUTY_SECRET: world.R1.secret } });
    await this.process.until(/listens on/);
    await until(async () => (await this.probe([['Authorization', 'Bearer x']])) === 401, 'libdeputy is ready');
  }

  async probe(headers) {
    return (await this.send({ method: 'GET', path: '/api', host: null, headers, body: null, isChunked: false })).status;
  }

  async send(request, as) {
    const wire = this.wire(as);
    try {
      const answer = await wire.raw(bytesOf(request));
      if (answer.status === 200) {
        const told = (name) => [...answer.text.matchAll(new RegExp(`^${name} (.*)$`, 'gm'))].map((match) => match[1]);
        const headers = { 'deputy-subject': told('subject'), 'deputy-scope': told('scope'), 'deputy-actor': [told('actor')[0] ?? ''], 'deputy-actor-chain': [told('actor').join(', ')] };
        this.seen.push({ headers, isWhole: false, tells: ['subject', 'scope', 'actor', 'actor-chain'] });
      }
      return answer;
    } finally {
      wire.close();
    }
  }

  take() {
    return this.seen.splice(0);
  }

  async stop() {
    const exit = this.process.exit ?? (await this.process.kill('SIGTERM'));
    fs.rmSync(this.folder, { recursive: true, force: true });
    if (exit.code !== 0 || /Sanitizer|runtime error:/.test(this.process.stderr)) throw new Error(`${this.example}: ${JSON.stringify(exit)} ${this.process.stderr}`);
  }
}

// example/tls-server.c, which ends TLS and gives libdeputy the certificate of the connection.
class TlsLibrary extends Library {
  constructor() {
    super('tls-server', 'libdeputy');
  }

  get args() {
    return [this.tls.file];
  }

  wire(as) {
    return new Wire({ port: this.port, secure: { ...this.tls.client, ...as } });
  }
}

export const libdeputy = () => new Library('epoll-server', 'libdeputy');
export const libdeputyTls = () => new TlsLibrary();
