// Token exchange, rule by rule (RFC 8693; the numbers X1 to X21 of our list of checks): each row shows the good case or the exact error. The
// good ones go through oauth4webapi, unmodified.
import { oauth } from '../interop/packages.mjs';
import { GRANT, TYPE } from '../lib/client.mjs';
import { Key, compact, decode, now_s, proof, randomId, thumbprint } from '../lib/forge.mjs';
import { Idp } from '../lib/idp.mjs';
import { Ledger } from '../lib/ledger.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { RS1, RS2, RS3, World, likeAccessToken } from '../lib/world.mjs';

const URN = 'urn:ietf:params:oauth:token-type:';
const insecure = { [oauth.allowInsecureRequests]: true };
const suite = new Suite('token exchange X1-X21');
const world = await World.start();
const { daemon, CB, CW, C1, C2 } = world;
const ledger = new Ledger();
const idp = await Idp.start();
suite.end(() => idp.down());
suite.end(() => daemon.stop());
await daemon.create('issuers', {
  id: idp.issuer, name: 'corp', org: 'org1', uses: ['subject'], ceiling: [{ resource: RS1, scopes: ['read', 'write'] }, { resource: RS2, scopes: ['read', 'list'] }],
});
const issuer = new URL(world.issuer);
const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }));

// By oauth4webapi: what it sends and what it takes as an answer are its own affair.
async function exchanged(client, params, options = {}) {
  const meta = { client_id: client.id };
  const response = await oauth.genericTokenEndpointRequest(server, meta, oauth.ClientSecretBasic(client.secret), GRANT.exchange, params, { ...insecure, ...options });
  return oauth.processGenericTokenEndpointResponse(server, meta, response, { recognizedTokenTypes: { n_a: () => {} } });
}

const claimsOf = (token) => decode(token).claims;
const own = (pairs = {}) => CB.get({ resource: RS1, scope: 'read write', ...pairs });
const handed = (pairs = {}) => CB.get({ audience: world.worker.id, scope: 'read', ...pairs });
const idToken = (claims = {}) => idp.token({ aud: world.issuer, claims });

async function refused(label, client, subject, pairs, error, { status = 400, options = {} } = {}) {
  ledger.refusal(await client.exchange(subject, pairs, options), { status, error, label });
}

for (const [name, subject, client, chain] of [
  ['access_token', () => handed(), CW, () => [world.orchestrator.id, { sub: world.worker.id }]],
  ['id_token', async () => idToken(), CW, () => ['user:corp:alice', { sub: world.worker.id }]],
  ['jwt', async () => idToken(), CW, () => ['user:corp:alice', { sub: world.worker.id }]],
])
  suite.row(`oauth4webapi: subject_token_type ${name}`, async () => {
    const result = await exchanged(client, { subject_token: await subject(), subject_token_type: URN + name, resource: RS1, scope: 'read', requested_token_type: TYPE.access });
    equal([result.token_type, result.issued_token_type, result.scope ?? 'read'], ['bearer', TYPE.access, 'read'], name);
    const claims = claimsOf(result.access_token);
    equal([claims.sub, claims.act], chain(), 'whom for, and who');
  });

suite.row('X1 the grant type is the whole URN', async () => {
  const subject = await own();
  for (const grant of ['token-exchange', 'urn:ietf:params:oauth:grant-type:token_exchange', `${GRANT.exchange} `])
    ledger.refusal(await CB.exchange(subject, { grant_type: grant }), { status: 400, error: 'unsupported_grant_type', label: grant });
  ledger.token(await CB.exchange(subject), 'twin');
});

suite.row('X2 subject_token and its type are required', async () => {
  const subject = await own();
  await refused('no subject', CB, undefined, {}, 'invalid_request');
  await refused('an empty one', CB, '', {}, 'invalid_request');
  await refused('no type', CB, subject, { subject_token_type: undefined }, 'invalid_request');
  ledger.token(await CB.exchange(subject), 'twin');
});

