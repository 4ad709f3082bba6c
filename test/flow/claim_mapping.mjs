// Users of a real identity provider, as the issuer's record maps their claims: who they are, who is let in, and who may do what.
import { Process, program } from '../lib/daemon.mjs';
import { decode } from '../lib/forge.mjs';
import { Portal } from '../lib/portal.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { World } from '../lib/world.mjs';

const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token';
const API = 'https://books.example';
const suite = new Suite('claim mapping');
const world = await World.start();
const { daemon } = world;
const provider = await Portal.start({
  alice: { oid: '11aa', tid: 'acme', groups: ['staff', 'Book Keepers'] },
  bob: { oid: '22bb', tid: 'acme', groups: ['staff'] },
  mallory: { oid: '33cc', tid: 'elsewhere', groups: ['staff', 'Book Keepers'] },
  carol: { tid: 'acme', groups: ['staff'] },
});
suite.end(() => provider.stop());
suite.end(() => daemon.stop());

const tokens = {};
let agent = null;

async function deputy(want, ...args) {
  const one = new Process(program('deputy'), [...args, '--socket', daemon.socket, '--format', 'json'], { cwd: daemon.data });
  const exit = await one.ended;
  equal(exit.code, want, `deputy ${args.join(' ')}: ${one.stderr}`);
  return want === 0 ? JSON.parse(one.stdout) : one.stderr;
}

const ask = (user, scope) => agent.exchange(tokens[user], { subject_token_type: ID_TOKEN, resource: API, ...(scope ? { scope } : {}) });

async function expect(user, scope, want, label) {
  const answer = await ask(user, scope);
  if (want === 200) {
    equal(answer.status, 200, `${label}: ${answer.text}`);
    return decode(answer.json.access_token).claims;
  }
  equal([answer.status, answer.json.error], [400, want], `${label}: ${answer.text}`);
  return answer.json;
}

suite.row('deputy issuer create says how claims are mapped', async () => {
  await daemon.create('resources', { id: API, name: 'books', scopes: ['read', 'post'] });
  agent = await world.client('clerk', 'basic', { agent: await world.agent('clerk', [{ resource: API, scopes: ['read', 'post'] }]) });
  for (const user of ['alice', 'bob', 'mallory', 'carol']) tokens[user] = await provider.signIn(user);
  equal(decode(tokens.alice).claims.groups, ['staff', 'Book Keepers'], 'what the provider signs');
  const base = ['issuer', 'create', provider.issuer, '--name', 'corp', '--org', 'org1', '--use', 'subject', '--audience', Portal.CLIENT, '--ceiling', `${API} read post`];
  const refused = await deputy(2, ...base, '--subject-claim', 'email');
  check(refused.includes('subject_claim'), refused);
  const beyond = await deputy(2, ...base, '--claim-ceiling', `groups=staff ${API} read admin`);
  check(beyond.includes('claim_ceilings'), beyond);
  await deputy(2, ...base, '--claim-ceiling', `groups ${API} read`);
  await deputy(2, ...base, '--require', 'tid');
  const made = await deputy(0, ...base, '--subject-claim', 'oid', '--require', 'tid=acme',
    '--claim-ceiling', `groups=staff ${API} read`, '--claim-ceiling', `groups=Book Keepers ${API} post`);
  equal(made.claim_ceilings, [
    { claims: { groups: 'staff' }, ceiling: [{ resource: API, scopes: ['read'] }] },
    { claims: { groups: 'Book Keepers' }, ceiling: [{ resource: API, scopes: ['post'] }] },
  ], 'the record');
});

suite.row('the user has the name that the record says, and the rights of all groups that it names', async () => {
  const both = await expect('alice', 'read post', 200, 'alice');
  equal([both.sub, both.scope], ['user:corp:11aa', 'read post'], 'alice');
  const implied = await expect('bob', null, 200, 'bob');
  equal([implied.sub, implied.scope], ['user:corp:22bb', 'read'], 'bob');
  await expect('bob', 'read post', 'invalid_scope', 'bob is no book keeper');
});

suite.row('D16 who lacks a claim is nobody here, whatever else is true', async () => {
  const stranger = await expect('mallory', 'read', 'invalid_request', 'of another tenant');
  check(/claim/.test(stranger.error_description), stranger.error_description);
  await expect('carol', 'read', 'invalid_request', 'without the claim that names users');
  equal((await ask('alice', 'read')).status, 200, 'and the next one is served');
});

suite.row('a changed record counts from the next exchange on', async () => {
  await deputy(0, 'issuer', 'update', provider.issuer, '--claim-ceiling', `groups=Book Keepers ${API} read`);
  await expect('bob', 'read', 'invalid_target', 'staff has nothing any more');
  await expect('alice', 'post', 'invalid_scope', 'book keepers only read now');
  await deputy(0, 'issuer', 'update', provider.issuer, '--claim-ceiling', 'none');
  await expect('bob', 'read post', 200, 'the ceiling for everybody');
  await expect('mallory', 'read', 'invalid_request', 'still of another tenant');
  await deputy(0, 'issuer', 'update', provider.issuer, '--require', 'none');
  await expect('mallory', 'read', 200, 'no tenant is asked for');
  await daemon.admin('PATCH', `/issuers/${encodeURIComponent(provider.issuer)}`, { subject_claim: 'sub' }, { want: 400 });
  equal((await expect('alice', 'read', 200, 'alice')).sub, 'user:corp:11aa', 'what names users stays');
});

await suite.run();
