// Several guards of one resource over one replay store in PostgreSQL, and what asks them.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Process, program } from './daemon.mjs';
import { Key, proof } from './forge.mjs';
import { RS1 } from './world.mjs';
import { Wire } from './wire.mjs';

export const ORIGIN = 'https://api.example';
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(probe, what, limit_ms = 30000) {
  const end = Date.now() + limit_ms;
  for (;;) {
    const got = await probe();
    if (got) return got;
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await wait(5);
  }
}

// 200, 503, or 401 when it was refused as used; everything else is none of these.
export function verdict(answer) {
  return answer.status === 401 && answer.json?.error !== 'invalid_dpop_proof' ? `401 ${answer.text}` : answer.status;
}

export class Guard {
  static async start(world, conninfo, more = [], where = 'postgresql:env:REPLAY') {
    const guard = new Guard();
    guard.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
    guard.socketPath = path.join(guard.folder, 'guard.sock');
    guard.args = ['guard', 'run', '--resource', RS1, '--issuer', world.issuer, '--client', world.R1.id, '--secret', 'env:GUARD_SECRET',
      '--listen', `unix:${guard.socketPath}`, '--audit', path.join(guard.folder, 'audit'), '--public-url', ORIGIN, '--replay', where, ...more];
    guard.env = { GUARD_SECRET: world.R1.secret, REPLAY: conninfo };
    await guard.up();
    return guard;
  }

  async up() {
    this.process = new Process(program('deputy'), this.args, { cwd: this.folder, env: this.env });
    await this.process.until(/listens on/, { stream: 'stderr' });
    await this.ready();
  }

  wire() {
    return new Wire({ socketPath: this.socketPath });
  }

  async isReady() {
    const wire = this.wire();
    const answer = await wire.request({ path: '/readyz' });
    wire.close();
    return answer.status === 200;
  }

  ready() {
    return until(() => this.isReady(), `the guard is ready\n${this.process.stderr}`);
  }

  async stop() {
    const exit = this.process.exit ?? (await this.process.kill('SIGTERM'));
    if (exit.code !== 0 || /Sanitizer|runtime error:/.test(this.process.stderr)) throw new Error(`the guard: ${JSON.stringify(exit)} ${this.process.stderr}`);
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

// Somebody with a token that is bound to a key, and proofs of that key.
export class Caller {
  static async start(world) {
    const caller = new Caller();
    caller.key = Key.generate('ES256');
    caller.token = await world.CB.withDpop(caller.key).get({ scope: 'read' });
    return caller;
  }

  proof(claims = {}) {
    return proof(this.key, { method: 'GET', url: `${ORIGIN}/api`, token: this.token, claims });
  }

  ask(wire, one) {
    return wire.request({
      path: '/authz/auth-request',
      headers: [['X-Original-Method', 'GET'], ['X-Original-URL', `${ORIGIN}/api`], ['Authorization', `DPoP ${this.token}`], ['DPoP', one]],
    });
  }
}