suite.row('X3 actor_token and its type come together', async () => {
  const subject = await own();
  const actor = await CB.get({ audience: world.issuer });
  await refused('no type', CB, subject, { actor_token: actor }, 'invalid_request');
  await refused('no token', CB, subject, { actor_token_type: TYPE.access }, 'invalid_request');
  ledger.token(await CB.exchange(subject, { actor_token: actor, actor_token_type: TYPE.access }), 'twin');
});

suite.row('X4 resource and audience: several, with a query, never a fragment', async () => {
  const wide = await CB.get([['grant_type', GRANT.credentials], ['resource', RS1], ['resource', RS2], ['scope', 'read']]);
  const list = (pairs) => [['grant_type', GRANT.exchange], ['subject_token', wide], ['subject_token_type', TYPE.access], ...pairs];
  const both = await CB.token(list([['resource', RS1], ['audience', RS2]]));
  equal(claimsOf(ledger.token(both, 'both')).aud.sort(), [RS1, RS2].sort(), 'aud');
  for (const bad of [`${RS1}#x`, `${RS1}#`, '/api', 'rs1'])
    ledger.refusal(await CB.token(list([['resource', bad]])), { status: 400, error: 'invalid_target', label: bad });
  ledger.refusal(await CB.token(list([['resource', `${RS1}?x=1`]])), { status: 400, error: 'invalid_target', label: 'a query is another resource' });
});

suite.row('X5 token types: what is not supported is invalid_request', async () => {
  const subject = await own();
  for (const type of ['saml1', 'saml2', 'refresh_token', 'id-jag', 'txn_token', 'x', ''])
    await refused(`subject ${type}`, CB, subject, { subject_token_type: URN + type }, 'invalid_request');
  for (const type of ['access_token', 'Access_Token', `${TYPE.access} `]) await refused(type, CB, subject, { subject_token_type: type }, 'invalid_request');
  await refused('a foreign token as ours', CB, idToken(), {}, 'invalid_request');
  await refused('ours as a foreign one', CB, subject, { subject_token_type: `${URN}jwt` }, 'invalid_request');
  ledger.token(await CB.exchange(subject), 'twin');
});

suite.row('X6 any fault of subject or actor token is invalid_request, never invalid_grant', async () => {
  const subject = await own();
  const gone = await own();
  equal((await CB.revoke(gone)).status, 200, 'revoked');
  const [ours] = await world.signingKeys();
  const bent = (claims, header = {}) => {
    const base = likeAccessToken(subject, { claims, header });
    return compact(base.header, base.claims, ours);
  };
  for (const [label, text] of [
    ['revoked', gone], ['expired', bent({ exp: now_s() - 1 })], ['of another issuer', bent({ iss: 'https://as.example' })],
    ['typ JWT', bent({}, { typ: 'JWT' })], ['not yet valid', bent({ nbf: now_s() + 120 })], ['no token', 'x'], ['cut short', subject.slice(0, -4)],
  ]) {
    await refused(label, CB, text, {}, 'invalid_request');
    await refused(`${label}, as actor`, CB, subject, { actor_token: text, actor_token_type: TYPE.access }, 'invalid_request');
  }
  for (const [label, text] of [
    ['expired ID token', idToken({ exp: now_s() - 40 })], ['ID token for another', idp.token({ aud: 'https://as.example' })],
    ['ID token of a stranger', idp.token({ aud: world.issuer, key: Key.generate('ES256'), header: { kid: idp.key.kid } })],
  ])
    await refused(label, CB, text, { subject_token_type: `${URN}id_token` }, 'invalid_request');
  ledger.token(await CB.exchange(bent({})), 'twin');
});

