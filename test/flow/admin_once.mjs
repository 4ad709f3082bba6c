// Writes of the admin API with an Idempotency-Key: run once, answered the same each time, through kill -9.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { Suite, check, equal, oneOf } from '../lib/tap.mjs';
import { Daemon } from '../lib/daemon.mjs';
import { Wire } from '../lib/wire.mjs';

const suite = new Suite('admin writes that happen once');
const daemon = await Daemon.start();
suite.end(() => daemon.stop());

const uuid = () => crypto.randomUUID();
const quoted = (key) => ['Idempotency-Key', `"${key}"`];
const ceiling = [{ resource: 'https://rs.example/', scopes: ['read'] }];
const agent = (name) => ({ name, owner: 'team@example', org: 'org1', ceiling });
await daemon.create('resources', { id: 'https://rs.example/', name: 'rs', scopes: ['read'] });
const write = (key, body, { method = 'POST', resource = '/agents' } = {}) => daemon.admin(method, resource, body, { headers: [quoted(key)] });
// On a connection of its own, so that requests can overtake each other.
const apart = (key, body, resource = '/agents') =>
  new Wire({ socketPath: daemon.socket }).request({
    method: 'POST', path: `/admin/v1${resource}`, host: 'localhost', headers: [['Content-Type', 'application/json'], quoted(key)], body: JSON.stringify(body),
  });
const named = async (name) => (await daemon.admin('GET', '/agents')).json.items.filter((one) => one.name === name);
const problem = (answer) => [answer.status, answer.json.type.replace('urn:deputy:error:', '')];

suite.row('a retry gets the first answer, and what it made is there once', async () => {
  const key = uuid();
  const first = await write(key, agent('once'));
  const again = await write(key, agent('once'));
  equal([first.status, again.status], [201, 201], 'statuses');
  equal(again.text, first.text, 'the same body');
  equal([first.header('idempotency-replayed'), again.header('idempotency-replayed')], [null, 'true'], 'marked');
  equal([first.header('idempotency-retention'), again.header('idempotency-retention')], ['86400', '86400'], 'retention is published (E6)');
  check(first.header('deputy-decision') !== again.header('deputy-decision'), 'each is a decision of its own');
  equal((await named('once')).length, 1, 'agents');
  const events = daemon.audit().filter((one) => [first, again].some((answer) => one.id === answer.header('deputy-decision'))).map((one) => one.event);
  equal(events, ['agent.created', 'admin.replayed'], 'both are recorded');
});

suite.row('without a key nothing changes: the same write twice makes two', async () => {
  await daemon.admin('POST', '/agents', agent('twice'), { want: 201 });
  const second = await daemon.admin('POST', '/agents', agent('twice'), { want: 201 });
  equal(second.header('idempotency-retention'), null, 'nothing is kept');
  equal((await named('twice')).length, 2, 'agents');
});

suite.row('N02 the same key with another body, path or method is 422', async () => {
  const key = uuid();
  const made = await write(key, agent('first use'));
  equal(made.status, 201, 'first');
  for (const other of [
    await write(key, agent('other body')),
    await write(key, agent('first use'), { resource: '/clients' }),
    await write(key, agent('first use'), { resource: '/agents?x=1' }),
    await write(key, {}, { method: 'PATCH', resource: `/agents/${made.json.id}` }),
  ])
    equal(problem(other), [422, 'idempotency-key-reused'], 'refused');
  equal((await write(key, agent('first use'))).text, made.text, 'twin: the first one is still there');
  equal((await named('other body')).length, 0, 'nothing was made');
});

suite.row('N03 the same key at the same moment runs once; the others hear 409 with Retry-After', async () => {
  for (let round = 0; round < 5; round++) {
    const key = uuid();
    const answers = await Promise.all(Array.from({ length: 8 }, () => apart(key, agent(`race ${round}`))));
    const made = answers.filter((one) => one.status === 201);
    check(made.length >= 1, 'somebody was answered');
    equal(new Set(made.map((one) => one.text)).size, 1, 'one answer');
    for (const one of answers.filter((each) => each.status !== 201)) {
      equal(problem(one), [409, 'idempotency-in-flight'], 'the others');
      equal([one.header('retry-after'), one.json.is_retriable, one.json.retry_after_ms], ['1', true, 1000], 'may come again');
      equal((await write(key, agent(`race ${round}`))).text, made[0].text, 'and then hear the answer');
    }
    equal((await named(`race ${round}`)).length, 1, 'agents');
  }
});

