// Identity across domains: deputy A issues ID-JAGs and the JWTs of identity chaining, deputy B takes them. oauth4webapi, unmodified, asks
// A and B; every promise on the way is broken once.
import { oauth } from '../interop/packages.mjs';
import { BEARER, Deputies, THERE, THERE2, URN } from '../lib/deputies.mjs';
import { GRANT } from '../lib/client.mjs';
import { Key, compact, decode, now_s, proof, randomId, thumbprint } from '../lib/forge.mjs';
import { Guarded } from '../lib/guarded.mjs';
import { Ledger } from '../lib/ledger.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { RS1 } from '../lib/world.mjs';

const insecure = { [oauth.allowInsecureRequests]: true };
const suite = new Suite('two deputies');
const two = await Deputies.start();
const { a, b, AO, AW, BG, BO } = two;
const atA = new Ledger();
const atB = new Ledger();
let server = null;
suite.end(() => two.stop());
suite.end(() => server?.stop());

const claimsOf = (token) => decode(token).claims;
const typOf = (token) => decode(token).header.typ;
const handed = (pairs = {}) => AO.get({ audience: two.worker.id, scope: 'read', ...pairs });
const jag = async (pairs = {}, more = {}) => atA.token(await two.forUser({ resource: THERE, scope: 'read', ...pairs }, more), 'ID-JAG');
const refusedA = (answer, error, label) => atA.refusal(answer, { status: 400, error, label });
const refusedB = (answer, error, label) => atB.refusal(answer, { status: 400, error, label });

async function metadataOf(world) {
  const issuer = new URL(world.issuer);
  return oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }));
}

async function byLibrary(world, client, grant, params) {
  const [meta, as] = [{ client_id: client.id }, await metadataOf(world)];
  const response = await oauth.genericTokenEndpointRequest(as, meta, oauth.ClientSecretBasic(client.secret), grant, params, insecure);
  return oauth.processGenericTokenEndpointResponse(as, meta, response, { recognizedTokenTypes: { n_a: () => {} } });
}

suite.row('the metadata says what A can be asked for', async () => {
  const as = await metadataOf(a);
  equal(as.identity_chaining_requested_token_types_supported, [`${URN}id-jag`, `${URN}jwt`], 'types');
  check(as.authorization_grant_profiles_supported.includes('urn:ietf:params:oauth:grant-profile:id-jag'), 'and takes them itself');
});

for (const [name, typ] of [['id-jag', 'oauth-id-jag+jwt'], ['jwt', 'authorization-grant+jwt']])
  suite.row(`X11 X12 oauth4webapi: from a user's ID token at A over ${name} to an access token of B`, async () => {
    const asked = { subject_token: two.idToken(), subject_token_type: `${URN}id_token`, requested_token_type: URN + name, audience: b.issuer, resource: THERE, scope: 'read' };
    const result = await byLibrary(a, AO, GRANT.exchange, asked);
    equal([result.token_type, result.issued_token_type, result.refresh_token], ['n_a', URN + name, undefined], 'what it is');
    check(result.expires_in > 0 && result.expires_in <= 120, `no longer than the ID token: ${result.expires_in}`);
    equal(typOf(result.access_token), typ, 'typ');
    const { iat, exp, jti, ...claims } = claimsOf(result.access_token);
    check(jti.length > 16 && exp - iat === result.expires_in, 'times');
    equal(claims, {
      iss: a.issuer, sub: 'user:corp:alice', aud: b.issuer, client_id: BG.id, scope: 'read', resource: THERE, act: { iss: a.issuer, sub: two.orchestrator.id },
    }, 'claims, and no other');
    const token = (await byLibrary(b, BG, BEARER, { assertion: result.access_token, resource: THERE })).access_token;
    const got = claimsOf(token);
    equal([got.iss, got.sub, got.act, got.aud, got.scope], [b.issuer, 'user:a:user:corp:alice', { sub: two.guest.id }, THERE, 'read'], 'at B');
    check(got.exp <= exp, 'no longer than the grant');
  });

suite.row('X12 a chain crosses whole: user, orchestrator, worker', async () => {
  const first = atA.token(await AO.exchange(two.idToken(), { subject_token_type: `${URN}id_token`, audience: two.worker.id, scope: 'read' }), 'handed over');
  const answer = await AW.exchange(first, { requested_token_type: `${URN}jwt`, audience: b.issuer });
  const grant = atA.token(answer, 'grant');
  equal([answer.json.token_type, answer.json.scope, answer.json.issued_token_type], ['N_A', 'read', `${URN}jwt`], 'answer');
  equal(claimsOf(grant).act, { iss: a.issuer, sub: two.worker.id, act: { iss: a.issuer, sub: two.orchestrator.id } }, 'act');
  atB.token(await two.grant(grant), 'taken');
  const record = a.daemon.audit().find((one) => one.jti === claimsOf(grant).jti);
  equal([record.event, record.issued, record.lineage, record.chain], ['grant.issued', 'jwt', [claimsOf(first).jti], [two.worker.id, two.orchestrator.id, 'user:corp:alice']], 'in A\'s log');
});

