// Group N, writes that happen once, at nginx with deputy_idempotency: each case with its positive twin.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { Key, proof } from '../lib/forge.mjs';
import { Shop } from '../lib/once.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { Wire } from '../lib/wire.mjs';

const suite = new Suite('attack N');
const shop = await Shop.start({
  more: () => `
    location /gone { deputy on; deputy_idempotency on; deputy_idempotency_ledger /nowhere/at/all/ledger.db; proxy_pass http://127.0.0.1:9; }`,
});
suite.end(() => shop.stop());
const uuid = () => crypto.randomUUID();
const times = (id) => shop.payments.booked().get(id) ?? 0;
const problem = (answer) => [answer.status, answer.json?.type?.replace('urn:deputy:error:', '') ?? answer.text];
// Until the ledger has heard of the end of the first one.
const settled = (ask) => shop.nginx.until(async () => {
  const answer = await ask();
  return answer.json?.code === 'IDEMPOTENCY_IN_FLIGHT' ? null : answer;
}, 'no longer in flight');

suite.row('a write runs once and its answer is given again, without what belongs to one answer alone', async () => {
  const key = uuid();
  const id = uuid();
  const first = await shop.post({ key, body: { id } });
  const again = await shop.post({ key, body: { id } });
  equal([first.status, again.status, again.text], [201, 201, first.text], 'answers');
  equal([first.header('location'), again.header('location')], [`/payments/${id}`, `/payments/${id}`], 'where it is');
  equal([first.header('set-cookie'), again.header('set-cookie')], ['session=1', null], 'a session is not handed out twice');
  equal([first.header('content-type'), again.header('content-type')], ['application/json', 'application/json'], 'type');
  equal([first.header('idempotency-replayed'), again.header('idempotency-replayed')], [null, 'true'], 'marked');
  equal([first.header('idempotency-retention'), again.header('idempotency-retention')], ['86400', '86400'], 'published');
  equal(times(id), 1, 'booked');
  const free = uuid();
  for (let i = 0; i < 2; i++) equal((await shop.post({ where: '/maybe', body: { id: free } })).status, 201, 'no key');
  equal(times(free), 2, 'twin: without a key each one runs');
});

suite.row('N02 the same key with another body, path, query, type or method is 422', async () => {
  const key = uuid();
  const id = uuid();
  const first = await shop.post({ key, body: { id } });
  equal(first.status, 201, 'first');
  for (const other of [{ body: { id, amount: 2 } }, { where: '/pay/2' }, { where: '/pay?x=1' }, { where: '/maybe' }, { method: 'PUT' }, { type: 'text/plain' }])
    equal(problem(await shop.post({ key, body: { id }, ...other })), [422, 'idempotency-key-reused'], JSON.stringify(other));
  equal(times(id), 1, 'booked');
  equal((await shop.post({ key, body: { id } })).text, first.text, 'twin');
});

suite.row('N02 a body that nginx keeps in a file is compared whole', async () => {
  const key = uuid();
  const body = (last) => `${uuid.length}${'b'.repeat(300000)}${last}`;
  const first = await shop.post({ key, body: body('1'), type: 'text/plain' });
  equal(first.status, 201, first.text);
  equal(problem(await shop.post({ key, body: body('2'), type: 'text/plain' })), [422, 'idempotency-key-reused'], 'one byte at the end');
  equal((await shop.post({ key, body: body('1'), type: 'text/plain' })).text, first.text, 'twin');
});

suite.row('N03 in flight: 409 with Retry-After, on every worker, and exactly one runs', async () => {
  const key = uuid();
  const id = uuid();
  const body = { id, mode: 'slow' };
  const first = shop.post({ key, body });
  await shop.nginx.until(() => times(id) === 1, 'it runs');
  for (const answer of await Promise.all(Array.from({ length: 12 }, () => shop.post({ key, body })))) {
    equal(problem(answer), [409, 'idempotency-in-flight'], 'the others');
    equal([answer.header('retry-after'), answer.json.is_retriable, answer.json.retry_after_ms], ['1', true, 1000], 'come again');
  }
  await shop.payments.release();
  equal((await first).status, 201, 'the first');
  equal((await shop.post({ key, body })).text, (await first).text, 'twin: now it is there');
  equal(times(id), 1, 'booked');
});

suite.row('N03 many at the same moment: one runs', async () => {
  for (let round = 0; round < 5; round++) {
    const key = uuid();
    const id = uuid();
    const answers = await Promise.all(Array.from({ length: 20 }, () => shop.post({ key, body: { id } })));
    const good = answers.filter((one) => one.status === 201);
    check(good.length >= 1 && new Set(good.map((one) => one.text)).size === 1, 'one answer');
    for (const one of answers) check(one.status === 201 || problem(one)[1] === 'idempotency-in-flight', one.text);
    equal(times(id), 1, 'booked');
  }
});

