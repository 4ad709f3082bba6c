// nginx with deputy_idempotency in front of a payment-like upstream.
import fs from 'node:fs';
import path from 'node:path';
import { Nginx } from './nginx.mjs';
import { Payments } from './payments.mjs';
import { Wire } from './wire.mjs';
import { RS1, World } from './world.mjs';

export class Shop {
  static async start({ workers = 2, more = () => '' } = {}) {
    const shop = new Shop();
    shop.world = await World.start();
    shop.payments = await Payments.start(shop.world.daemon.dir);
    const { world, payments } = shop;
    // A worker that took the place of a killed one ends without its tables of connections; they are nginx's own.
    const suppressions = path.join(world.daemon.dir, 'leaks.txt');
    fs.writeFileSync(suppressions, 'leak:ngx_alloc\n');
    process.env.LSAN_OPTIONS = `suppressions=${suppressions}:print_suppressions=0`;
    shop.nginx = await Nginx.start({
      workers,
      server: (one) => `
    deputy_resource ${RS1};
    deputy_public_url ${one.origin};
    deputy_issuer ${world.issuer};
    deputy_client_id ${world.R1.id};
    deputy_client_secret ${one.secret('r1.secret', world.R1.secret)};
    deputy_audit_log ${one.log};
    deputy_loopback on;
    deputy_feed_silence 5s;
    deputy off;
    deputy_idempotency_ledger ${one.folder}/ledger.db;
    proxy_http_version 1.1;
    proxy_ignore_client_abort on;
    proxy_next_upstream off;
    proxy_read_timeout 2s;
    client_body_buffer_size 8k;
    client_max_body_size 4m;
    location / { proxy_pass ${payments.url}; }
    location /pay { deputy on; deputy_idempotency required; proxy_pass ${payments.url}; }
    location /bare { deputy on; deputy_idempotency on bare; proxy_pass ${payments.url}; }
    location /maybe { deputy on; deputy_idempotency on; proxy_pass ${payments.url}; }
    location /bound { deputy on; deputy_require_dpop on; deputy_idempotency required; proxy_pass ${payments.url}; }
    location /free { deputy on; proxy_buffering off; proxy_pass ${payments.url}; }
    location /nobody { deputy on; deputy_idempotency required; proxy_pass http://127.0.0.1:9; }
    ${more(one)}`,
    });
    shop.ledger = path.join(shop.nginx.folder, 'ledger.db');
    shop.wires = [];
    shop.token = await world.CB.get({ scope: 'read' });
    // Each worker is ready by itself; until all are, some connections meet one that is not.
    let good = 0;
    await shop.nginx.until(async () => {
      const answer = await shop.post({ where: '/free', body: { id: 'ready' }, token: shop.token });
      good = answer.status === 201 ? good + 1 : 0;
      return good >= 20;
    }, 'the guard is ready');
    return shop;
  }

  // On a connection of its own.
  async post({ key = null, body, where = '/pay', token = this.token, headers = [], method = 'POST', type = 'application/json' }) {
    const wire = new Wire({ port: this.nginx.port });
    try {
      return await wire.request({
        method, path: where, body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
        headers: [...(token ? [['Authorization', `Bearer ${token}`]] : []), ...(type ? [['Content-Type', type]] : []),
          ...(key === null ? [] : [['Idempotency-Key', `"${key}"`]]), ...headers],
      });
    } finally {
      wire.close();
    }
  }

  async stop() {
    await this.nginx.stop();
    await this.payments.process.kill('SIGTERM');
    await this.world.daemon.stop();
  }
}