suite.row('agents of their own: a token handed over, and one for B itself', async () => {
  const grant = atA.token(await AW.exchange(await handed(), { requested_token_type: `${URN}id-jag`, audience: b.issuer, resource: THERE }), 'handed over');
  equal([claimsOf(grant).sub, claimsOf(grant).act], [two.orchestrator.id, { iss: a.issuer, sub: two.worker.id }], 'who');
  const own = await AO.get({ audience: b.issuer, scope: 'read' });
  const alone = atA.token(await AO.exchange(own, { requested_token_type: `${URN}jwt`, audience: b.issuer }), 'alone');
  equal([claimsOf(alone).sub, claimsOf(alone).act], [two.orchestrator.id, undefined], 'nobody acts for it');
  for (const one of [grant, alone]) atB.token(await two.grant(one), 'taken');
  refusedA(await AW.exchange(await AW.get({ resource: THERE, scope: 'read' }).catch(() => own), { requested_token_type: `${URN}jwt`, audience: b.issuer }), 'invalid_request', "another's token");
});

suite.row('a grant is good once, for one client, at one server', async () => {
  const grant = await jag();
  refusedB(await two.grant(grant, {}, BO), 'invalid_grant', 'another client');
  atB.token(await two.grant(grant), 'once');
  refusedB(await two.grant(grant), 'invalid_grant', 'again');
  refusedA(await a.CB.token({ grant_type: BEARER, assertion: await jag() }), 'unauthorized_client', 'a client of A without the grant');
  const back = await a.client('back', 'basic', { agent: two.orchestrator, grants: [BEARER] });
  refusedA(await back.token({ grant_type: BEARER, assertion: await jag() }), 'invalid_grant', 'at A itself');
});

suite.row('a grant is no access token: not at A, not at B, not at a guard of either', async () => {
  const setUp = async (resource) => {
    await a.daemon.create('resources', { id: resource, name: 'guarded', scopes: ['read'] });
    const agent = await a.agent('caller', [{ resource, scopes: ['read'] }]);
    two.caller = await a.client('caller', 'basic', { agent, default_resource: resource });
    return a.client('guard', 'basic', { resource });
  };
  server = await Guarded.start({ issuer: a.issuer, scopes: 'read', needs: 'read', setUp, handle: (request, response) => response.end('in') });
  const call = async (token) => (await fetch(server.resource, { headers: { Authorization: `Bearer ${token}` } })).status;
  equal(await call(await two.caller.get({ scope: 'read' })), 200, 'twin');
  for (const type of ['id-jag', 'jwt']) {
    const grant = await jag({}, { type });
    equal(await call(grant), 401, `${type} at a guard of A`);
    atA.inactive(await a.RX.introspect(grant), `${type} at A's introspection`);
    atB.inactive(await two.BR.introspect(grant), `${type} at B's introspection`);
    refusedA(await AO.exchange(grant), 'invalid_request', `${type} as access token at A`);
    refusedB(await BG.exchange(grant), 'invalid_request', `${type} as access token at B`);
    refusedB(await BG.exchange(grant, { subject_token_type: `${URN}jwt` }), 'invalid_request', `${type} as a user's token at B`);
    atB.token(await two.grant(grant), 'twin');
  }
});