suite.row('N05 a key that is empty, bare, too long, a list or repeated is 400 and runs nothing', async () => {
  for (const headers of [
    [['Idempotency-Key', '']],
    [['Idempotency-Key', '""']],
    [['Idempotency-Key', uuid()]],
    [['Idempotency-Key', `"${'k'.repeat(256)}"`]],
    [['Idempotency-Key', '"a", "b"']],
    [['Idempotency-Key', '"open']],
    [quoted('a'), quoted('a')],
  ]) {
    const answer = await daemon.admin('POST', '/agents', agent('malformed'), { headers });
    equal(problem(answer), [400, 'invalid-request'], JSON.stringify(headers).slice(0, 60));
  }
  equal((await named('malformed')).length, 0, 'nothing was made');
  equal((await write('k'.repeat(255), agent('longest'))).status, 201, 'twin');
});

suite.row('N06 a write that was refused is not remembered: the same key runs once its cause is gone', async () => {
  const key = uuid();
  const grant = { ...agent('later'), ceiling: [{ resource: 'https://later.example/', scopes: ['read'] }] };
  const client = { name: 'later', auth: 'client_secret_basic', resource: 'https://later.example/' };
  const refused = await write(key, client, { resource: '/clients' });
  check(refused.status >= 400 && refused.status < 500, `no such resource yet: ${refused.status}`);
  await daemon.create('resources', { id: 'https://later.example/', name: 'later', scopes: ['read'] });
  const made = await write(key, client, { resource: '/clients' });
  equal([made.status, made.header('idempotency-replayed')], [201, null], 'run afresh');
  equal((await write(key, client, { resource: '/clients' })).text, made.text, 'twin: a success is remembered');
  equal((await write(uuid(), grant)).status, 201, 'the resource is there');
});

suite.row('N08 a secret in a kept answer is not readable in the data directory, and is not minted again', async () => {
  const key = uuid();
  const body = { name: 'secretive', auth: 'client_secret_basic', resource: 'https://rs.example/' };
  const first = await write(key, body, { resource: '/clients' });
  const again = await write(key, body, { resource: '/clients' });
  equal(first.status, 201, 'made');
  check(first.json.client_secret.length > 20, 'a secret');
  equal(again.json.client_secret, first.json.client_secret, 'the same secret');
  let bytes = 0;
  for (const name of fs.readdirSync(daemon.data).filter((one) => one.startsWith('ledger.db'))) {
    const content = fs.readFileSync(path.join(daemon.data, name));
    bytes += content.length;
    for (const needle of [first.json.client_secret, key, 'secretive', first.json.id]) check(!content.includes(needle), `${name} has ${needle}`);
    equal(fs.statSync(path.join(daemon.data, name)).mode & 0o077, 0, `${name}: mode`);
  }
  check(bytes > 0, 'there is a ledger');
});

suite.row('an orderly restart forgets nothing', async () => {
  const key = uuid();
  const first = await write(key, agent('over restart'));
  await daemon.restart();
  equal((await write(key, agent('over restart'))).text, first.text, 'the same answer');
});

suite.row('kill -9 at any moment: each write runs at most once, and its retry hears the answer or that it is not known', async () => {
  let unknown = 0;
  let replayed = 0;
  for (let round = 0; round < 12; round++) {
    const keys = Array.from({ length: 6 }, uuid);
    const name = (i) => `kill ${round} ${i}`;
    const answers = keys.map((key, i) => apart(key, agent(name(i))).catch(() => null));
    if (round % 4 !== 0) await answers[round % 3];
    await daemon.restart('SIGKILL');
    const firsts = await Promise.all(answers);
    for (const [i, key] of keys.entries()) {
      const again = await write(key, agent(name(i)));
      oneOf(again.status, [201, 409], 'the retry');
      const there = (await named(name(i))).length;
      if (again.status === 409) {
        equal(problem(again), [409, 'idempotency-outcome-unknown'], 'told so');
        equal(again.json.is_retriable, false, 'not to be sent again');
        check(there <= 1, 'at most once');
        check(firsts[i]?.status !== 201, 'what was answered is known');
        unknown += 1;
      } else {
        equal(there, 1, 'once');
        replayed += again.header('idempotency-replayed') === 'true';
        if (firsts[i]?.status === 201) equal(again.text, firsts[i].text, 'the same answer');
      }
      equal((await named(name(i))).length, there, 'the retry of an unknown one runs nothing');
    }
  }
  console.log(`# 72 writes, 12 kills: ${replayed} replayed, ${unknown} outcome unknown`);
  check(replayed > 0, 'some were answered before');
}, { limit_ms: 120000 });

await suite.run();
