// Blank never means "any": every member of every record and every parameter of the token endpoint, emptied, is an error that changes nothing;
// what was removed and made anew under its old name inherits nothing.
import { Key, randomId } from '../lib/forge.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { RS1, World } from '../lib/world.mjs';

const suite = new Suite('blank');
const world = await World.start();
const { daemon } = world;
const kinds = ['agents', 'clients', 'resources', 'issuers', 'revocations', 'keys'];
const everything = async () =>
  JSON.stringify(await Promise.all(kinds.map(async (kind) => (await daemon.admin('GET', `/${kind}`, undefined, { want: 200 })).json)));

const TEXTS = ['', ' ', '\t', ' \n ', null];
const LISTS = [[], [''], [' '], [null], ''];
// null is as good as left out where a member may be left out; a list of nobody, nothing or no grant is a limit, and the hardest one.
const OPTIONAL = ['parent', 'default_resource', 'jwks_uri', 'subject_claim', 'kid', 'use', 'alg'];
const LIMITS = ['ceiling', 'to', 'rights', 'agents', 'grants', 'default_scopes', 'audiences'];

// Every body that differs from the good one in one place, which says nothing.
function* emptied(value, path = []) {
  const name = path.at(-1);
  if (name === 'jwks') return; // its keys are read by the rules for keys
  if (typeof value === 'string') for (const text of TEXTS) if (text !== null || !OPTIONAL.includes(name)) yield [path, text];
  if (Array.isArray(value)) for (const list of LISTS) if (list.length !== 0 || list === '' || !LIMITS.includes(name)) yield [path, list];
  if (value !== null && typeof value === 'object') for (const [name, member] of Object.entries(value)) yield* emptied(member, [...path, name]);
}

function replaced(value, [name, ...rest], by) {
  if (name === undefined) return by;
  const copy = Array.isArray(value) ? [...value] : { ...value };
  copy[name] = replaced(value[name], rest, by);
  return copy;
}

const rights = [{ resource: RS1, scopes: ['read'] }];
const BODIES = {
  agents: () => ({
    name: `a-${randomId()}`, owner: 'team@example', org: 'org1', ceiling: rights, parent: world.orchestrator.id,
    delegation: { to: [world.worker.id], rights },
  }),
  clients: () => ({
    name: `c-${randomId()}`, auth: 'private_key_jwt', agent: world.worker.id, default_resource: RS1, grants: ['client_credentials'],
    jwks: { keys: [Key.generate('ES256').registered] },
  }),
  'clients, by certificate': () => ({
    name: `c-${randomId()}`, auth: 'tls_client_auth', agent: world.worker.id, tls_client_auth_subject_dn: 'CN=worker,O=Example', grants: ['client_credentials'],
  }),
  resources: () => ({ id: `https://${randomId().toLowerCase()}.example/`, name: 'one', scopes: ['read', 'write'], default_scopes: ['read'] }),
  issuers: () => {
    const id = `https://${randomId().toLowerCase()}.example`;
    return {
      id, name: id.slice(8, 20), org: 'org1', uses: ['subject'], audiences: [id], jwks_uri: `${id}/keys`, ceiling: rights, agents: [world.worker.id],
      subject_claim: 'oid', required_claims: { tid: 'one' }, claim_ceilings: [{ claims: { groups: 'staff' }, ceiling: rights }],
    };
  },
  revocations: () => ({ kind: 'jti', id: randomId() }),
};

const collectionOf = (kind) => kind.split(',')[0];

for (const [kind, make] of Object.entries(BODIES))
  suite.row(`POST /${kind}: a member that is blank is an error, and changes nothing`, async () => {
    const good = make();
    const before = await everything();
    const taken = [];
    let count = 0;
    for (const [path, by] of emptied(good)) {
      const answer = await daemon.admin('POST', `/${collectionOf(kind)}`, replaced(good, path, by));
      count++;
      if (answer.status !== 400) taken.push(`${path.join('.')} = ${JSON.stringify(by)}: ${answer.status}`);
    }
    equal(taken, [], 'what was taken');
    check(count >= 8, `${count} bodies`);
    equal(await everything(), before, 'the records');
    equal((await daemon.admin('POST', `/${collectionOf(kind)}`, good)).status, 201, 'the good one');
    check((await everything()) !== before, 'which is there');
  });

suite.row('PATCH: a member that is blank is an error, and changes nothing', async () => {
  const taken = [];
  for (const kind of Object.keys(BODIES).filter((one) => one !== 'revocations')) {
    const good = BODIES[kind]();
    const { id } = await daemon.create(collectionOf(kind), good);
    const before = await everything();
    for (const [path, by] of emptied(good)) {
      const body = { [path[0]]: replaced(good, path, by)[path[0]] };
      const answer = await daemon.admin('PATCH', `/${collectionOf(kind)}/${encodeURIComponent(id)}`, body);
      if (answer.status !== 400) taken.push(`${kind} ${path.join('.')} = ${JSON.stringify(by)}: ${answer.status}`);
    }
    equal(await everything(), before, `the records, after ${kind}`);
  }
  equal(taken, [], 'what was taken');
});

// rfc6749#3.2: a parameter without a value counts as left out; what is left out must not mean more than what is said.
suite.row('the token endpoint: a blank scope, resource, audience or task never gives more', async () => {
  const { CB } = world;
  const good = await CB.token({ resource: RS1, scope: 'read' });
  equal([good.status, good.json.scope], [200, 'read'], 'the good one');
  const taken = [];
  for (const name of ['scope', 'resource', 'audience', 'task_id'])
    for (const text of ['', ' ', '%20', '\t', '\u00a0', '""', '*']) {
      const answer = await CB.token({ resource: RS1, scope: 'read', [name]: text });
      const plain = await CB.token(Object.fromEntries(Object.entries({ resource: RS1, scope: 'read' }).filter(([one]) => one !== name)));
      const says = (one) => JSON.stringify([one.status, one.json.scope, one.json.error]);
      if (answer.status === 200 && !(text === '' && says(answer) === says(plain))) taken.push(`${name} = ${JSON.stringify(text)}: ${answer.text.slice(0, 200)}`);
    }
  equal(taken, [], 'what was taken');
});

suite.row('what is made anew under an old name inherits nothing', async () => {
  const resource = 'https://passing.example/';
  await daemon.create('resources', { id: resource, name: 'passing', scopes: ['read'] });
  const agent = await world.agent('passing', [{ resource, scopes: ['read'] }]);
  const client = await world.client('passing', 'basic', { agent, default_resource: resource });
  const watcher = await world.client('watcher', 'basic', { resource });
  const token = await client.get({ scope: 'read' });
  equal((await watcher.introspect(token)).json.active, true, 'a token');
  equal((await daemon.admin('DELETE', `/resources/${encodeURIComponent(resource)}`)).status < 300, true, 'the resource goes');
  check((await daemon.admin('POST', '/resources', { id: resource, name: 'passing', scopes: ['read'] })).status >= 400, 'its name is not given again');
  check((await client.token({ scope: 'read' })).status >= 400, 'no new token for it');
  const other = await world.agent('passing', rights);
  check(other.id !== agent.id, 'another agent of that name');
  await daemon.admin('POST', `/agents/${agent.id}/ban`, {}, { want: 200 });
  const another = await world.client('passing', 'basic', { agent: other, default_resource: RS1 });
  check(another.id !== client.id, 'another client of that name');
  check((await client.token({ scope: 'read', resource: RS1 })).status >= 400, 'the old secret is of no use');
  equal((await another.token({ scope: 'read' })).status, 200, 'the new one is');
});

suite.end(() => daemon.stop());
await suite.run();
