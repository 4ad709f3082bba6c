// A user signs in at a real identity provider; what the provider signed becomes a chain of three agents, and one cut ends it.
import { TYPE } from '../lib/client.mjs';
import { Process, program } from '../lib/daemon.mjs';
import { Key, compact, decode } from '../lib/forge.mjs';
import { Guarded } from '../lib/guarded.mjs';
import { Portal } from '../lib/portal.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { World } from '../lib/world.mjs';

const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token';
const suite = new Suite('delegation');
const world = await World.start();
const { daemon } = world;

const provider = await Portal.start();
const idp = provider.issuer;
suite.end(() => provider.stop());
suite.end(() => daemon.stop());

// ---- the guarded API and the three agents ----

let api = null;
const agents = {};
const clients = {};
const tokens = {};
let idToken = null;
suite.end(() => api?.stop());

async function setUp(resource) {
  await daemon.create('resources', { id: resource, name: 'calendar', scopes: ['read', 'write', 'admin'] });
  await daemon.create('issuers', {
    id: idp, name: 'corp', org: 'org1', uses: ['subject'], audiences: [Portal.CLIENT], ceiling: [{ resource, scopes: ['read', 'write'] }],
  });
  for (const name of ['orchestrator', 'researcher', 'tool']) {
    agents[name] = await world.agent(`${name} of the trip`, [{ resource, scopes: ['read', 'write', 'admin'] }]);
    clients[name] = await world.client(name, name === 'tool' ? 'jwt' : 'basic', { agent: agents[name] });
  }
  return world.client('calendar guard', 'basic', { resource });
}

const call = (token) => fetch(`${api.resource}/items`, { headers: { Authorization: `Bearer ${token}` } });

async function deputy(...args) {
  const one = new Process(program('deputy'), [...args, '--data', daemon.data, '--format', 'json'], { cwd: api.folder });
  const exit = await one.ended;
  equal(exit.code, 0, `deputy ${args.join(' ')}: ${one.stderr}`);
  return JSON.parse(one.stdout);
}

suite.row('a user signs in at oidc-provider, and the orchestrator exchanges the ID token', async () => {
  api = await Guarded.start({
    issuer: world.issuer, scopes: 'read write', needs: 'read', setUp,
    handle: (request, response, identity) => response.end(JSON.stringify(identity)),
  });
  idToken = await provider.signIn('alice');
  const { header, claims } = decode(idToken);
  equal([header.kid, claims.iss, claims.sub, claims.aud], ['idp-1', idp, 'alice', Portal.CLIENT], 'what the provider signed');
  const answer = await clients.orchestrator.exchange(idToken, {
    subject_token_type: ID_TOKEN, resource: api.resource, scope: 'read write', task_id: 'trip-7', human_instruction: 'book the trip',
  });
  equal(answer.status, 200, answer.text);
  equal([answer.json.issued_token_type, answer.json.token_type], [TYPE.access, 'Bearer'], 'types');
  tokens.orchestrator = answer.json.access_token;
  const issued = decode(tokens.orchestrator).claims;
  equal([issued.sub, issued.act, issued.org_id], ['user:corp:alice', { sub: agents.orchestrator.id }, 'org1'], 'for whom');
  check(issued.exp <= claims.exp, 'no longer than the ID token');
});

suite.row('it delegates to a sub-agent, that one to a tool; each calls the guarded API', async () => {
  const pass = async (from, subject, to, more = {}) =>
    clients[from].delegate(subject, { audience: agents[to].id, scope: 'read', ...more });
  const forResearcher = await pass('orchestrator', idToken, 'researcher', { subject_token_type: ID_TOKEN, scope: 'read write', task_id: 'trip-7' });
  tokens.researcher = await clients.researcher.delegate(forResearcher, { resource: api.resource, scope: 'read', task_id: 'trip-7.1', parent_task_id: 'trip-7' });
  const forTool = await pass('researcher', forResearcher, 'tool', { task_id: 'trip-7.1' });
  tokens.tool = await clients.tool.delegate(forTool, { resource: api.resource, scope: 'read' });
  const { orchestrator, researcher, tool } = agents;
  for (const [name, chain] of [['orchestrator', [orchestrator]], ['researcher', [researcher, orchestrator]], ['tool', [tool, researcher, orchestrator]]]) {
    const answer = await call(tokens[name]);
    equal(answer.status, 200, name);
    const seen = await answer.json();
    equal([seen.subject, seen.actor], ['user:corp:alice', agents[name].id], name);
    equal(seen['actor-chain'].split(/[ ,]+/), chain.map((agent) => agent.id), `${name}: the whole chain, newest first`);
  }
  equal(decode(tokens.tool).claims.act, { sub: tool.id, act: { sub: researcher.id, act: { sub: orchestrator.id } } }, 'act');
});