suite.row('X6 a JWT of the client as actor token, once', async () => {
  const subject = await C1.get({ resource: RS1, scope: 'read' });
  const now = now_s();
  const actor = (claims = {}, key = C1.key) =>
    compact({ typ: 'JWT', alg: key.alg, kid: key.kid }, { iss: C1.id, sub: world.orchestrator.id, aud: world.issuer, iat: now, exp: now + 60, jti: randomId(), ...claims }, key);
  const as = (text) => ({ actor_token: text, actor_token_type: `${URN}jwt` });
  const once = actor();
  ledger.token(await C1.exchange(subject, as(once)), 'once');
  await refused('again', C1, subject, as(once), 'invalid_request');
  await refused("another client's key", C1, subject, as(actor({}, C2.key)), 'invalid_request');
  await refused('another agent', C1, subject, as(actor({ sub: world.worker.id })), 'invalid_request');
  await refused('for another server', C1, subject, as(actor({ aud: 'https://as.example' })), 'invalid_request');
  ledger.token(await C1.exchange(subject, as(actor())), 'twin');
});

suite.row('X7 invalid_target, invalid_scope, unauthorized_client, each where it belongs', async () => {
  const subject = await own();
  await refused('an unknown resource', CB, subject, { resource: 'https://unknown.example/' }, 'invalid_target');
  await refused('an unknown audience', CB, subject, { audience: 'nobody' }, 'invalid_target');
  await refused('a known one, outside', CB, subject, { resource: RS3 }, 'invalid_target');
  await refused('an unknown scope', CB, subject, { resource: RS1, scope: 'fly' }, 'invalid_scope');
  await refused('a known one, outside', CB, subject, { resource: RS1, scope: 'admin' }, 'invalid_scope');
  const bare = await world.client('bare', 'basic', { agent: world.orchestrator, grants: [GRANT.credentials], default_resource: RS1 });
  await refused('no grant', bare, await bare.get({ scope: 'read' }), {}, 'unauthorized_client');
  ledger.token(await CB.exchange(subject, { resource: RS1, scope: 'read' }), 'twin');
});

suite.row('X8 without client authentication nothing is exchanged', async () => {
  const subject = await own();
  const none = { credentials: [[], []] };
  await refused('nobody', CB, subject, {}, 'invalid_client', { status: 401, options: none });
  await refused('a name only', CB, subject, { client_id: CB.id }, 'invalid_client', { status: 401, options: none });
  ledger.token(await CB.exchange(subject), 'twin');
});

suite.row('X9 an exchange leaves its input valid; revoking the input ends what grew from it', async () => {
  const subject = await own();
  const result = ledger.token(await CB.exchange(subject, { scope: 'read' }), 'result');
  equal((await world.R1.introspect(subject)).json.active, true, 'the input lives');
  equal((await CB.revoke(subject)).status, 200, 'revoked');
  equal([(await world.R1.introspect(subject)).json.active, (await world.R1.introspect(result)).json.active], [false, false], 'both dead');
});

suite.row('X10 every scope must mean something at every audience', async () => {
  const first = await CB.get({ resource: RS1, scope: 'read write' });
  const ask = (scope) => CB.token([['grant_type', GRANT.exchange], ['subject_token', idToken()], ['subject_token_type', `${URN}id_token`], ['resource', RS1], ['resource', RS2], ['scope', scope]]);
  ledger.refusal(await ask('read write'), { status: 400, error: 'invalid_scope', label: 'write means nothing at the second' });
  ledger.refusal(await ask('list'), { status: 400, error: 'invalid_scope', label: 'list means nothing at the first' });
  const { scope, aud } = claimsOf(ledger.token(await ask('read'), 'both know it'));
  equal([scope, aud.sort()], ['read', [RS1, RS2].sort()], 'both');
  ledger.token(await CB.exchange(first, { resource: RS1, scope: 'read write' }), 'twin');
});