suite.row('a grant comes back at A, and to a B that takes A\'s users as well: it is a grant there, and never a subject or an actor', async () => {
  const both = await b.client('both', 'basic', { agent: two.guest, grants: [BEARER, GRANT.exchange], default_resource: THERE });
  const record = `/issuers/${encodeURIComponent(a.issuer)}`;
  await b.daemon.admin('PATCH', record, { uses: ['id-jag', 'subject', 'access-token'] }, { want: 200 });
  const [ours] = await a.signingKeys();
  for (const type of ['id-jag', 'jwt']) {
    const grant = await jag({}, { type });
    for (const name of ['access_token', 'jwt', 'id_token', 'id-jag', 'refresh_token']) {
      refusedA(await AO.exchange(grant, { subject_token_type: URN + name }), 'invalid_request', `${type} as ${name} back at A`);
      refusedB(await both.exchange(grant, { subject_token_type: URN + name, resource: THERE, scope: 'read' }), 'invalid_request', `${type} as ${name} at B`);
    }
    const own = await AO.get({ resource: THERE, scope: 'read' }).catch(() => handed());
    for (const name of ['access_token', 'jwt'])
      refusedA(await AW.exchange(own, { actor_token: grant, actor_token_type: URN + name }), 'invalid_request', `${type} as an actor token, ${name}`);
    atA.refusal(await AO.token({}, { credentials: [[], [['client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'], ['client_assertion', grant]]] }),
      { status: 401, error: 'invalid_client', label: `${type} as a client assertion` });
    const { error } = (await a.daemon.wire().request({ method: 'POST', path: '/oauth/agents', headers: [['Authorization', `Bearer ${grant}`], ['Content-Type', 'application/x-www-form-urlencoded']], body: 'name=x' })).json;
    equal(error, 'invalid_token', `${type} where agents are registered`);
    // It is its typ that makes it a grant: the same claims as an ID token are a subject at such a B, and as what older servers send a grant.
    const claims = claimsOf(grant);
    const as = (typ, more = {}) => compact({ typ, alg: ours.alg, kid: ours.kid }, { ...claims, jti: randomId(), ...more }, ours);
    atB.token(await both.exchange(as('JWT'), { subject_token_type: `${URN}id_token`, resource: THERE, scope: 'read' }), 'twin: a user\'s token of A');
    atB.token(await two.grant(as('JWT')), 'twin: a grant without a typ of its own');
    atB.token(await two.grant(grant), 'twin: the grant itself');
  }
  await b.daemon.admin('PATCH', record, { uses: ['id-jag'] }, { want: 200 });
});

suite.row('a grant is bound to the key of the proof, and B wants the same key', async () => {
  const [mine, another] = [Key.generate('ES256'), Key.generate('ES256')];
  const answer = await two.forUser({ resource: THERE, scope: 'read' }, { client: AO.withDpop(mine) });
  const grant = atA.token(answer, 'bound');
  equal([answer.json.token_type, claimsOf(grant).cnf], ['N_A', { jkt: thumbprint(mine.jwk) }], 'cnf');
  refusedB(await two.grant(grant), 'invalid_grant', 'no proof');
  refusedB(await two.grant(grant, {}, BG.withDpop(another)), 'invalid_grant', 'another key');
  const taken = await BG.token({ grant_type: BEARER, assertion: grant }, { proof: proof(mine, { url: BG.url }) });
  equal(claimsOf(atB.token(taken, 'the same key')).cnf, { jkt: thumbprint(mine.jwk) }, 'bound at B too');
});

suite.row('what A refuses: each with its twin', async () => {
  for (const [label, pairs, error, more] of [
    ['no audience', { audience: undefined, resource: undefined }, 'invalid_request'],
    ['a server without a record', { audience: 'https://c.example' }, 'invalid_target'],
    ['another spelling', { audience: `${b.issuer}/` }, 'invalid_target'],
    ['an issuer that takes no grants', { audience: two.idp.issuer }, 'invalid_target'],
    ['A itself', { audience: a.issuer }, 'invalid_request'],
    ['D14 a resource of A', { audience: RS1, resource: undefined }, 'invalid_request'],
    ['B and a resource of A', { resource: RS1 }, 'invalid_target'],
    ['a resource that is no pair with B', { resource: THERE2 }, 'invalid_target'],
    ['more than the pair has', { scope: 'admin' }, 'invalid_scope'],
    ['more than B has without a resource', { resource: undefined, scope: 'write' }, 'invalid_scope'],
    ['a client that B does not know', {}, 'invalid_target', { client: two.AN }],
    ['an expired ID token', {}, 'invalid_request', { claims: { exp: now_s() - 40 } }],
    ['may_act', { may_act: two.worker.id }, 'invalid_request'],
  ])
    refusedA(await two.forUser({ resource: THERE, scope: 'read', ...pairs }, more), error, label);
  refusedA(await AO.exchange(two.idToken(), { subject_token_type: `${URN}id_token`, requested_token_type: `${URN}saml2`, audience: b.issuer }), 'invalid_request', 'saml2');
  await jag();
});

suite.row('X13 never longer than five minutes, nor than the inputs', async () => {
  const now = now_s();
  const claims = claimsOf(await jag({}, { claims: { exp: now + 3000 } }));
  check(claims.exp - claims.iat <= 300, 'five minutes');
  check(claimsOf(await jag({}, { claims: { exp: now + 20 } })).exp <= now + 20, 'the ID token');
});