suite.row('nobody in the chain gets more than the user, the issuer and the ceilings allow', async () => {
  const wide = await clients.orchestrator.exchange(idToken, { subject_token_type: ID_TOKEN, resource: api.resource, scope: 'admin' });
  equal([wide.status, wide.json.error], [400, 'invalid_scope'], "beyond the issuer's ceiling");
  const wider = await clients.researcher.exchange(tokens.researcher, { resource: api.resource, scope: 'read write' });
  equal([wider.status, wider.json.error], [400, 'invalid_scope'], 'beyond the token');
  const other = await clients.tool.exchange(tokens.researcher, { resource: api.resource, scope: 'read' });
  equal([other.status, other.json.error], [400, 'invalid_request'], "another's token");
  const twin = await clients.researcher.exchange(tokens.researcher, { resource: api.resource, scope: 'read' });
  equal(twin.status, 200, twin.text);
});

const principals = (value) => new Set(JSON.stringify(value).match(/user:corp:alice|agent:[0-9A-Z]{26}/g));

suite.row('deputy audit trace shows the user, the three actors and what each did at the guard', async () => {
  const trace = await deputy('audit', 'trace', decode(tokens.tool).claims.jti, '--log', api.log);
  const found = principals(trace);
  for (const id of ['user:corp:alice', agents.orchestrator.id, agents.researcher.id, agents.tool.id]) check(found.has(id), () => `${id} is not in ${JSON.stringify(trace)}`);
  check(JSON.stringify(trace).includes('guard.allowed'), 'the call at the guard');
  const task = await deputy('audit', 'trace', 'trip-7', '--log', api.log);
  for (const name of ['orchestrator', 'researcher', 'tool']) check(principals(task).has(agents[name].id), () => `${name} is not in the task: ${JSON.stringify(task)}`);
});

suite.row('banning the orchestrator refuses all three at the guard within a second', async () => {
  const bystander = await clients.researcher.get({ resource: api.resource, scope: 'read' });
  equal((await call(bystander)).status, 200, 'a token outside the chain');
  const begin = Date.now();
  await daemon.admin('POST', `/agents/${agents.orchestrator.id}/ban`, {}, { want: 200 });
  for (const name of ['orchestrator', 'researcher', 'tool']) {
    let answer = await call(tokens[name]);
    while (answer.status === 200 && Date.now() - begin < 5000) answer = await call(tokens[name]);
    equal(answer.status, 401, name);
    check(answer.headers.get('www-authenticate').includes('error="invalid_token"'), name);
  }
  check(Date.now() - begin < 1000, `refused after ${Date.now() - begin} ms`);
  console.log(`# refused after ${Date.now() - begin} ms`);
  const again = await clients.researcher.exchange(tokens.researcher, { resource: api.resource, scope: 'read' });
  equal([again.status, again.json.error], [400, 'invalid_request'], 'and nothing grows from it again');
  const dead = await clients.orchestrator.exchange(idToken, { subject_token_type: ID_TOKEN, resource: api.resource, scope: 'read' });
  equal([dead.status, dead.json.error], [401, 'invalid_client'], 'the banned one itself');
  equal((await call(bystander)).status, 200, 'others live');
});

suite.row('D21 the provider tells us about users only: a token of a stranger opens nothing', async () => {
  const stranger = Key.generate('RS256');
  const { header, claims } = decode(idToken);
  const forged = compact(header, claims, stranger);
  const answer = await clients.researcher.exchange(forged, { subject_token_type: ID_TOKEN, resource: api.resource, scope: 'read' });
  equal([answer.status, answer.json.error], [400, 'invalid_request'], 'signed by somebody else');
  const twin = await clients.researcher.exchange(idToken, { subject_token_type: ID_TOKEN, resource: api.resource, scope: 'read' });
  equal([twin.status, decode(twin.json.access_token).claims.act], [200, { sub: agents.researcher.id }], twin.text);
});

await suite.run();
