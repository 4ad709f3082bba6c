// HTTP/1.1 over a plain socket: whatever bytes a test wants, one keep-alive connection per caller, answers paired in order.
import net from 'node:net';
import tls from 'node:tls';

function parseHead(text) {
  const lines = text.split('\r\n');
  const match = /^HTTP\/1\.[01] (\d{3})/.exec(lines[0]);
  if (!match) throw new Error(`not an HTTP status line: ${JSON.stringify(lines[0])}`);
  const headers = lines.slice(1).map((line) => {
    const at = line.indexOf(':');
    return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()];
  });
  return { status: Number(match[1]), headers };
}

// The body of a chunked answer at the start of `bytes`, and how long it was on the wire; null when it is not complete.
function parseChunks(bytes) {
  const parts = [];
  for (let at = 0; ; ) {
    const end = bytes.indexOf('\r\n', at);
    if (end < 0) return null;
    const text = bytes.subarray(at, end).toString('latin1').split(';')[0].trim();
    if (!/^[0-9a-fA-F]+$/.test(text)) throw new Error(`not a chunk size: ${JSON.stringify(text)}`);
    const size = parseInt(text, 16);
    if (size === 0) {
      // Trailers up to the empty line.
      const last = bytes.subarray(end, end + 4).equals(Buffer.from('\r\n\r\n')) ? end : bytes.indexOf('\r\n\r\n', end + 2);
      return last < 0 ? null : { body: Buffer.concat(parts), length: last + 4 };
    }
    if (bytes.length < end + 2 + size + 2) return null;
    parts.push(bytes.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
}

export class Answer {
  constructor(status, headers, body) {
    this.status = status;
    this.list = headers;
    this.body = body;
    this.text = body.toString('utf8');
  }

  header(name) {
    const found = this.list.filter(([key]) => key === name.toLowerCase());
    return found.length ? found.map(([, value]) => value).join(', ') : null;
  }

  count(name) {
    return this.list.filter(([key]) => key === name.toLowerCase()).length;
  }

  get json() {
    try {
      return JSON.parse(this.text);
    } catch {
      return undefined;
    }
  }
}

export class Wire {
  // secure: options of tls.connect() (ca, cert, key); without them the socket is plain.
  constructor({ port, host = '127.0.0.1', socketPath, localAddress, secure = null }) {
    this.target = socketPath ? { path: socketPath } : { port, host, localAddress };
    this.secure = secure;
    this.socket = null;
    this.waiting = [];
    this.buffer = Buffer.alloc(0);
  }

  open() {
    if (this.socket) return;
    const socket = this.secure ? tls.connect({ ...this.target, ...this.secure }) : net.connect(this.target);
    this.socket = socket;
    this.buffer = Buffer.alloc(0);
    socket.setNoDelay?.(true);
    socket.on('data', (chunk) => {
      this.buffer = this.buffer.length ? Buffer.concat([this.buffer, chunk]) : chunk;
      this.drain(false);
    });
    socket.on('error', (error) => this.lost(socket, error));
    socket.on('close', () => this.lost(socket, new Error('connection closed')));
  }

  lost(socket, error) {
    if (this.socket !== socket) return;
    this.drain(true);
    this.socket = null;
    const waiting = this.waiting;
    this.waiting = [];
    for (const one of waiting) one.reject(error);
  }

  drain(isEnd) {
    for (;;) {
      const one = this.waiting[0];
      const end = this.buffer.indexOf('\r\n\r\n');
      if (!one || end < 0) return;
      let head;
      try {
        head = parseHead(this.buffer.subarray(0, end).toString('latin1'));
      } catch (error) {
        this.waiting.shift().reject(error);
        return;
      }
      if (head.status < 200) {
        this.buffer = this.buffer.subarray(end + 4);
        continue;
      }
      const length = head.headers.find(([key]) => key === 'content-length');
      let bytes = length ? Number(length[1]) : null;
      if (one.isHead || head.status === 204 || head.status === 304) bytes = 0;
      let body = null;
      if (bytes === null && head.headers.some(([key, value]) => key === 'transfer-encoding' && /chunked/i.test(value))) {
        let chunks;
        try {
          chunks = parseChunks(this.buffer.subarray(end + 4));
        } catch (error) {
          this.waiting.shift().reject(error);
          return;
        }
        if (!chunks) return;
        body = chunks.body;
        bytes = chunks.length;
      }
      if (bytes === null) {
        if (!isEnd) return;
        bytes = this.buffer.length - end - 4;
      }
      if (this.buffer.length < end + 4 + bytes) return;
      body ??= Buffer.from(this.buffer.subarray(end + 4, end + 4 + bytes));
      this.buffer = this.buffer.subarray(end + 4 + bytes);
      this.waiting.shift();
      const closes = head.headers.some(([key, value]) => key === 'connection' && /close/i.test(value));
      if (closes) this.close();
      one.resolve(new Answer(head.status, head.headers, body));
    }
  }

  // Raw bytes of one request.
  raw(bytes, { isHead = false } = {}) {
    this.open();
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject, isHead });
      this.socket.write(bytes);
    });
  }

  // headers: [[name, value], …], sent as they are. Host and Content-Length are added.
  request({ method = 'GET', path = '/', headers = [], body = null, host = null }) {
    const payload = body === null ? null : Buffer.isBuffer(body) ? body : Buffer.from(body, 'utf8');
    const lines = [`${method} ${path} HTTP/1.1`];
    const given = headers.map(([name]) => name.toLowerCase());
    if (!given.includes('host')) lines.push(`Host: ${host ?? `127.0.0.1:${this.target.port ?? 80}`}`);
    for (const [name, value] of headers) lines.push(`${name}: ${value}`);
    if (payload !== null && !given.includes('content-length')) lines.push(`Content-Length: ${payload.length}`);
    const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
    return this.raw(payload ? Buffer.concat([head, payload]) : head, { isHead: method === 'HEAD' });
  }

  close() {
    const socket = this.socket;
    this.socket = null;
    const waiting = this.waiting;
    this.waiting = [];
    socket?.destroy();
    for (const one of waiting.slice(1)) one.reject(new Error('closed'));
  }
}

// application/x-www-form-urlencoded from [[name, value], …]; undefined values are left out.
export function form(pairs) {
  return pairs
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${escapeForm(name)}=${escapeForm(value)}`)
    .join('&');
}

function escapeForm(value) {
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(String(value), 'utf8');
  let out = '';
  for (const byte of bytes) {
    const c = String.fromCharCode(byte);
    out += /[A-Za-z0-9._~-]/.test(c) ? c : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}

export async function freePort() {
  const server = net.createServer();
  await new Promise((resolve, reject) => server.listen(0, '127.0.0.1', resolve).on('error', reject));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
