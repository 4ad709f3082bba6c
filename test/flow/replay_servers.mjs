// Two servers of one issuer over one PostgreSQL, as a second node is made: from a copy of the first one's records. Whatever may be used once
// is sent to both at once and is taken by one. Then the store hangs, dies and comes back; then the nodes are killed.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Client, GRANT } from '../lib/client.mjs';
import { Daemon } from '../lib/daemon.mjs';
import { Key, compact, now_s, proof, randomId } from '../lib/forge.mjs';
import { Idp } from '../lib/idp.mjs';
import { until } from '../lib/nodes.mjs';
import { Cluster, schema } from '../lib/postgres.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { RS1, World } from '../lib/world.mjs';
import { Wire, freePort } from '../lib/wire.mjs';

const BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const URN = 'urn:ietf:params:oauth:token-type:';
const suite = new Suite('replay-servers');
const cluster = await Cluster.start({ schema: schema(), count: 2 });
suite.end(() => cluster.stop());
cluster.age(600);
const [primary] = cluster.nodes;
const secrets = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
const file = (name, text) => {
  fs.writeFileSync(path.join(secrets, name), text, { mode: 0o600 });
  return path.join(secrets, name);
};
const shared = {
  replay: `postgresql:file:${file('conninfo', `${cluster.guardRole()}\n`)}`,
  nonce_key_file: file('nonce', Buffer.alloc(32, 7)),
  workers: 2,
};
const idp = await Idp.start();
suite.end(() => idp.down());

// The records are made at a server that keeps in memory what was used.
const world = await World.start({ config: { nonce_key_file: shared.nonce_key_file } });
const one = world.daemon;
await one.create('issuers', { id: idp.issuer, name: 'corp', org: 'org1', uses: ['id-jag'], ceiling: [{ resource: RS1, scopes: ['read'] }] });
world.CG = await world.client('grants', 'jwt', { agent: world.helper, grants: [BEARER, GRANT.credentials], default_resource: RS1 });
world.RJ = await world.client('rj', 'jwt', { resource: RS1 });
await one.down();
const backup = fs.readFileSync(path.join(one.data, 'deputy.db'));
one.config = { ...one.config, ...shared };
one.writeConfig(one.config);

// Another machine with these records, and nothing else.
async function node(config = {}, issuer = one.issuer) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
  const port = await freePort();
  fs.mkdirSync(path.join(dir, 'data'), { mode: 0o700 });
  fs.writeFileSync(path.join(dir, 'data', 'deputy.db'), backup, { mode: 0o600 });
  const daemon = await Daemon.start({ dir, port, config: { ...shared, ...config, issuer } });
  daemon.ownsDir = true;
  daemon.issuer = issuer;
  return daemon;
}

const isReady = async (daemon) => {
  const wire = new Wire({ socketPath: daemon.socket });
  const answer = await wire.request({ path: '/readyz', host: 'localhost' });
  wire.close();
  return answer.status === 200;
};
const ready = (daemon) => until(() => isReady(daemon), `${daemon.dir} is ready\n${daemon.process.stderr}`);

await one.up();
const two = await node();
const nodes = [one, two];
suite.end(() => one.stop());
suite.end(() => two.stop());
await Promise.all(nodes.map(ready));
const at = (client, daemon) => new Client(one, { ...client, wire: daemon.wire() });
const nextSecond = async () => {
  const last = now_s();
  await until(() => now_s() > last, 'the next second');
};
// What was made before the start may have been used before it.
await nextSecond();

const bodyOf = (answer) => `${answer.status} ${answer.json?.error ?? ''}`.trim();
const both = async (send, daemons = nodes) => (await Promise.all(daemons.map(send))).map(bodyOf);
const withAssertion = (client, assertion, pairs = {}) => (daemon) =>
  at(client, daemon).token({ grant_type: GRANT.credentials, ...pairs }, { credentials: [[], [
    ['client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'], ['client_assertion', assertion]]] });
let nonce = null;
const dpopKey = Key.generate('ES256');
const fresh = (claims = {}) => proof(dpopKey, { url: `${one.issuer}/oauth/token`, nonce, claims });
const withProof = (text) => (daemon) => at(world.CB, daemon).token({}, { proof: text });

suite.row('the two are one issuer', async () => {
  for (const daemon of nodes) {
    equal((await daemon.wire().request({ path: '/.well-known/oauth-authorization-server' })).json.issuer, one.issuer, 'issuer');
    equal(bodyOf(await at(world.CB, daemon).token()), '200', 'a token with a secret');
  }
  // So soon after the start a proof needs a nonce of after it; either node understands the other's.
  const answer = await withProof(fresh())(one);
  equal(bodyOf(answer), '400 use_dpop_nonce', 'the fence');
  nonce = answer.header('dpop-nonce');
});

suite.row('C09 a client assertion that goes to both at once is taken by one, and by none a second time', async () => {
  for (let i = 0; i < 40; i += 1) {
    const send = withAssertion(world.C1, world.C1.assertion());
    equal((await both(send)).sort(), ['200', '401 invalid_client'], 'at once');
    equal(await both(send), ['401 invalid_client', '401 invalid_client'], 'again');
  }
  equal(await both((daemon) => withAssertion(world.C1, world.C1.assertion())(daemon)), ['200', '200'], 'twin: one for each');
});

