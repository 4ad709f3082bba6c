// Debian's haproxy under test: its own folder and port, stopped by process id.
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Process } from './daemon.mjs';

const FILE = ['/usr/sbin/haproxy', '/usr/bin/haproxy'].find((file) => fs.existsSync(file)) ?? null;

// A proxy says nothing when it is ready: its port does.
export async function isOpen(port, process) {
  for (const end = Date.now() + 15000; Date.now() < end && !process.exit; ) {
    const isThere = await new Promise((resolve) => {
      const socket = net.connect({ port, host: '127.0.0.1' }, () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
    if (isThere) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`nobody listens: ${process.stderr}`);
}

export class Haproxy {
  static get missing() {
    return FILE ? null : 'haproxy is not installed';
  }

  // text(folder): what stands behind global and defaults.
  static async start(port, text) {
    const proxy = new Haproxy();
    proxy.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
    const file = path.join(proxy.folder, 'haproxy.cfg');
    fs.writeFileSync(file, `global
  maxconn 200
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
${text(proxy.folder)}
`);
    proxy.process = new Process(FILE, ['-db', '-f', file], { cwd: proxy.folder });
    await isOpen(port, proxy.process);
    return proxy;
  }

  async stop() {
    if (!this.process.exit) await this.process.kill('SIGTERM');
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