suite.row('N04 the same key of another client is another write, and shows nothing of the first', async () => {
  const key = uuid();
  const id = uuid();
  const first = await shop.post({ key, body: { id } });
  const other = await shop.post({ key, body: { id }, token: await shop.world.CP.get({ scope: 'read' }) });
  equal([first.status, other.status, other.header('idempotency-replayed')], [201, 201, null], 'both ran');
  check(first.json.receipt !== other.json.receipt, 'answers of their own');
  equal(times(id), 2, 'booked');
  const fresh = await shop.world.CB.get({ scope: 'read' });
  equal((await shop.post({ key, body: { id }, token: fresh })).text, first.text, 'twin: a new token of the same caller gets the first answer');
});

suite.row('N05 missing, bare, empty, too long, a list or repeated: 400, and nothing runs', async () => {
  const id = uuid();
  const bad = [[], [['Idempotency-Key', uuid()]], [['Idempotency-Key', '']], [['Idempotency-Key', '""']], [['Idempotency-Key', `"${'k'.repeat(256)}"`]],
    [['Idempotency-Key', '"a", "b"']], [['Idempotency-Key', '"a"'], ['Idempotency-Key', '"a"']], [['Idempotency-Key', '"\u00e9"']]];
  for (const headers of bad) {
    const answer = await shop.post({ body: { id }, headers });
    equal(problem(answer), [400, 'invalid-request'], JSON.stringify(headers).slice(0, 60));
    equal(answer.header('content-type'), 'application/problem+json', 'a problem');
  }
  equal(times(id), 0, 'booked');
  equal((await shop.post({ key: 'k'.repeat(255), body: { id } })).status, 201, 'twin');
  const bare = uuid();
  const headers = [['Idempotency-Key', bare]];
  const first = await shop.post({ where: '/bare', body: { id: bare }, headers });
  equal((await shop.post({ where: '/bare', body: { id: bare }, headers })).text, first.text, 'twin: where bare keys are taken');
  equal(times(bare), 1, 'booked');
});

suite.row('N06 what failed before it ran runs afresh: nobody there, our 503, and an upstream that says so', async () => {
  const key = uuid();
  const id = uuid();
  equal((await shop.post({ key, body: { id }, where: '/nobody' })).status, 502, 'nobody listens');
  equal((await shop.post({ key, body: { id }, where: '/nobody' })).status, 502, 'asked again, not replayed');
  await shop.payments.kill();
  equal((await shop.post({ key: `${key}-2`, body: { id } })).status, 502, 'the upstream is down');
  await shop.payments.up();
  equal((await shop.post({ key: `${key}-2`, body: { id } })).status, 201, 'it runs when it is up');
  const declined = { id, mode: 'declined' };
  const refused = await shop.post({ key: `${key}-3`, body: declined });
  equal([refused.status, refused.header('idempotency-outcome')], [503, null], 'the upstream declines');
  equal((await shop.post({ key: `${key}-3`, body: declined })).header('idempotency-replayed'), null, 'and is asked again');
  equal(times(id), 1, 'booked');
});

suite.row('N06 twin: the error of a write that ran is its answer, and it does not run again', async () => {
  const key = uuid();
  const id = uuid();
  const first = await shop.post({ key, body: { id, mode: 'error' } });
  const again = await shop.post({ key, body: { id, mode: 'error' } });
  equal([first.status, again.status, again.text, again.header('idempotency-replayed')], [500, 500, first.text, 'true'], 'answers');
  equal(times(id), 1, 'booked');
});

for (const [mode, status] of [['silent', 502], ['cut', null], ['slow', 504]])
  suite.row(`an answer that does not come (${mode}): the outcome is unknown, and it does not run again`, async () => {
    const key = uuid();
    const id = uuid();
    const first = await shop.post({ key, body: { id, mode } }).catch(() => null);
    equal(first?.status ?? null, status, 'the first');
    const again = await settled(() => shop.post({ key, body: { id, mode } }));
    equal(problem(again), [409, 'idempotency-outcome-unknown'], 'the second');
    equal([again.json.is_retriable, again.json.suggestions.length, again.header('retry-after')], [false, 1, null], 'what to do');
    equal(times(id), 1, 'booked');
    await shop.payments.release();
  });

suite.row('N08 a token in an answer is not in the ledger, and the same token is given again', async () => {
  const key = uuid();
  const token = `tok-${uuid()}`;
  const body = { id: uuid(), mode: 'token', token };
  const first = await shop.post({ key, body });
  equal((await shop.post({ key, body })).json.access_token, token, 'twin: given again');
  equal(first.json.access_token, token, 'given');
  let bytes = 0;
  for (const name of fs.readdirSync(shop.nginx.folder).filter((one) => one.startsWith('ledger.db'))) {
    const content = fs.readFileSync(path.join(shop.nginx.folder, name));
    bytes += content.length;
    for (const needle of [token, key, shop.world.CB.id]) check(!content.includes(needle), `${name} has ${needle}`);
    equal(fs.statSync(path.join(shop.nginx.folder, name)).mode & 0o077, 0, `${name}: mode`);
  }
  check(bytes > 0, 'there is a ledger');
});