suite.row('B25 B30 a DPoP proof that goes to both at once is taken by one', async () => {
  for (let i = 0; i < 40; i += 1) {
    const send = withProof(fresh());
    equal((await both(send)).sort(), ['200', '400 invalid_dpop_proof'], 'at once');
    equal(await both(send), ['400 invalid_dpop_proof', '400 invalid_dpop_proof'], 'again');
  }
  equal(await both((daemon) => withProof(fresh())(daemon)), ['200', '200'], 'twin: one for each');
});

suite.row('an assertion and a proof in one request: the one that was used is named, and the other node knows both', async () => {
  const [assertion, text] = [world.C1.assertion(), fresh()];
  const send = (assertionText, proofText) => (daemon) =>
    at(world.C1, daemon).token({}, { proof: proofText, credentials: [[], [
      ['client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'], ['client_assertion', assertionText]]] });
  equal(bodyOf(await send(assertion, text)(one)), '200', 'new');
  equal(bodyOf(await send(assertion, fresh())(two)), '401 invalid_client', 'the assertion');
  equal(bodyOf(await send(world.C1.assertion(), text)(two)), '400 invalid_dpop_proof', 'the proof');
  equal(bodyOf(await send(world.C1.assertion(), fresh())(two)), '200', 'twin: both new');
});

suite.row('an actor JWT and an ID-JAG that go to both at once are taken by one', async () => {
  const subject = await world.C1.over(one.wire()).get({ resource: RS1, scope: 'read' });
  const actor = () => compact({ typ: 'JWT', alg: 'ES256', kid: world.C1.key.kid },
    { iss: world.C1.id, sub: world.orchestrator.id, aud: one.issuer, iat: now_s(), exp: now_s() + 60, jti: randomId() }, world.C1.key);
  const exchange = (text) => (daemon) => at(world.C1, daemon).exchange(subject, { actor_token: text, actor_token_type: `${URN}jwt` });
  const grant = () => idp.token({ typ: 'oauth-id-jag+jwt', aud: one.issuer, claims: { sub: 'bob', client_id: world.CG.id, resource: RS1, scope: 'read' } });
  const trade = (text) => (daemon) => at(world.CG, daemon).token({ grant_type: BEARER, assertion: text });
  for (const [what, make, send, error] of [['actor', actor, exchange, '400 invalid_request'], ['ID-JAG', grant, trade, '400 invalid_grant']]) {
    const text = make();
    equal((await both(send(text))).sort(), ['200', error], `${what} at once`);
    equal(await both(send(text)), [error, error], `${what} again`);
    equal(await both((daemon) => send(make())(daemon)), ['200', '200'], `${what}, twin: one for each`);
  }
});

suite.row('C11 introspection asks the same store', async () => {
  const token = await world.CB.over(one.wire()).get();
  const pairs = (assertion) => [['client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'], ['client_assertion', assertion]];
  const introspect = (assertion) => (daemon) => at(world.RJ, daemon).introspect(token, { credentials: [[], pairs(assertion)] });
  const assertion = world.RJ.assertion();
  equal((await both(introspect(assertion))).sort(), ['200', '401 invalid_client'], 'at once');
  const answer = await introspect(world.RJ.assertion())(two);
  equal([answer.status, answer.json.active], [200, true], 'twin');
});

suite.row('the connection string stands in no argument, no answer and nothing that is written', async () => {
  for (const daemon of nodes) {
    check(!daemon.process.child.spawnargs.join(' ').includes(cluster.password), 'arguments');
    check(!daemon.artefacts().includes(cluster.password), 'output and log');
    check(!(await daemon.admin('GET', '/config', undefined, { want: 200 })).text.includes(cluster.password), 'the configuration as shown');
  }
});

suite.row('B36 a store that hangs: 503 with Retry-After, workers go on, and it comes back without a restart', async () => {
  const taken = world.C1.assertion();
  equal(bodyOf(await withAssertion(world.C1, taken)(one)), '200', 'before');
  const during = Array.from({ length: 8 }, () => world.C1.assertion());
  primary.signalAll('SIGSTOP');
  try {
    // Four times as many as there are workers wait for the store ...
    const waiting = during.map((assertion) => withAssertion(world.C1, assertion)(one));
    const settled = Promise.race(waiting).then(() => 'settled');
    // ... and who brings nothing that may be used once is answered meanwhile.
    const others = (async () => {
      for (let i = 0; i < 4; i += 1) equal(bodyOf(await at(world.CB, one).token()), '200', 'a secret needs no store');
      return 'others';
    })();
    equal(await Promise.race([settled, others]), 'others', 'no worker is blocked');
    for (const answer of await Promise.all(waiting))
      equal([answer.status, answer.json.error, answer.header('retry-after') !== null], [503, 'temporarily_unavailable', true], 'nobody can know');
  } finally {
    primary.signalAll('SIGCONT');
  }
  await Promise.all(nodes.map(ready));
  await nextSecond();
  await until(async () => (await both((daemon) => withAssertion(world.C1, world.C1.assertion())(daemon))).every((said) => said === '200'), 'both work again');
  equal(await both(withAssertion(world.C1, taken)), ['401 invalid_client', '401 invalid_client'], 'what was taken stays taken');
  for (const assertion of during) check((await both(withAssertion(world.C1, assertion))).filter((said) => said === '200').length <= 1, 'burnt or new, once');
  for (const assertion of during) equal(await both(withAssertion(world.C1, assertion)), ['401 invalid_client', '401 invalid_client'], 'and then never again');
  equal(nodes.map((daemon) => daemon.process.exit ?? null), [null, null], 'no restart');
});