suite.row("A's access tokens at B: only when B's record of A says so", async () => {
  const path = `/issuers/${encodeURIComponent(a.issuer)}`;
  const own = await AO.get({ audience: b.issuer, scope: 'read' });
  const ask = (token, pairs = {}, options = {}) => BG.exchange(token, { subject_token_type: `${URN}jwt`, resource: THERE, ...pairs }, options);
  refusedB(await ask(own), 'invalid_request', 'not yet');
  await b.daemon.admin('PATCH', path, { uses: ['id-jag', 'access-token'] }, { want: 200 });
  const got = claimsOf(atB.token(await ask(own), 'taken'));
  equal([got.sub, got.act, got.scope], [`user:a:${two.orchestrator.id}`, { sub: two.guest.id }, 'read'], 'who at B');
  const handedOn = atA.token(await AW.exchange(await handed(), { audience: b.issuer, scope: 'read' }), 'by the worker, for B');
  const taken = claimsOf(atB.token(await ask(handedOn), 'taken'));
  const record = b.daemon.audit().find((one) => one.jti === taken.jti);
  equal(record.foreign_chain, [{ sub: two.worker.id }], "A's actor stands in B's record");
  refusedB(await ask(own, { scope: 'write' }), 'invalid_scope', 'more than it has');
  refusedB(await ask(own, { subject_token_type: `${URN}id_token` }), 'invalid_request', 'as an ID token');
  refusedB(await BG.exchange(own, { resource: THERE }), 'invalid_request', 'as a token of B');
  refusedB(await two.grant(own), 'invalid_grant', 'as a grant');
  refusedB(await ask(await a.CB.get({ resource: RS1, scope: 'read' })), 'invalid_request', 'a token of A for A');
  const key = Key.generate('ES256');
  const bound = await AO.withDpop(key).get({ audience: b.issuer, scope: 'read' });
  refusedB(await ask(bound), 'invalid_dpop_proof', 'bound, without a proof');
  refusedB(await ask(bound, {}, { proof: proof(Key.generate('ES256'), { url: BG.url }) }), 'invalid_dpop_proof', 'bound to another key');
  atB.token(await ask(bound, {}, { proof: proof(key, { url: BG.url }) }), 'twin');
  const named = await AO.get({ audience: b.issuer, scope: 'read', may_act: two.worker.id });
  refusedB(await ask(named), 'invalid_request', 'X17 may_act names an agent of A');
  await b.daemon.admin('PATCH', path, { uses: ['id-jag'] }, { want: 200 });
  refusedB(await ask(own), 'invalid_request', 'not any more');
});

suite.row("the foreign chain of a grant stands in B's record, and is nobody's authority there", async () => {
  const first = atA.token(await AO.exchange(two.idToken(), { subject_token_type: `${URN}id_token`, audience: two.worker.id, scope: 'read' }), 'handed over');
  const grant = atA.token(await AW.exchange(first, { requested_token_type: `${URN}id-jag`, audience: b.issuer, resource: THERE }), 'grant');
  const { act, jti } = claimsOf(atB.token(await two.grant(grant), 'taken'));
  equal(act, { sub: two.guest.id }, 'the actor at B');
  const record = b.daemon.audit().find((one) => one.jti === jti);
  equal(record.foreign_chain, [{ iss: a.issuer, sub: two.worker.id }, { iss: a.issuer, sub: two.orchestrator.id }], 'evidence');
  check(record.detail.includes(claimsOf(grant).jti) && record.detail.includes(a.issuer), "A's issuer and jti");
});

suite.row('mcp 3.2: B takes the resource from the grant, and what does not fit it is invalid_grant', async () => {
  equal(claimsOf(atB.token(await two.grant(await jag()), 'no resource asked')).aud, THERE, 'aud');
  refusedB(await two.grant(await jag(), { resource: THERE2 }), 'invalid_grant', 'another resource');
  refusedB(await two.grant(await jag(), { scope: 'read write' }), 'invalid_grant', 'more scope');
  await a.daemon.admin('PATCH', `/issuers/${encodeURIComponent(b.issuer)}`, { is_enabled: true }, { want: 200 });
});

suite.row('switched off, or banned: no more grants', async () => {
  const path = `/issuers/${encodeURIComponent(b.issuer)}`;
  equal((await a.daemon.admin('PATCH', path, { is_enabled: false })).status, 200, 'off');
  refusedA(await two.forUser({ resource: THERE }), 'invalid_target', 'B is switched off');
  equal((await a.daemon.admin('PATCH', path, { is_enabled: true })).status, 200, 'on');
  const subject = await handed();
  const ask = () => AW.exchange(subject, { requested_token_type: `${URN}jwt`, audience: b.issuer });
  atA.token(await ask(), 'twin');
  await AO.revoke(subject);
  refusedA(await ask(), 'invalid_request', 'revoked');
});

suite.row('every refusal has one record, no grant and no token stands in any', async () => {
  check(atA.settle(a.daemon).length > 20 && atB.settle(b.daemon).length > 10, 'records');
});

await suite.run();