suite.row('X11 the answer: issued_token_type, token_type, expires_in, scope; no refresh token', async () => {
  const key = Key.generate('ES256');
  for (const [client, type] of [[CB, 'Bearer'], [CB.withDpop(key), 'DPoP']]) {
    const subject = await client.get({ resource: RS1, scope: 'read write' });
    const answer = await client.exchange(subject, { scope: 'read' });
    ledger.token(answer, type);
    const { access_token: token, ...rest } = answer.json;
    const { exp, iat } = claimsOf(token);
    check(rest.expires_in > 0 && rest.expires_in <= exp - iat, `expires_in ${rest.expires_in}`);
    equal({ ...rest, expires_in: 0 }, { issued_token_type: TYPE.access, token_type: type, expires_in: 0, scope: 'read' }, 'members');
  }
});

suite.row('X12 an access token is issued as access_token; other requested types are refused', async () => {
  const subject = await own();
  const answer = await CB.exchange(subject, { requested_token_type: TYPE.access });
  ledger.token(answer, 'asked for');
  equal(answer.json.issued_token_type, TYPE.access, 'although it is a JWT');
  for (const type of [`${URN}refresh_token`, `${URN}id_token`, `${URN}saml2`, 'x'])
    await refused(type, CB, subject, { requested_token_type: type }, 'invalid_request');
});

suite.row('X13 the result lives no longer than any of its inputs', async () => {
  const [ours] = await world.signingKeys();
  const exp = now_s() + 20;
  const base = likeAccessToken(await own(), { claims: { exp } });
  const short = compact(base.header, base.claims, ours);
  check(claimsOf(ledger.token(await CB.exchange(short), 'subject')).exp <= exp, 'no longer than the subject token');
  const user = ledger.token(await CB.exchange(idToken({ exp }), { subject_token_type: `${URN}id_token`, resource: RS1, scope: 'read' }), 'user');
  check(claimsOf(user).exp <= exp, 'no longer than the ID token');
  const like = likeAccessToken(await CB.get({ audience: world.issuer }), { claims: { exp } });
  const actor = compact(like.header, like.claims, ours);
  const result = ledger.token(await CB.exchange(await own(), { actor_token: actor, actor_token_type: TYPE.access }), 'actor');
  check(claimsOf(result).exp <= exp, 'no longer than the actor token');
});

// A chain of three by the server itself: user, worker, helper.
async function chain() {
  const more = { subject_token_type: `${URN}id_token`, audience: world.worker.id, scope: 'read' };
  const first = ledger.token(await CB.exchange(idToken(), more), 'first');
  const second = ledger.token(await CW.exchange(first, { audience: world.helper.id, scope: 'read' }), 'second');
  return ledger.token(await world.CP.exchange(second, { resource: RS1, scope: 'read' }), 'third');
}

suite.row('X14 X15 act: identities only, the newest outermost', async () => {
  equal(claimsOf(await chain()).act, { sub: world.helper.id, act: { sub: world.worker.id, act: { sub: world.orchestrator.id } } }, 'act');
});

suite.row('X16 only the subject and the outermost actor count: who is further inside may not use the token', async () => {
  const token = await chain();
  await refused('the middle one', CW, token, { scope: 'read' }, 'invalid_request');
  await refused('the first one', CB, token, { scope: 'read' }, 'invalid_request');
  ledger.token(await world.CP.exchange(token, { scope: 'read' }), 'the outermost');
});

suite.row('X17 may_act: whom it names may become the actor, nobody else', async () => {
  const subject = await own({ may_act: world.worker.id, scope: 'read' });
  equal(claimsOf(subject).may_act?.sub, world.worker.id, 'issued');
  const { act } = claimsOf(ledger.token(await CW.exchange(subject, { scope: 'read' }), 'the named one'));
  equal(act, { sub: world.worker.id }, 'the actor');
  await refused('another agent', world.CP, subject, { scope: 'read' }, 'invalid_request');
  const [ours] = await world.signingKeys();
  const naming = (iss) => {
    const like = likeAccessToken(subject, { claims: { may_act: { iss, sub: world.worker.id } } });
    return compact(like.header, like.claims, ours);
  };
  await refused('the same name at another issuer', CW, naming('https://as.example'), { scope: 'read' }, 'invalid_request');
  ledger.token(await CW.exchange(naming(world.issuer), { scope: 'read' }), 'at this one');
});