suite.row('B36 a store that is gone: refused at once, not ready; taken again when it is back', async () => {
  await primary.down();
  await until(async () => !(await isReady(one)) && !(await isReady(two)), 'both say that they are not ready');
  for (const daemon of nodes) {
    const answer = await withAssertion(world.C1, world.C1.assertion())(daemon);
    equal([answer.status, answer.json.error, answer.header('retry-after') !== null], [503, 'temporarily_unavailable', true], 'refused');
    equal(answer.count('www-authenticate'), 0, 'no challenge: nothing is wrong with the assertion');
    equal(bodyOf(await at(world.CB, daemon).token()), '200', 'a secret needs no store');
  }
  await primary.up();
  await Promise.all(nodes.map(ready));
  await until(async () => (await both((daemon) => withAssertion(world.C1, world.C1.assertion())(daemon))).every((said) => said === '200'), 'both work again');
}, { limit_ms: 90000 });

suite.row('kill -9: a restarted node takes nothing that either has taken', async () => {
  // Dated ahead, so that no restart fence refuses them: the store alone can.
  const ahead = () => world.C1.assertion({ claims: { iat: now_s() + 25, exp: now_s() + 80 } });
  const [here, there, unused] = [ahead(), ahead(), ahead()];
  equal(bodyOf(await withAssertion(world.C1, here)(one)), '200', 'used at the one that dies');
  equal(bodyOf(await withAssertion(world.C1, there)(two)), '200', 'used at the other');
  await one.restart('SIGKILL');
  await ready(one);
  equal(await both(withAssertion(world.C1, here)), ['401 invalid_client', '401 invalid_client'], 'its own');
  equal(await both(withAssertion(world.C1, there)), ['401 invalid_client', '401 invalid_client'], 'the other\'s');
  equal((await both(withAssertion(world.C1, unused))).sort(), ['200', '401 invalid_client'], 'twin: one that nobody has used');
});

suite.row('a node from a backup of the records does not take what was used since', async () => {
  await nextSecond();
  const used = world.C1.assertion();
  equal(bodyOf(await withAssertion(world.C1, used)(one)), '200', 'used');
  const third = await node();
  try {
    await ready(third);
    equal(bodyOf(await withAssertion(world.C1, used)(third)), '401 invalid_client', 'it has no log and no record of it');
    equal(bodyOf(await withAssertion(world.C1, world.C1.assertion())(third)), '200', 'twin');
  } finally {
    await third.stop();
  }
});

suite.row('sqlite: one node remembers across kill -9, and when its records come from a backup', async () => {
  const store = path.join(secrets, 'replay.db');
  let daemon = await node({ replay: `sqlite:${store}` });
  await nextSecond();
  const send = (assertion) => withAssertion(world.C2, assertion)(daemon).then(bodyOf);
  const ahead = () => world.C2.assertion({ claims: { iat: now_s() + 25, exp: now_s() + 80 } });
  const [used, unused] = [ahead(), ahead()];
  equal([await send(used), await send(used)], ['200', '401 invalid_client'], 'once');
  await daemon.restart('SIGKILL');
  equal(await send(used), '401 invalid_client', 'after kill -9');
  await daemon.stop();
  equal(fs.statSync(store).mode & 0o777, 0o600, 'mode');
  daemon = await node({ replay: `sqlite:${store}` });
  try {
    equal(await send(used), '401 invalid_client', 'after a restore of the records');
    equal([await send(unused), await send(unused)], ['200', '401 invalid_client'], 'twin');
  } finally {
    await daemon.stop();
  }
});

suite.row('a connection string that others may read, or that is none, ends the start', async () => {
  for (const [text, mode, message] of [[cluster.conninfo('guard'), 0o644, /permissions 0644 are too open/], ['no such thing', 0o600, /no connection string/]]) {
    const name = path.join(secrets, `bad-${mode}`);
    fs.writeFileSync(name, text);
    fs.chmodSync(name, mode);
    let said = '';
    await node({ replay: `postgresql:file:${name}` }).catch((error) => {
      said = error.message;
    });
    check(message.test(said), said);
    check(!said.includes(cluster.password), 'not repeated');
  }
});

suite.end(() => fs.rmSync(secrets, { recursive: true, force: true }));
await suite.run();
