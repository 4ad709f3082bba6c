// One table of cases, every way to the guard: the same verdicts, and the API is told the same.
import { Suite, check, equal, skip } from '../lib/tap.mjs';
import { RS1, World } from '../lib/world.mjs';
import { all, library } from './all.mjs';
import { Material, claimsOf } from './material.mjs';
import { cases } from './table.mjs';
import { Api, Guard } from './ways.mjs';

const suite = new Suite('guard cases');
const IDENTITY = ['subject', 'client', 'actor', 'actor-chain', 'scope', 'audience', 'task', 'token-id', 'decision'];
const METADATA = `${new URL(RS1).origin}/.well-known/oauth-protected-resource/api`;

const world = await World.start();
const material = await Material.make(world);
const guard = await Guard.start(world);
const api = await Api.start();
const ways = [...all(), ...library()];

suite.end(async () => {
  await guard.stop();
  await api.close();
  await world.daemon.stop();
});

// --- what an answer must be like ---

function checkChallenge(answer, want, scope, label) {
  const line = answer.header('www-authenticate');
  equal(answer.count('www-authenticate'), want.challenge === 'none' ? 0 : 1, `${label}: G6 one challenge line`);
  if (want.challenge === 'none') return;
  const parts = want.challenge === 'both' ? /^Bearer .*, DPoP / : /^DPoP /;
  check(parts.test(line), () => `${label}: ${line}`);
  if (want.challenge === 'dpop') check(!line.includes('Bearer'), () => `${label}: a Bearer challenge for a proof: ${line}`);
  equal(line.includes('error='), want.error !== undefined, `${label}: G6 error in ${line}`);
  if (want.error) check(line.includes(`error="${want.error}"`), () => `${label}: ${line}`);
  for (const part of [`scope="${scope}"`, `resource_metadata="${METADATA}"`, 'algs="ES256 EdDSA"']) check(line.includes(part), () => `${label}: no ${part} in ${line}`);
}

function checkRefusal(answer, want, scope, label) {
  equal(answer.status, want.status, `${label}: ${answer.text}`);
  if (want.isForeign) return;
  checkChallenge(answer, want, scope, label);
  equal(answer.header('cache-control'), 'no-store', `${label}: G7`);
  equal(answer.header('content-type'), 'application/problem+json', label);
  equal(answer.count('dpop-nonce'), want.nonce ? 1 : 0, `${label}: DPoP-Nonce`);
  equal(answer.header('retry-after'), [429, 503].includes(want.status) ? '1' : null, `${label}: Retry-After`);
  equal(answer.count('deputy-decision'), 1, `${label}: one decision`);
  for (const name of IDENTITY.slice(0, -1)) equal(answer.count(`deputy-${name}`), 0, `${label}: identity on a refusal`);
  if (want.isBare) return;
  equal([answer.json?.status, answer.json?.error, answer.json?.decision], [want.status, want.error, answer.header('deputy-decision')], `${label}: ${answer.text}`);
}

// What the API was told: each identity header once, or not at all when it is empty; never anything of the caller's own.
function checkTold(seen, request, want, label) {
  const claims = claimsOf(request.token);
  const told = Object.fromEntries(IDENTITY.map((name) => [name, seen.headers[`deputy-${name}`] ?? ['']]));
  for (const name of IDENTITY) equal(told[name].length, 1, `${label}: Deputy-${name}`);
  const actor = want.actor ? claims.act.sub : '';
  const wanted = {
    subject: claims.sub, client: claims.client_id, actor, 'actor-chain': actor, scope: claims.scope, audience: [claims.aud].flat().join(' '),
    task: want.task ?? '', 'token-id': claims.jti,
  };
  const names = seen.tells ?? Object.keys(wanted);
  equal(names.map((name) => told[name][0].trim()), names.map((name) => wanted[name]), `${label}: G2 identity`);
  if (!seen.tells) check(/^[0-9A-HJKMNP-TV-Z]{26}$/.test(told.decision[0]), `${label}: a decision`);
  if (!seen.isWhole) {
    if (seen.tells) return;
    for (const name of IDENTITY) equal(seen.headers[`deputy-${name}`]?.length, 1, `${label}: G2 Deputy-${name} is there, also when empty`);
    return;
  }
  const all = JSON.stringify(seen.headers);
  check(!/spoofed/i.test(all), () => `${label}: G2 a value of the caller's own arrived: ${all}`);
  equal([seen.headers.authorization, seen.headers.dpop], [undefined, undefined], `${label}: G9 O04`);
  check(!all.includes(request.token), `${label}: G9 O04 the token`);
  equal([seen.method, seen.path, seen.body], [request.method, request.path, request.body ?? ''], `${label}: the request is as it was`);
}

class Session {
  constructor(way) {
    this.way = way;
  }

  // A nonce of the guard behind this way, by a proof without one.
  async prepare() {
    const first = await this.way.send(material.request({ name: 'nonce', scheme: 'DPoP', token: { bound: 'key' }, proof: {} }, this.way));
    this.way.nonce = first.header('dpop-nonce') ?? undefined;
    this.way.take();
  }

  async run(one) {
    const label = `${this.way.name}: ${one.name}`;
    const request = material.request(one, this.way);
    if (one.proof?.isUsed) {
      equal((await this.way.send(request)).status, 200, `${label}: the first time`);
      this.way.take();
    }
    const answer = await this.way.send(request);
    const seen = this.way.take();
    const want = { ...one.want, ...this.way.differences?.[one.name] };
    if (want.status !== 200) {
      checkRefusal(answer, want, this.way.scopeOf?.(request.method) ?? 'read', label);
      equal(seen.length, 0, `${label}: nothing reached the API`);
      return;
    }
    equal(answer.status, 200, `${label}: ${answer.text}`);
    equal(seen.length, 1, `${label}: reached the API once`);
    checkTold(seen[0], request, want, label);
  }
}

suite.row('the table has every negative of mcp.md 4.5', () => {
  check(cases.length >= 60, `${cases.length} cases`);
  equal(new Set(cases.map((one) => one.name)).size, cases.length, 'names are unique');
});

for (const way of ways) {
  const session = new Session(way);
  let isUp = false;

  suite.row(`${way.name}: starts`, async () => {
    if (way.missing) skip(way.missing);
    await way.start({ guard, api });
    isUp = true;
    await session.prepare();
    check(way.nonce, 'a nonce');
  });
  for (const one of cases)
    suite.row(`${way.name}: ${one.name}`, () => (isUp ? session.run(one) : skip('not up')));
  suite.end(() => (isUp ? way.stop() : undefined));
}

await suite.run();
