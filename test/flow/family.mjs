// Families of agents and foreign issuers, as the admin API changes them: what shrinks or ends above shrinks or ends below.
import { Suite, check, equal } from '../lib/tap.mjs';
import { Client, basic } from '../lib/client.mjs';
import { Key, proof } from '../lib/forge.mjs';
import { Wire } from '../lib/wire.mjs';
import { RS1, World } from '../lib/world.mjs';

const suite = new Suite('family');
const world = await World.start();
const { daemon } = world;
const admin = (method, target, body) => daemon.admin(method, `/${target}`, body);
// On a connection of its own, so that requests can overtake each other.
const apart = (target, body) =>
  new Wire({ socketPath: daemon.socket }).request({
    method: 'POST', path: `/admin/v1/${target}`, host: 'localhost', headers: [['Content-Type', 'application/json']], body: JSON.stringify(body),
  });
const ceiling = (...scopes) => [{ resource: RS1, scopes }];

suite.row('a ceiling is as narrow as everybody above it is now', async () => {
  const parent = await world.agent('parent', ceiling('read', 'write'));
  const child = await world.agent('child', ceiling('read', 'write'), { parent: parent.id });
  const client = await world.client('of the child', 'basic', { agent: child });
  equal((await client.token({ resource: RS1, scope: 'write' })).status, 200, 'before');
  equal((await admin('PATCH', `agents/${parent.id}`, { ceiling: ceiling('read') })).status, 200, 'the parent shrinks');
  const over = await client.token({ resource: RS1, scope: 'write' });
  equal([over.status, over.json.error], [400, 'invalid_scope'], 'after');
  equal((await client.token({ resource: RS1, scope: 'read' })).status, 200, 'what is left');
});

suite.row('a family of any size is banned at once', async () => {
  const root = await world.agent('root', ceiling('read'));
  const made = [];
  for (let i = 0; i < 600; i++) made.push(await world.agent(`child ${i}`, ceiling('read'), { parent: root.id }));
  const last = await world.client('of the last', 'basic', { agent: made[599] });
  const token = (await last.token({ resource: RS1, scope: 'read' })).json.access_token;
  equal((await world.R1.introspect(token)).json.active, true, 'before');
  equal((await admin('POST', `agents/${root.id}/ban`, {})).status, 200, 'the ban');
  equal((await world.R1.introspect(token)).json, { active: false }, 'the last child');
  equal((await last.token({ resource: RS1, scope: 'read' })).status, 401, 'its client');
  const entries = (await admin('GET', 'revocations')).json.items.filter((entry) => entry.kind === 'agent');
  check(entries.length >= 601, 'an entry for each');
});

suite.row('a chain of parents is banned to its last generation, and has a bound', async () => {
  const chain = [await world.agent('generation 0', ceiling('read'))];
  let refused = null;
  for (let i = 1; i < 40 && refused === null; i++) {
    const answer = await admin('POST', 'agents', { name: `generation ${i}`, owner: 'team@example', org: 'org1', ceiling: ceiling('read'), parent: chain[i - 1].id });
    if (answer.status === 201) chain.push(answer.json);
    else refused = answer;
  }
  equal(refused?.status, 400, 'too deep');
  const lowest = await world.client('of the lowest', 'basic', { agent: chain[chain.length - 1] });
  const token = (await lowest.token({ resource: RS1, scope: 'read' })).json.access_token;
  equal((await world.R1.introspect(token)).json.active, true, 'before');
  equal((await admin('POST', `agents/${chain[0].id}/ban`, {})).status, 200, 'the ban');
  equal((await world.R1.introspect(token)).json, { active: false }, 'the last generation');
});

// POST /oauth/agents with a token of the parent's own.
async function register(client, pairs, { key = null, scope = 'agents:create' } = {}) {
  const holder = key ? client.withDpop(key) : client;
  const token = await holder.get({ audience: world.issuer, scope });
  const headers = [['Authorization', `${key ? 'DPoP' : 'Bearer'} ${token}`]];
  if (key) headers.push(['DPoP', proof(key, { url: `${world.issuer}/oauth/agents`, token })]);
  return { token, answer: await client.post('/oauth/agents', Object.entries(pairs), { credentials: [headers, []] }) };
}