suite.row('N09 a stolen token without its key, or no token, reads no kept answer: 401 before any look', async () => {
  const dpop = Key.generate('ES256');
  const token = await shop.world.CB.withDpop(dpop).get({ scope: 'read' });
  const key = uuid();
  const id = uuid();
  const send = async (by, nonce = null) => {
    const headers = [['Authorization', `DPoP ${token}`], ['DPoP', proof(by, { method: 'POST', url: `${shop.nginx.origin}/bound`, token, nonce })]];
    const answer = await shop.post({ key, body: { id }, where: '/bound', token: null, headers });
    return answer.status === 401 && answer.header('dpop-nonce') && nonce === null ? send(by, answer.header('dpop-nonce')) : answer;
  };
  const first = await send(dpop);
  equal(first.status, 201, first.text);
  const thief = await send(Key.generate('ES256'));
  equal([thief.status, thief.header('idempotency-replayed')], [401, null], 'another key');
  check(!thief.text.includes(first.json.receipt), 'nothing of it');
  equal((await shop.post({ key, body: { id }, where: '/bound' })).status, 401, 'as Bearer');
  equal((await shop.post({ key, body: { id }, where: '/bound', token: null })).status, 401, 'no token');
  const again = await send(dpop);
  equal([again.text, again.header('idempotency-replayed')], [first.text, 'true'], 'twin: a fresh proof of the right key');
  equal(times(id), 1, 'booked');
});

suite.row('an answer too large to keep is given once; later it is said that it was run', async () => {
  const key = uuid();
  const id = uuid();
  const first = await shop.post({ key, body: { id, mode: 'large' } });
  equal([first.status, first.text.length > 100000], [201, true], 'the first, whole');
  const again = await settled(() => shop.post({ key, body: { id, mode: 'large' } }));
  equal(problem(again), [409, 'idempotency-answer-not-kept'], 'the second');
  equal(times(id), 1, 'booked');
});

suite.row('a stream goes through as it comes, with a key and without', async () => {
  for (const [where, key] of [['/pay', uuid()], ['/free', null]]) {
    const wire = new Wire({ port: shop.nginx.port });
    const id = uuid();
    let text = '';
    const body = JSON.stringify({ id, mode: 'stream' });
    wire.open();
    wire.socket.on('data', (chunk) => (text += chunk));
    wire.socket.write(`POST ${where} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${shop.token}\r\nContent-Type: application/json\r\n${key ? `Idempotency-Key: "${key}"\r\n` : ''}Content-Length: ${body.length}\r\n\r\n${body}`);
    await shop.nginx.until(() => text.includes(`data: {"id":"${id}"`), 'the first event, while the stream is open');
    check(!text.includes('data: end'), 'open');
    await shop.payments.release();
    await shop.nginx.until(() => text.includes('data: end'), 'the last event');
    wire.close();
    if (key) equal(problem(await settled(() => shop.post({ key, body }))), [409, 'idempotency-answer-not-kept'], 'it was run');
    equal(times(id), 1, 'booked');
  }
});

suite.row('a ledger that cannot be opened: 503 with Retry-After, and nothing is sent on', async () => {
  const answer = await shop.post({ key: uuid(), body: { id: uuid() }, where: '/gone' });
  equal([...problem(answer), answer.json.code, answer.header('retry-after')], [503, 'unavailable', 'STORE_IO', '1'], 'with a key');
  equal((await shop.post({ body: { id: uuid() }, where: '/gone' })).status, 502, 'twin: without a key it is sent on, to nobody');
});

suite.row('M05 a ledger that somebody else holds: 503, nothing runs, and it recovers without a restart', async () => {
  const { DatabaseSync } = await import('node:sqlite');
  const key = uuid();
  const id = uuid();
  const kept = await shop.post({ key: `${key}-before`, body: { id: `${id}-before` } });
  const holder = new DatabaseSync(shop.ledger);
  holder.exec('BEGIN IMMEDIATE');
  const refused = await shop.post({ key, body: { id } });
  equal([...problem(refused), refused.header('retry-after')], [503, 'unavailable', '1'], 'held');
  holder.exec('ROLLBACK');
  holder.close();
  equal(times(id), 0, 'booked');
  equal((await shop.post({ key, body: { id } })).status, 201, 'twin: it runs when the ledger is back');
  equal((await shop.post({ key: `${key}-before`, body: { id: `${id}-before` } })).text, kept.text, 'and nothing was forgotten');
});

suite.row('reading needs no key', async () => {
  equal((await shop.post({ method: 'GET', body: undefined, type: null })).header('idempotency-retention'), null, 'GET');
});

await suite.run();
