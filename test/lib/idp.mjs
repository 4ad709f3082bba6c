// An issuer made of plain answers: discovery, keys, tokens, each of which a test can bend, and every connection counted.
import http from 'node:http';
import { Key, compact, now_s, randomId } from './forge.mjs';

export class Idp {
  // The system gives ports away again, and an issuer is made once: its port is nobody else's for as long as the suite runs.
  static #ports = new Set();

  // answers: path -> function(request, response) in place of the good answer.
  static async start({ alg = 'ES256', path = '' } = {}) {
    const idp = new Idp();
    idp.path = path;
    idp.keys = [Key.generate(alg)];
    idp.answers = {};
    idp.asked = [];
    idp.connections = 0;
    idp.port = 0;
    await idp.up();
    while (Idp.#ports.has(idp.port)) {
      await idp.down();
      idp.port = 0;
      await idp.up();
    }
    Idp.#ports.add(idp.port);
    return idp;
  }

  async up() {
    this.server = http.createServer((request, response) => this.answer(request, response));
    this.server.on('connection', () => {
      this.connections += 1;
    });
    await new Promise((resolve, reject) => this.server.listen(this.port, '127.0.0.1', resolve).on('error', reject));
    this.port = this.server.address().port;
    this.origin = `http://127.0.0.1:${this.port}`;
    this.issuer = `${this.origin}${this.path}`;
  }

  async down() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  get key() {
    return this.keys[0];
  }

  get metadata() {
    return { issuer: this.issuer, jwks_uri: `${this.origin}/keys`, token_endpoint: `${this.origin}/token` };
  }

  get jwks() {
    return { keys: this.keys.map((key) => key.registered) };
  }

  count(path) {
    return this.asked.filter((one) => one === path).length;
  }

  answer(request, response) {
    this.asked.push(request.url);
    const bent = this.answers[request.url];
    if (bent) return bent(request, response);
    const body = { [`${this.path}/.well-known/openid-configuration`]: this.metadata, '/keys': this.jwks }[request.url];
    response.writeHead(body ? 200 : 404, { 'Content-Type': 'application/json' });
    return response.end(JSON.stringify(body ?? {}));
  }

  token({ typ = 'JWT', key = this.key, header = {}, claims = {}, aud }) {
    const now = now_s();
    const body = { iss: this.issuer, sub: 'alice', aud, iat: now, exp: now + 120, jti: randomId(), ...claims };
    return compact({ typ, alg: key.alg, kid: key.kid, ...header }, body, key);
  }
}
