// kill -9 at seeded moments under load. After each restart: every token that was answered has its record, and nothing that was
// consumed (assertion, DPoP proof) is accepted again. KILL_MOMENTS and KILL_SEED change how many and which.
import { TYPE } from '../lib/client.mjs';
import { Key, decode, now_s, proof } from '../lib/forge.mjs';
import { Process, program } from '../lib/daemon.mjs';
import { Suite, check, equal, skip } from '../lib/tap.mjs';
import { World } from '../lib/world.mjs';

const MOMENTS = Number(process.env.KILL_MOMENTS ?? (process.env.DEPUTY_SANITIZER === 'tsan' ? 40 : 200));
const SEED = Number(process.env.KILL_SEED ?? 20261124);
const DELAY_MAX_MS = 900;
const REPLAYS_MAX = 40;

// mulberry32: the moments are the same for the same seed.
function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const random = seeded(SEED);
const suite = new Suite(`kill -9, ${MOMENTS} moments, seed ${SEED}`);
const world = await World.start();
const { daemon } = world;
const url = `${world.issuer}/oauth/token`;
const keys = [Key.generate('ES256'), Key.generate('EdDSA')];
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const jtiOf = (answer) => decode(answer.json.access_token).claims.jti;

// What was answered, for ever; what was consumed, by round.
const answered = new Set();
const consumed = [];
const counts = { basic: 0, jwt: 0, ahead: 0, dpop: 0, replays: 0, unanswered: 0 };
let isUp = true;

async function basicLoad(client) {
  while (isUp) {
    const answer = await client.token({ scope: 'read' }).catch(() => null);
    if (answer?.status === 200) {
      answered.add(jtiOf(answer));
      counts.basic += 1;
    } else if (!answer) counts.unanswered += 1;
  }
}

// Each assertion is kept as soon as it was answered with a token. `ahead_s` dates it into the future: the restart fence alone would not
// catch that one.
async function assertionLoad(client, ahead_s, round) {
  while (isUp) {
    const now = now_s() + ahead_s;
    const text = client.assertion({ claims: { iat: now, exp: now + 120 } });
    const answer = await assertionRequest(client, text).catch(() => null);
    if (answer?.status === 200) {
      answered.add(jtiOf(answer));
      round.push({ kind: 'assertion', client, text });
      counts[ahead_s ? 'ahead' : 'jwt'] += 1;
    } else if (answer) await pause(5);
    else counts.unanswered += 1;
  }
}

function assertionRequest(client, text) {
  return client.token({ scope: 'read' }, { credentials: [[], [['client_assertion_type', TYPE.assertion], ['client_assertion', text]]] });
}

async function dpopLoad(client, key, round) {
  let nonce;
  while (isUp) {
    const text = proof(key, { url, nonce });
    const answer = await client.token({ scope: 'read' }, { proof: text }).catch(() => null);
    if (answer?.status === 200) {
      answered.add(jtiOf(answer));
      round.push({ kind: 'proof', client, text });
      counts.dpop += 1;
    }
    if (!answer) counts.unanswered += 1;
    nonce = answer?.header('dpop-nonce') ?? nonce;
  }
}

function load(round) {
  const wires = Array.from({ length: 10 }, () => daemon.wire());
  const over = (client, i) => client.over(wires[i]);
  const all = [
    basicLoad(over(world.CB, 0)),
    basicLoad(over(world.CP, 1)),
    assertionLoad(over(world.C1, 2), 0, round),
    assertionLoad(over(world.CE, 3), 0, round),
    assertionLoad(over(world.CS, 4), 0, round),
    assertionLoad(over(world.C2, 5), 3, round),
    dpopLoad(over(world.CB, 6), keys[0], round),
    dpopLoad(over(world.CW, 7), keys[1], round),
    dpopLoad(over(world.CD, 8), keys[0], round),
  ];
  return Promise.all(all).finally(() => wires.forEach((wire) => wire.close()));
}

function sample(list, max) {
  if (list.length <= max) return list;
  // The newest are the likeliest to have been lost; the rest by chance.
  const newest = list.slice(-Math.ceil(max / 2));
  const others = Array.from({ length: max - newest.length }, () => list[Math.floor(random() * (list.length - newest.length))]);
  return [...newest, ...others];
}

async function replay(list, label) {
  const wire = daemon.wire();
  for (const one of list) {
    const client = one.client.over(wire);
    const answer = one.kind === 'proof' ? await client.token({ scope: 'read' }, { proof: one.text }) : await assertionRequest(client, one.text);
    counts.replays += 1;
    check(answer.status !== 200, `${label}: a consumed ${one.kind} was accepted again: ${JSON.stringify(decode(one.text))}`);
    const wants = one.kind === 'proof' ? ['invalid_dpop_proof', 'use_dpop_nonce'] : ['invalid_client'];
    check(wants.includes(answer.json?.error), `${label}: ${answer.status} ${answer.text}`);
  }
  wire.close();
}

// The records of all segments, read on from where the last look ended.
let known = new Set();
let seenBytes = 0;
function readLog() {
  const text = daemon.auditText();
  check(text.length >= seenBytes, 'the log became shorter');
  check(text === '' || text.endsWith('\n'), 'the log ends in the middle of a record');
  for (const line of text.slice(seenBytes).split('\n'))
    if (line) {
      const record = JSON.parse(line);
      if (record.jti && record.event === 'token.issued') known.add(record.jti);
    }
  seenBytes = text.length;
}

for (let part = 0; part < MOMENTS; part += 20)
  suite.row(
    `moments ${part + 1} to ${Math.min(part + 20, MOMENTS)}`,
    async () => {
      for (let moment = part; moment < Math.min(part + 20, MOMENTS); moment += 1) {
        const round = [];
        isUp = true;
        const running = load(round);
        await pause(random() * DELAY_MAX_MS);
        const ended = daemon.down('SIGKILL');
        isUp = false;
        await ended;
        await running;
        await daemon.up();
        readLog();
        for (const jti of answered) if (!known.has(jti)) check(false, `moment ${moment}: a token was answered and has no record: ${jti}`);
        check(true, 'records');
        answered.clear();
        await replay(sample(round, REPLAYS_MAX), `moment ${moment}`);
        const older = consumed.flat();
        await replay(sample(older, 6), `moment ${moment}, older`);
        consumed.push(round);
        if (consumed.length > 40) consumed.shift();
      }
    },
    { limit_ms: 300000 },
  );

suite.row('there was load at every moment, and the server still works', async () => {
  console.log(`# ${JSON.stringify(counts)}; ${known.size} tokens on record`);
  const least = MOMENTS;
  for (const name of ['basic', 'ahead', 'dpop', 'replays']) check(counts[name] > least, `${name}: ${counts[name]}`);
  check(counts.jwt > least / 4, `jwt: ${counts.jwt}`);
  equal((await world.CB.token({ scope: 'read' })).status, 200, 'a token');
  known = new Set();
});

suite.row('the log is whole: every record hashed, every checkpoint signed and in line', async () => {
  const command = program('deputy');
  if (!command) skip('deputy is not built');
  await daemon.down('SIGTERM');
  const verify = new Process(command, ['audit', 'verify', '--data', daemon.data, '--format', 'json']);
  const exit = await verify.ended;
  equal(exit.code, 0, `${verify.stdout} ${verify.stderr}`);
  console.log(`# ${verify.stdout.trim().replace(/\s+/g, ' ')}`);
  await daemon.up();
}, { limit_ms: 120000 });

suite.end(() => daemon.stop());
await suite.run();
