// Group A at the doors of the server. One row for each case and door: the positive twin, every variant, the twin again.
import net from 'node:net';
import { Ledger } from '../lib/ledger.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { Client } from '../lib/client.mjs';
import { RS1, World } from '../lib/world.mjs';
import { Key, b64u } from '../lib/forge.mjs';
import { cases, lowOrder } from './a_cases.mjs';
import { serverDoors } from './doors.mjs';

const TIME_MAX_MS = process.env.DEPUTY_SANITIZER ? 500 : 50;

const suite = new Suite('attack A');
const world = await World.start();
world.keys = await world.keysOfEveryAlg();
const ledger = new Ledger();
ledger.plant(...world.planted);
const doors = serverDoors(world, ledger);

// Whoever connects here was told to by an attacker.
const listener = net.createServer((socket) => {
  listener.seen += 1;
  socket.destroy();
});
listener.seen = 0;
await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
listener.url = `http://127.0.0.1:${listener.address().port}`;

async function twin(door, label) {
  for (const alg of door.algs) {
    const base = await door.base(alg);
    const object = base.make();
    door.ledger.plantToken(object);
    door.accepted(await door.bringGood(object, alg), `${door.id} ${label}: the good one (${alg})`);
  }
}

for (const door of doors) {
  door.listener = listener;
  door.bringGood = (object) => door.present(object);
}

// The cost of an object that is refused is looked at where one variant alone takes long.
async function timed(door, object, label) {
  const begin = process.hrtime.bigint();
  await door.refuse(object, label);
  return Number(process.hrtime.bigint() - begin) / 1e6;
}

for (const [id, make] of Object.entries(cases))
  for (const door of doors) {
    const probe = await make(await door.base(), door);
    if (probe.length === 0) continue;
    suite.row(`${id} ${door.id}`, async () => {
      await door.before?.();
      if (door.id !== 'd7 revocation') await twin(door, id);
      const base = await door.base();
      for (const [label, object] of await make(base, door)) {
        let spent_ms = await timed(door, object, `${id} ${label}`);
        if (spent_ms > TIME_MAX_MS) spent_ms = await timed(door, object, `${id} ${label} again`);
        // What is larger than a request may be spends its time on the way.
        if (object.length < 65536) check(spent_ms <= TIME_MAX_MS, `${id} ${label}: took ${spent_ms.toFixed(1)} ms`);
      }
      await door.after?.(`${id} ${door.id}`);
      await twin(door, `${id} after`);
      equal(listener.seen, 0, `${id}: connections to the attacker's address`);
    });
  }

suite.row('A19 memory: a million dots leave nothing behind', async () => {
  const [door] = doors;
  await twin(door, 'A19');
  const token = `a${'.'.repeat(60000)}`;
  for (let i = 0; i < 20; i += 1) await door.refuse(token, 'A19 warm');
  const before = world.daemon.rss_bytes();
  for (let i = 0; i < 200; i += 1) await door.refuse(token, 'A19 repeated');
  const growth = world.daemon.rss_bytes() - before;
  check(growth < (process.env.DEPUTY_SANITIZER ? 64 : 1) * 1048576, `grown by ${growth} bytes`);
});

suite.row('A60 a thousand bad signatures, then good requests of the same worker', async () => {
  const [door] = doors;
  const base = await door.base();
  const good = base.make();
  const bad = good.slice(0, -6) + (good.slice(-6) === 'AAAAAA' ? 'BBBBBB' : 'AAAAAA');
  for (let i = 0; i < 1000; i += 1) door.ledger.answer(await door.present(bad), 'deny', 'A60');
  for (let i = 0; i < 20; i += 1) await twin(door, 'A60');
});

suite.row('A63 keys of low order are refused where clients are registered', async () => {
  const register = (jwk) =>
    world.daemon.admin('POST', '/clients', {
      name: 'weak',
      auth: 'private_key_jwt',
      agent: world.helper.id,
      grants: ['client_credentials'],
      jwks: { keys: [jwk] },
    });
  const good = Key.generate('EdDSA');
  equal((await register({ ...good.jwk, alg: 'EdDSA', kid: 'good' })).status, 201, 'a good key');
  for (const hex of lowOrder) {
    const answer = await register({ kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', kid: 'weak', x: b64u(Buffer.from(hex, 'hex')) });
    equal(answer.status, 400, `${hex}: ${answer.text}`);
  }
});

suite.row('A35 key sets with private, symmetric, doubled or too many keys are refused at registration', async () => {
  const register = (jwks) =>
    world.daemon.admin('POST', '/clients', { name: 'keys', auth: 'private_key_jwt', agent: world.helper.id, grants: ['client_credentials'], jwks });
  const good = Key.generate('ES256');
  const rsa3 = Key.generate('RS256', { publicExponent: 3 });
  const rsa1024 = Key.generate('RS256', { modulusLength: 1024 });
  const off = { ...good.jwk, y: b64u(Buffer.concat([Buffer.from(good.jwk.y, 'base64url').subarray(0, 31), Buffer.from([1])])) };
  equal((await register({ keys: [good.registered] })).status, 201, 'a good set');
  for (const [label, jwks] of [
    ['oct', { keys: [{ kty: 'oct', k: 'c2VjcmV0', kid: 'a', alg: 'HS256' }] }],
    ['private', { keys: [{ ...good.privateKey.export({ format: 'jwk' }), kid: 'a', alg: 'ES256' }] }],
    ['doubled kid', { keys: [{ ...good.registered, kid: 'a' }, { ...Key.generate('EdDSA').registered, kid: 'a' }] }],
    ['more than 100 keys', { keys: Array.from({ length: 101 }, (_, i) => ({ ...good.registered, kid: `k${i}` })) }],
    ['e=3', { keys: [rsa3.registered] }],
    ['1024 bits', { keys: [rsa1024.registered] }],
    ['off the curve', { keys: [{ ...off, kid: 'a', alg: 'ES256' }] }],
    ['alg of another type', { keys: [{ ...good.registered, alg: 'RS256' }] }],
    ['no keys', { keys: [] }],
    ['not an object', []],
    ['keys is not an array', { keys: {} }],
  ]) {
    const answer = await register(jwks);
    equal(answer.status, 400, `${label}: ${answer.text}`);
  }
});

suite.row('A35 a key that is not for signatures authenticates nobody', async () => {
  const own = Key.generate('ES256');
  const enc = Key.generate('ES256');
  const made = await world.daemon.create('clients', {
    name: 'mixed',
    auth: 'private_key_jwt',
    agent: world.helper.id,
    grants: ['client_credentials'],
    default_resource: RS1,
    jwks: { keys: [own.registered, { ...enc.registered, use: 'enc' }] },
  });
  const client = new Client(world.daemon, { id: made.id, key: own, auth: 'jwt' });
  equal((await client.token()).status, 200, 'the key for signatures');
  client.key = enc;
  ledger.refusal(await client.token(), { status: 401, error: 'invalid_client', label: 'the key for encryption' });
});

suite.row('A30 every audit record is one JSON line, every refusal has exactly one, no secret stands in any', async () => {
  const records = ledger.settle(world.daemon);
  check(records.length > 500, `only ${records.length} records`);
});

suite.end(async () => {
  listener.close();
  await world.daemon.stop();
});
await suite.run();