suite.row('X18 sub is the subject\'s, act.sub the actor\'s; without an actor token the client is the actor, never the subject', async () => {
  const claims = claimsOf(ledger.token(await CW.exchange(await handed(), { resource: RS1 }), 'no actor token'));
  equal([claims.sub, claims.act], [world.orchestrator.id, { sub: world.worker.id }], 'no impersonation');
  const actor = await CW.get({ audience: world.issuer });
  const same = claimsOf(ledger.token(await CW.exchange(await handed(), { resource: RS1, actor_token: actor, actor_token_type: TYPE.access }), 'with it'));
  equal([same.sub, same.act], [claims.sub, claims.act], 'the same');
});

suite.row('X19 introspection shows act and may_act', async () => {
  const seen = (await world.R1.introspect(await chain())).json;
  equal([seen.active, seen.sub, seen.act?.act?.act], [true, 'user:corp:alice', { sub: world.orchestrator.id }], 'act');
  const named = (await world.R1.introspect(await own({ may_act: world.worker.id, scope: 'read' }))).json;
  equal([named.active, named.may_act], [true, { sub: world.worker.id }], 'may_act');
});

suite.row('X20 no cycle, and not deeper than eight', async () => {
  const back = await CW.delegate(await handed(), { audience: world.orchestrator.id, scope: 'read' });
  await refused('back to the first', CB, back, { resource: RS1 }, 'invalid_request');
  const makers = [];
  for (let i = 0; i < 10; i += 1) {
    const agent = await world.agent(`link ${i}`, [{ resource: RS1, scopes: ['read'] }]);
    makers.push([agent, await world.client(`link ${i}`, 'basic', { agent, default_resource: RS1 })]);
  }
  let token = idToken();
  let depth = 0;
  for (; depth < 9; depth += 1) {
    const type = depth === 0 ? { subject_token_type: `${URN}id_token` } : {};
    const answer = await makers[depth][1].exchange(token, { ...type, audience: makers[depth + 1][0].id, scope: 'read' });
    if (answer.status !== 200) {
      equal(answer.json.error, 'invalid_request', answer.text);
      break;
    }
    token = answer.json.access_token;
  }
  equal(depth, 8, 'actors');
});

suite.row('X21 the result is bound to the key of the proof; a binding is not inherited, and not lost', async () => {
  const [first, second] = [Key.generate('ES256'), Key.generate('ES256')];
  const bound = await CB.withDpop(first).get({ audience: world.worker.id, scope: 'read' });
  await refused('no proof', CW, bound, { resource: RS1 }, 'invalid_dpop_proof');
  const answer = await CW.withDpop(second).exchange(bound, { resource: RS1 });
  const { cnf } = claimsOf(ledger.token(answer, 'bound to its own key'));
  equal([cnf, answer.json.token_type], [{ jkt: thumbprint(second.jwk) }, 'DPoP'], 'cnf');
  const mine = await CB.withDpop(first).get({ resource: RS1, scope: 'read' });
  await refused('narrowing under another key', CB.withDpop(second), mine, {}, 'invalid_dpop_proof');
  const once = proof(first, { url: CB.url });
  ledger.token(await CB.exchange(mine, {}, { proof: once }), 'twin');
  await refused('the proof again', CB, mine, {}, 'invalid_dpop_proof', { options: { proof: once } });
  await refused('the proof again, with a fresh assertion', C1, await C1.get({ resource: RS1 }), {}, 'invalid_dpop_proof', { options: { proof: once } });
});

suite.row('every refusal has one record, no token stands in any', async () => {
  check(ledger.settle(daemon).length > 100, 'records');
});

await suite.run();