suite.row('an agent registers one below itself, which works within it and falls with it', async () => {
  const right = { resource: world.issuer, scopes: ['agents:create'] };
  const parent = await world.agent('maker', [...ceiling('read', 'write'), right]);
  const client = await world.client('of the maker', 'basic', { agent: parent });
  const key = Key.generate('ES256');
  const childKey = Key.generate('ES256');
  const wide = await register(client, { name: 'wide', ceiling: JSON.stringify(ceiling('admin')) }, { key });
  equal([wide.answer.status, wide.answer.json.error], [403, 'access_denied'], 'wider than its parent');
  const secret = await register(client, { name: 'finder', ceiling: JSON.stringify(ceiling('read')) }, { key });
  equal(secret.answer.status, 201, secret.answer.text);
  const made = secret.answer.json;
  world.plant(made.client_secret);
  equal(made.parent, parent.id, 'its parent');
  const child = new Client(daemon, { id: made.client_id, secret: made.client_secret, auth: 'basic', dpop: childKey });
  const token = (await child.token({ resource: RS1, scope: 'read' })).json.access_token;
  check(token, 'the child gets a token');
  equal((await child.token({ resource: RS1, scope: 'write' })).json.error, 'invalid_scope', 'and no more than it has');
  equal((await child.withDpop(null).token({ resource: RS1, scope: 'read' })).json.error, 'invalid_dpop_proof', 'as bound as its parent');
  // With keys of its own, and an end.
  const keys = Key.generate('ES256');
  const keyed = await register(client, { name: 'keyed', ceiling: JSON.stringify(ceiling('read')), jwks: JSON.stringify({ keys: [keys.registered] }), expires_in: 100 });
  equal(keyed.answer.status, 201, keyed.answer.text);
  check(!keyed.answer.json.client_secret, 'no secret');
  const other = new Client(daemon, { id: keyed.answer.json.client_id, key: keys, auth: 'jwt' });
  const short = (await other.token({ resource: RS1, scope: 'read' })).json;
  check(short.expires_in <= 100 && short.expires_in > 80, `its tokens end with it: ${short.expires_in}`);
  const bad = await register(client, { name: 'bad', ceiling: JSON.stringify(ceiling('read')), jwks: '{"keys":[{"kty":"oct","k":"AAAA"}]}' });
  equal(bad.answer.status, 400, 'keys that are none');
  // Who has not the right, or not the token.
  const none = await client.post('/oauth/agents', [['name', 'x']], { credentials: [[], []] });
  equal([none.status, none.header('www-authenticate')?.startsWith('Bearer ')], [401, true], 'no token');
  equal((await world.CB.token({ audience: world.issuer, scope: 'agents:create' })).json.error, 'invalid_scope', 'no right');
  equal((await admin('PATCH', `agents/${parent.id}`, { ceiling: [...ceiling('read'), { resource: world.issuer, scopes: ['read'] }] })).status, 400, 'no other right at the issuer');
  // The record names parent and child; the ban takes both.
  const record = daemon.audit().find((one) => one.event === 'agent.registered' && one.target === made.agent);
  equal([record?.principal, record?.outcome], [parent.id, 'allow'], 'the record');
  equal((await world.RX.introspect(token)).json.active, true, 'before the ban');
  equal((await admin('POST', `agents/${parent.id}/ban`, {})).status, 200, 'the ban');
  equal((await world.RX.introspect(token)).json.active, false, 'the token of the child');
  equal((await child.token({ resource: RS1, scope: 'read' })).status, 401, 'its client');
  equal((await client.post('/oauth/agents', [['name', 'x']], { credentials: [[['Authorization', `Bearer ${keyed.token}`]], []] })).status, 401, 'the parent');
});

suite.row('an issuer name is given once, also when two ask at the same moment', async () => {
  const body = (n) => ({ id: `https://idp${n}.example`, name: 'corp', uses: ['subject'], ceiling: ceiling('read') });
  const answers = await Promise.all([1, 2, 3, 4].map((n) => apart('issuers', body(n))));
  equal(answers.filter((answer) => answer.status === 201).length, 1, 'one of four');
  const winner = answers.find((answer) => answer.status === 201).json;
  equal((await admin('DELETE', `issuers/${encodeURIComponent(winner.id)}`)).status, 200, 'it goes');
  check((await admin('POST', 'issuers', body(5))).status !== 201, 'its name is not given again');
});

suite.row('H14 revocations name something that can be revoked', async () => {
  for (const [id, kind, status] of [
    ['g1', 'grant', 400], ['user:corp:alice', 'agent', 201], ['x'.repeat(300), 'task', 400], ['a\u0001b', 'task', 400], ['a b', 'task', 400], ['T1', 'task', 201],
  ]) equal((await admin('POST', 'revocations', { kind, id })).status, status, `${kind} ${id.slice(0, 20)}`);
});

suite.row('keys have a bound, and a key that is retired again keeps the later time', async () => {
  let last = null;
  for (let i = 0; i < 40 && (last === null || last.status === 201); i++) last = await admin('POST', 'keys', { alg: 'ES256' });
  equal(last.status, 400, 'one too many');
  equal((await world.CB.token({ resource: RS1, scope: 'read' })).status, 200, 'the server goes on');
});

suite.row('a refusal is recorded, whatever was asked', async () => {
  const before = daemon.audit().length;
  const wrong = [[['Authorization', basic(world.CB.id, 'wrong')]], []];
  const answer = await world.CB.post('/oauth/introspect', [['token', 'x'], ['scope', '\u0001'.repeat(4000)]], { credentials: wrong });
  equal(answer.status, 401, 'refused');
  equal(daemon.audit().length, before + 1, 'and recorded');
});

suite.end(() => daemon.stop());
await suite.run();
