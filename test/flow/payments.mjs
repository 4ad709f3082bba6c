// 10,000 writes to a payment-like upstream behind nginx with deputy_idempotency: random retries, duplicates in flight, and kill -9 of
// upstream and nginx workers at random moments. Each write is booked at most once; each ends with its one answer or with "outcome
// unknown", and what was answered was booked. PAYMENTS_WRITES and PAYMENTS_KILLS give the counts, PAYMENTS_SEED the choices.
import { Shop } from '../lib/once.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';

const WRITES = Number(process.env.PAYMENTS_WRITES ?? 1000);
const KILLS = Number(process.env.PAYMENTS_KILLS ?? 20);
const SEED = Number(process.env.PAYMENTS_SEED ?? 42);
const AT_ONCE = 24;
const LIMIT_MS = 60000 + WRITES * 100;

// Numbers that look random and are the same for the same seed (xorshift).
let state = SEED >>> 0 || 1;
function random(below) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % below;
}

const suite = new Suite('payments');
const shop = await Shop.start({ workers: 2 });
suite.end(() => shop.stop());

const problem = (answer) => answer.json?.type?.replace('urn:deputy:error:', '') ?? null;
const seen = { answered: 0, unknown: 0, retries: 0, inFlight: 0, unavailable: 0, broken: 0, reclaimed: 0 };

// One attempt. What it says about the write: { done } with the answer's text, 'unknown', or null for "ask again".
async function attempt(key, id) {
  let answer;
  try {
    answer = await shop.post({ key, body: { id } });
  } catch {
    seen.broken += 1; // the worker died, or the answer was cut off
    return null;
  }
  if (answer.status === 201) return { done: answer.text };
  if (problem(answer) === 'idempotency-outcome-unknown') return 'unknown';
  if (problem(answer) === 'idempotency-in-flight') seen.inFlight += 1;
  else if ([502, 503, 504].includes(answer.status)) seen.unavailable += 1;
  else throw new Error(`${answer.status} ${answer.text}`);
  return null;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// A client that asks until it knows: sometimes twice at once, and sometimes again although it was answered.
async function client(number) {
  const key = `key-${SEED}-${number}`;
  const id = `pay-${SEED}-${number}`;
  let result = null;
  for (let tries = 0; result === null && tries < 600; tries++) {
    if (tries > 0) {
      seen.retries += 1;
      await pause(20 + random(60)); // as Retry-After asks, only sooner
    }
    const results = await Promise.all(Array.from({ length: random(5) === 0 ? 2 : 1 }, () => attempt(key, id)));
    result = results.find((one) => one?.done) ?? results.find((one) => one === 'unknown') ?? null;
  }
  if (result !== null && random(4) === 0) {
    seen.retries += 1;
    const again = await attempt(key, id);
    if (again?.done && result.done) equal(again.done, result.done, `${id}: one answer`);
    // An answer may still come after "unknown" (its request was running); never the other way round.
    if (again === 'unknown') equal(result, 'unknown', `${id}: what was answered stays answered`);
    if (again?.done && result === 'unknown') {
      seen.reclaimed += 1;
      result = again;
    }
  }
  return { id, key, result };
}

async function killSomething() {
  if (random(2) === 0) {
    const workers = shop.nginx.workers();
    if (workers.length === 0) return null;
    process.kill(workers[random(workers.length)], 'SIGKILL');
    return 'worker';
  }
  await shop.payments.kill();
  await shop.payments.up();
  return 'upstream';
}

const ended = [];
const killed = { worker: 0, upstream: 0 };

suite.row(`${WRITES} writes, ${KILLS} kills: each is booked at most once, and everybody is told the truth`, async () => {
  let next = 0;
  const due = Array.from({ length: KILLS }, (_, i) => Math.floor(((i + 1) * WRITES) / (KILLS + 1)));
  const clients = Array.from({ length: AT_ONCE }, async () => {
    while (next < WRITES) ended.push(await client(next++));
  });
  const killer = (async () => {
    for (const at of due) {
      while (ended.length < at) await pause(1);
      let what = null;
      while ((what = await killSomething()) === null) await pause(5);
      killed[what] += 1;
    }
  })();
  await Promise.all([...clients, killer]);
  equal(killed.worker + killed.upstream, KILLS, 'kills');
  equal(ended.length, WRITES, 'clients that ended');

  const booked = shop.payments.booked();
  let bookedUnknown = 0;
  for (const { id, result } of ended) {
    const times = booked.get(id) ?? 0;
    check(times <= 1, `${id} was booked ${times} times`);
    check(result !== null, `${id} was never told`);
    if (result === 'unknown') {
      seen.unknown += 1;
      bookedUnknown += times;
    } else {
      seen.answered += 1;
      equal(times, 1, `${id} was answered`);
      equal(JSON.parse(result.done).id, id, 'its own answer');
    }
  }
  check(seen.answered > WRITES / 2, 'most are answered');
  console.log(`# ${WRITES} writes: ${seen.answered} answered, ${seen.unknown} outcome unknown (${bookedUnknown} of them booked), 0 booked twice`);
  console.log(`# ${killed.worker} kills of workers, ${killed.upstream} of the upstream; ${seen.retries} retries, ${seen.inFlight} in flight, ${seen.unavailable} unavailable, ${seen.broken} broken connections`);
}, { limit_ms: LIMIT_MS });

suite.row('afterwards everybody hears the same as before, and nothing more is booked', async () => {
  const before = shop.payments.booked().size;
  for (let i = 0; i < 50; i++) {
    const { id, key, result } = ended[random(ended.length)];
    const again = await attempt(key, id);
    if (result === 'unknown') equal(again, 'unknown', id);
    else equal(again?.done, result.done, id);
  }
  equal(shop.payments.booked().size, before, 'booked');
}, { limit_ms: LIMIT_MS });

await suite.run();
