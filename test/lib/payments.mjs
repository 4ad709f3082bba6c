// A payment-like upstream: it books every request that reaches it in a file, durably, and may be killed at any moment.
//
// A process of its own: node payments.mjs PORT FILE. What it does with a request is in the request's body:
//   { id, ... }            books `id`, answers 201 with a receipt
//   mode: 'error'          books, answers 500: the error of an executed operation
//   mode: 'declined'       does not book, answers 503 with Idempotency-Outcome: not-executed
//   mode: 'slow'           books, answers when POST /release comes
//   mode: 'large'          books, answers with 100,000 bytes
//   mode: 'stream'         books, answers with an event stream
//   mode: 'cut'            books, begins an answer and breaks the connection
//   mode: 'silent'         books, breaks the connection
//   mode: 'token'          books, answers with `token`
import fs from 'node:fs';
import http from 'node:http';
import { Process } from './daemon.mjs';
import { freePort } from './wire.mjs';
import { fileURLToPath } from 'node:url';

const slow = [];

function answer(response, status, body, headers = {}) {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

function pay(file, request, text, response) {
  const what = text.startsWith('{') ? JSON.parse(text) : { id: text.slice(0, 40) };
  if (what.mode === 'declined') return answer(response, 503, { error: 'closed' }, { 'Idempotency-Outcome': 'not-executed' });
  // Durable before anything is said.
  fs.writeSync(file, `${what.id}\n`);
  fs.fdatasyncSync(file);
  const receipt = { id: what.id, receipt: `r-${process.pid}-${process.hrtime.bigint()}` };
  if (what.mode === 'error') return answer(response, 500, { ...receipt, error: 'after the commit' });
  if (what.mode === 'slow') return slow.push(() => answer(response, 201, receipt));
  if (what.mode === 'large') return answer(response, 201, { ...receipt, more: 'x'.repeat(100000) });
  if (what.mode === 'token') return answer(response, 201, { ...receipt, access_token: what.token });
  if (what.mode === 'silent') return response.destroy();
  if (what.mode === 'stream') {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write(`data: ${JSON.stringify(receipt)}\n\n`);
    return slow.push(() => response.end('data: end\n\n'));
  }
  if (what.mode === 'cut') {
    response.writeHead(201, { 'Content-Type': 'application/json', 'Content-Length': 1000 });
    response.write('{"begun":', () => response.destroy());
    return undefined;
  }
  return answer(response, 201, receipt, { Location: `/payments/${what.id}`, 'Set-Cookie': 'session=1', 'X-Other': 'y' });
}

function serve(port, path) {
  const file = fs.openSync(path, 'a');
  const server = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      if (request.url === '/release') {
        for (const one of slow.splice(0)) one();
        return answer(response, 200, {});
      }
      return pay(file, request, Buffer.concat(chunks).toString(), response);
    });
  });
  server.keepAliveTimeout = 0;
  server.listen(port, '127.0.0.1', () => console.log('payments ready'));
}

export class Payments {
  static async start(folder) {
    const payments = new Payments();
    payments.path = `${folder}/payments.txt`;
    payments.port = await freePort();
    payments.url = `http://127.0.0.1:${payments.port}`;
    await payments.up();
    return payments;
  }

  async up() {
    this.process = new Process(process.execPath, [fileURLToPath(import.meta.url), String(this.port), this.path]);
    await this.process.until(/payments ready/);
  }

  kill() {
    return this.process.kill('SIGKILL');
  }

  async release() {
    await (await fetch(`${this.url}/release`, { method: 'POST' })).text();
  }

  // Times that each id was booked.
  booked() {
    const times = new Map();
    if (!fs.existsSync(this.path)) return times;
    for (const id of fs.readFileSync(this.path, 'utf8').split('\n').slice(0, -1)) times.set(id, (times.get(id) ?? 0) + 1);
    return times;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) serve(Number(process.argv[2]), process.argv[3]);
