// A populated server: two APIs, four agents, clients of every authentication method, resource servers, keys of every algorithm.
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Client } from './client.mjs';
import { Daemon } from './daemon.mjs';
import { Key, decode, now_s, randomId, compact } from './forge.mjs';
import { check, equal } from './tap.mjs';

export const RS1 = 'https://rs1.example/api';
export const RS2 = 'https://rs2.example/';
export const RS3 = 'https://rs3.example/';
const BOTH = ['client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange'];
const METHODS = { basic: 'client_secret_basic', post: 'client_secret_post', jwt: 'private_key_jwt' };

export class World {
  static async start(options = {}) {
    const world = new World();
    world.daemon = await Daemon.start(options);
    await world.populate();
    return world;
  }

  get issuer() {
    return this.daemon.issuer;
  }

  async agent(name, ceiling, more = {}) {
    return this.daemon.create('agents', { name, owner: 'team@example', org: 'org1', ceiling, ...more });
  }

  async client(name, auth, { agent = null, resource = null, alg = 'ES256', ...more } = {}) {
    const key = auth === 'jwt' ? Key.generate(alg) : null;
    const body = { name, auth: METHODS[auth], ...more };
    if (agent) Object.assign(body, { agent: agent.id, grants: BOTH, ...more });
    if (resource) body.resource = resource;
    if (key) body.jwks = { keys: [key.registered] };
    const made = await this.daemon.create('clients', body);
    if (made.client_secret) this.planted.add(made.client_secret);
    return new Client(this.daemon, { id: made.id, secret: made.client_secret, key, auth, agent });
  }

  async populate() {
    const { daemon } = this;
    this.planted = new Set();
    for (const [id, name, scopes] of [
      [RS1, 'first', ['read', 'write', 'admin']],
      [RS2, 'second', ['read', 'list']],
      [RS3, 'third', ['read']],
    ])
      await daemon.create('resources', { id, name, scopes });
    const all = [{ resource: RS1, scopes: ['read', 'write'] }, { resource: RS2, scopes: ['read', 'list'] }];
    this.orchestrator = await this.agent('orchestrator', all, { agent_version: '1.2' });
    this.worker = await this.agent('worker', [{ resource: RS1, scopes: ['read'] }, { resource: RS2, scopes: ['read', 'list'] }]);
    this.helper = await this.agent('helper', all);
    this.stranger = await this.agent('stranger', all);
    this.C1 = await this.client('c1', 'jwt', { agent: this.orchestrator, default_resource: RS1 });
    this.C2 = await this.client('c2', 'jwt', { agent: this.stranger, default_resource: RS1 });
    this.CB = await this.client('cb', 'basic', { agent: this.orchestrator, default_resource: RS1 });
    this.CP = await this.client('cp', 'post', { agent: this.helper, default_resource: RS1 });
    this.CW = await this.client('cw', 'basic', { agent: this.worker, default_resource: RS1 });
    this.CE = await this.client('ce', 'jwt', { agent: this.helper, alg: 'EdDSA', default_resource: RS1 });
    this.CR = await this.client('cr', 'jwt', { agent: this.helper, alg: 'RS256', default_resource: RS1 });
    this.CS = await this.client('cs', 'jwt', { agent: this.helper, alg: 'PS256', default_resource: RS1 });
    this.CD = await this.client('cd', 'basic', { agent: this.orchestrator, needs_dpop: true, default_resource: RS1 });
    this.R1 = await this.client('r1', 'basic', { resource: RS1 });
    this.R2 = await this.client('r2', 'basic', { resource: RS2 });
    this.RX = await this.client('rx', 'basic', { resource: RS1, may_introspect_any: true });
  }

  // The server's signing keys, read from its store: with them a test can sign what the server never would.
  async signingKeys() {
    const { DatabaseSync } = await import('node:sqlite');
    const keys = [];
    // The daemon holds its store alone: a copy with its log tells the same.
    const copy = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
    for (const name of ['deputy.db', 'deputy.db-wal'])
      if (fs.existsSync(path.join(this.daemon.data, name))) fs.copyFileSync(path.join(this.daemon.data, name), path.join(copy, name));
    const database = new DatabaseSync(path.join(copy, 'deputy.db'));
    try {
      const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
      for (const { name } of tables)
        for (const row of database.prepare(`SELECT * FROM "${name}"`).all())
          for (const value of Object.values(row)) {
            const key = keyOf(value);
            if (key && !keys.some((one) => one.kid === key.kid)) keys.push(key);
          }
    } finally {
      database.close();
      fs.rmSync(copy, { recursive: true, force: true });
    }
    return keys;
  }

  // Keys by algorithm, prepared at the server where it has none yet.
  async keysOfEveryAlg() {
    for (const alg of ['ES256', 'EdDSA', 'RS256', 'PS256']) {
      const have = (await this.daemon.admin('GET', '/keys', undefined, { want: 200 })).json.items;
      if (!have.some((key) => key.alg === alg || (alg === 'EdDSA' && key.alg === 'Ed25519')))
        await this.daemon.admin('POST', '/keys', { alg }, { want: 201 });
    }
    const jwks = (await this.daemon.wire().request({ path: '/.well-known/jwks.json' })).json.keys;
    const found = await this.signingKeys();
    const byAlg = {};
    for (const jwk of jwks) {
      const key = found.find((one) => one.kid === jwk.kid);
      check(key, `no private key found for ${jwk.kid}`);
      key.alg = jwk.alg;
      byAlg[jwk.alg === 'Ed25519' ? 'EdDSA' : jwk.alg] ??= key;
    }
    return byAlg;
  }

  // Secrets of everything sent, to be searched for in everything written.
  plant(text) {
    this.planted.add(text);
    return text;
  }
}

function keyOf(value) {
  const text = typeof value === 'string' ? value : value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : null;
  if (!text || !text.includes('"der"')) return null;
  try {
    const body = JSON.parse(text);
    if (!body.der || body.is_sealed) return null;
    const privateKey = crypto.createPrivateKey({ key: Buffer.from(body.der, 'base64url'), format: 'der', type: 'pkcs8' });
    const key = new Key(body.alg, privateKey);
    return key;
  } catch {
    return null;
  }
}

// An access token as the server writes it, to be bent by a test and signed with the server's own key.
export function likeAccessToken(minted, change = {}) {
  const { header, claims } = decode(minted);
  const now = now_s();
  return {
    header: { ...header, ...change.header },
    claims: { ...claims, iat: now, nbf: now, exp: now + 300, jti: randomId(), ...change.claims },
  };
}

export { compact, equal };
