// Group D: token exchange.
import { GRANT, TYPE } from '../lib/client.mjs';
import { Key, compact, decode, now_s, proof, randomId } from '../lib/forge.mjs';
import { Ledger, checkEcho } from '../lib/ledger.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { RS1, RS2, RS3, World, likeAccessToken } from '../lib/world.mjs';

const suite = new Suite('attack D');
const world = await World.start();
const { daemon, CB, C2, CP, CW } = world;
world.keys = await world.keysOfEveryAlg();
const ledger = new Ledger();
ledger.plant(...world.planted);
const settled = [];

const claimsOf = (token) => decode(token).claims;
const chainOf = (token) => {
  const out = [];
  for (let act = claimsOf(token).act; act; act = act.act) out.push(act.sub);
  return [...out, claimsOf(token).sub];
};

// A token of the orchestrator that names the worker as its audience.
const handed = (pairs = {}, options = {}) => CB.get({ audience: world.worker.id, scope: 'read list', ...pairs }, options);

function refused(answer, error, label, sent = []) {
  ledger.plantToken(typeof sent === 'string' ? sent : undefined);
  ledger.refusal(answer, { status: 400, error, label });
  checkEcho(answer, sent, label);
  return answer;
}

// The token signed with the server's own key, its claims bent.
function forged(minted, claims = {}, header = {}) {
  const base = likeAccessToken(minted, { claims, header });
  const text = compact(base.header, base.claims, world.keys.ES256);
  ledger.plantToken(text);
  return text;
}

async function twin(label) {
  const token = ledger.token(await CW.exchange(await handed(), { resource: RS1, scope: 'read' }), label);
  equal(chainOf(token), [world.worker.id, world.orchestrator.id], `${label}: chain`);
}

function row(name, run, options) {
  suite.row(
    name,
    async () => {
      await twin(`${name}: twin before`);
      await run();
      await twin(`${name}: twin after`);
    },
    options,
  );
}

const good = (subject, pairs = {}, options = {}) => CW.exchange(subject, { resource: RS1, ...pairs }, options);

row('D03 scope empty, malformed, doubled, unknown, too wide', async () => {
  const subject = await handed();
  for (const scope of ['  ', 'read  list', ' read', 'read ', 'read\tlist', 'read\nlist', 'read"', 'read\\', 'r\u00e9ad', 'unknown', 'read write', 'read admin', 'write', 'READ', 'read read write'])
    refused(await good(subject, { scope }), 'invalid_scope', JSON.stringify(scope));
  refused(await good(subject, { scope: 'read\0' }), 'invalid_request', 'NUL');
  const answer = await good(subject, { scope: '' });
  equal(claimsOf(ledger.token(answer, 'empty is absent')).scope, 'read', 'what the subject has and the resource knows');
  const twice = await good(subject, { scope: 'read read' });
  if (twice.status === 200) equal(claimsOf(ledger.token(twice, 'doubled')).scope, 'read', 'doubled');
  else refused(twice, 'invalid_scope', 'doubled');
});

row('D04 targets that are unknown, forbidden, mixed, malformed, too many', async () => {
  const subject = await handed();
  const list = [
    ['unknown', [['resource', 'https://unknown.example/']]],
    ['outside every ceiling', [['resource', RS3]]],
    ['one good, one forbidden', [['resource', RS1], ['resource', RS3]]],
    ['one good, one unknown', [['resource', RS1], ['audience', 'https://unknown.example/']]],
    ['100 audiences', Array.from({ length: 100 }, (_, i) => ['audience', `https://a${i}.example/`])],
    ['relative', [['resource', '/api']]],
    ['fragment', [['resource', `${RS1}#x`]]],
    ['empty fragment', [['resource', `${RS1}#`]]],
    ['no scheme', [['resource', 'rs1.example/api']]],
    ['a slash more', [['resource', `${RS1}/`]]],
    ['capitals', [['resource', RS1.toUpperCase()]]],
    ['a prefix', [['resource', RS1.slice(0, -1)]]],
    ['blanks around', [['resource', ` ${RS1} `]]],
    ['an agent that does not exist', [['audience', 'agent:01ARZ3NDEKTSV4RRFFQ69G5FAV']]],
    ['no agent id', [['audience', 'agent:']]],
    ['the issuer', [['audience', world.issuer]]],
    ['one permitted and one not', [['resource', RS1], ['resource', RS3]]],
    ['an agent, and a resource that is not permitted', [['resource', RS3], ['audience', world.helper.id]]],
    ['the issuer and a resource', [['resource', RS1], ['audience', world.issuer]]],
    ['5 kB', [['resource', `https://a.example/${'a'.repeat(5000)}`]]],
    ['the same twice', [['resource', RS1], ['resource', RS1]]],
  ];
  for (const [label, targets] of list) {
    const pairs = [['grant_type', GRANT.exchange], ['subject_token', subject], ['subject_token_type', TYPE.access], ['scope', 'read'], ...targets];
    refused(await CW.token(pairs), 'invalid_target', label, subject);
  }
});

row('D07 the token of somebody else, not meant for this client', async () => {
  const theirs = await C2.get({ resource: RS1, scope: 'read' });
  refused(await good(theirs), 'invalid_request', 'aud is a resource', theirs);
  const toHelper = await CB.get({ audience: world.helper.id, scope: 'read' });
  refused(await good(toHelper), 'invalid_request', 'meant for another agent', toHelper);
  const same = await world.C1.get({ resource: RS1, scope: 'read' });
  refused(await CB.exchange(same, { resource: RS1 }), 'invalid_request', 'another client of the same agent', same);
});

row('D08 subject_token missing, empty, repeated, huge', async () => {
  const subject = await handed();
  const ask = (pairs) => CW.token([['grant_type', GRANT.exchange], ['resource', RS1], ...pairs]);
  const type = ['subject_token_type', TYPE.access];
  refused(await ask([type]), 'invalid_request', 'missing');
  refused(await ask([type, ['subject_token', '']]), 'invalid_request', 'empty');
  refused(await ask([type, ['subject_token', ' ']]), 'invalid_request', 'a blank');
  refused(await ask([type, ['subject_token', subject], ['subject_token', subject]]), 'invalid_request', 'repeated');
  refused(await ask([type, ['subject_token', 'a'.repeat(40000)]]), 'invalid_request', '40 kB');
  const huge = await ask([type, ['subject_token', 'a'.repeat(200000)]]).catch(() => null);
  if (huge) ledger.refusal(huge, { status: [400, 413], label: '200 kB' });
  refused(await ask([['subject_token', subject]]), 'invalid_request', 'no type');
  for (const other of [TYPE.jwt, TYPE.refresh, 'urn:ietf:params:oauth:token-type:id_token', 'urn:ietf:params:oauth:token-type:saml2', 'access_token', `${TYPE.access} `, TYPE.access.toUpperCase(), 'x'])
    refused(await ask([['subject_token', subject], ['subject_token_type', other]]), 'invalid_request', other, subject);
});

row('D09 a client without the grant', async () => {
  const only = await world.client('only', 'basic', { agent: world.worker, grants: [GRANT.credentials] });
  const never = await world.client('never', 'basic', { agent: world.worker, grants: [GRANT.exchange] });
  ledger.plant(only.secret, never.secret);
  const subject = await handed();
  refused(await only.exchange(subject, { resource: RS1 }), 'unauthorized_client', 'exchange', subject);
  ledger.token(await only.token({ resource: RS1, scope: 'read' }), 'its own grant');
  refused(await never.token({ resource: RS1, scope: 'read' }), 'unauthorized_client', 'client_credentials');
  refused(await world.R1.exchange(subject, { resource: RS1 }), 'unauthorized_client', 'a resource server');
  refused(await CW.token({ grant_type: 'password', username: 'a', password: 'b' }), 'unsupported_grant_type', 'password');
  refused(await CW.token({ grant_type: 'Client_Credentials' }), 'unsupported_grant_type', 'in capitals');
});

row('D10 the subject has expired or is revoked', async () => {
  const subject = await handed();
  const now = now_s();
  refused(await good(forged(subject, { iat: now - 600, nbf: now - 600, exp: now - 1 })), 'invalid_request', 'expired one second ago');
  refused(await good(forged(subject, { iat: now - 600, nbf: now - 600, exp: now - 60 })), 'invalid_request', 'expired a minute ago');
  refused(await good(forged(subject, { iat: now - 600, nbf: now - 600, exp: now })), 'invalid_request', 'expires now');
  ledger.token(await good(subject, { scope: 'read' }), 'before it is revoked');
  equal((await CB.revoke(subject)).status, 200, 'revoked');
  refused(await good(subject), 'invalid_request', 'revoked', subject);
});

row('D11 the agent behind the subject is suspended, banned, or made anew', async () => {
  const scopes = [{ resource: RS1, scopes: ['read'] }];
  const agent = await world.agent('passing', scopes);
  const its = await world.client('passing', 'basic', { agent });
  ledger.plant(its.secret);
  const subject = await its.get({ audience: world.worker.id, scope: 'read' });
  ledger.token(await good(subject), 'active');
  await daemon.admin('POST', `/agents/${agent.id}/suspend`, {}, { want: 200 });
  refused(await good(subject), 'invalid_request', 'suspended', subject);
  await daemon.admin('POST', `/agents/${agent.id}/resume`, {}, { want: 200 });
  await daemon.admin('POST', `/agents/${agent.id}/ban`, {}, { want: 200 });
  refused(await good(subject), 'invalid_request', 'banned', subject);
  const again = await world.agent('passing', scopes);
  check(again.id !== agent.id, 'an id is never recycled');
  refused(await good(subject), 'invalid_request', 'made anew under the same name', subject);
});

row('D14 requested_token_type', async () => {
  const subject = await handed();
  for (const type of [TYPE.refresh, TYPE.jwt, 'urn:ietf:params:oauth:token-type:saml2', 'unknown', `${TYPE.access}x`])
    refused(await good(subject, { requested_token_type: type }), 'invalid_request', type);
  const answer = await good(subject, { requested_token_type: TYPE.access });
  ledger.token(answer, 'access_token');
  equal(answer.json.issued_token_type, TYPE.access, 'issued_token_type');
});

row('D15 actor_token and its type come together', async () => {
  const subject = await handed();
  const actor = await CW.get({ resource: world.issuer });
  refused(await good(subject, { actor_token: actor }), 'invalid_request', 'no type', actor);
  refused(await good(subject, { actor_token_type: TYPE.access }), 'invalid_request', 'no token');
  refused(await good(subject, { actor_token: actor, actor_token_type: TYPE.jwt }), 'invalid_request', 'another type', actor);
  refused(await good(subject, { actor_token: world.worker.id, actor_token_type: TYPE.access }), 'invalid_request', 'a bare name');
  const token = ledger.token(await good(subject, { actor_token: actor, actor_token_type: TYPE.access }), 'both');
  equal(chainOf(token), [world.worker.id, world.orchestrator.id], 'chain');
});

row('D16 actor_token is forged, expired, revoked, for another audience, of another type', async () => {
  const subject = await handed();
  const actor = await CW.get({ resource: world.issuer });
  const now = now_s();
  const stranger = Key.generate('ES256');
  const { header, claims } = decode(actor);
  const revoked = await CW.get({ resource: world.issuer });
  await CW.revoke(revoked);
  for (const [label, text] of [
    ['self-signed', compact(header, claims, stranger)],
    ['alg none', compact({ ...header, alg: 'none' }, claims, () => '')],
    ['expired', forged(actor, { iat: now - 900, nbf: now - 900, exp: now - 600 })],
    ['revoked', revoked],
    ['for a resource', await CW.get({ resource: RS1, scope: 'read' })],
    ['for nobody', forged(actor, { aud: [] })],
    ['another issuer', forged(actor, { iss: 'https://other.example' })],
    ['typ JWT', forged(actor, {}, { typ: 'JWT' })],
    ['no typ', forged(actor, {}, { typ: undefined })],
    ['the subject token itself', subject],
  ])
    refused(await good(subject, { actor_token: text, actor_token_type: TYPE.access }), 'invalid_request', label, text);
});

row('D17 the actor token of another agent or client', async () => {
  const subject = await handed();
  for (const other of [CB, CP, C2]) {
    const actor = await other.get({ resource: world.issuer });
    refused(await good(subject, { actor_token: actor, actor_token_type: TYPE.access }), 'invalid_request', other.id, actor);
  }
});

// What C1's key can sign about its agent.
const actorJwt = (claims = {}, header = {}) => {
  const now = now_s();
  const body = { iss: world.C1.id, sub: world.orchestrator.id, aud: world.issuer, iat: now, exp: now + 60, jti: randomId(), ...claims };
  const text = compact({ typ: 'JWT', alg: 'ES256', kid: world.C1.key.kid, ...header }, body, world.C1.key);
  ledger.plantToken(text);
  return text;
};
const asActor = (text, subject, pairs = {}) => world.C1.exchange(subject, { resource: RS1, actor_token: text, actor_token_type: TYPE.jwt, ...pairs });

row('D16 an actor JWT counts once, among twenty at once too; what is refused for another reason does not use it up', async () => {
  const { C1 } = world;
  const subject = await C1.get({ resource: RS1, scope: 'read' });
  const text = actorJwt();
  refused(await asActor(text, subject, { scope: 'admin' }), 'invalid_scope', 'a scope too wide', text);
  refused(await asActor(text, subject, { resource: RS3 }), 'invalid_target', 'a resource too far', text);
  refused(await asActor(text, await CW.get({ resource: RS1, scope: 'read' })), 'invalid_request', 'a subject of somebody else', text);
  refused(await asActor(`${text.slice(0, -6)}AAAAAA`, subject), 'invalid_request', 'another signature', text);
  const answers = await Promise.all(Array.from({ length: 20 }, () => {
    const wire = daemon.wire();
    return C1.over(wire).exchange(subject, { resource: RS1, actor_token: text, actor_token_type: TYPE.jwt }).finally(() => wire.close());
  }));
  equal(answers.filter((answer) => answer.status === 200).length, 1, 'of twenty at once');
  for (const answer of answers) {
    if (answer.status === 200) ledger.token(answer, 'the one');
    else refused(answer, 'invalid_request', 'one of the others', text);
  }
  // The same identifier means another thing elsewhere: for another client, and in an assertion.
  const { jti } = claimsOf(text);
  ledger.token(await C1.token({ scope: 'read' }, { credentials: [[], [['client_assertion_type', TYPE.assertion], ['client_assertion', C1.assertion({ claims: { jti } })]]] }), 'an assertion with this jti');
  ledger.token(await asActor(actorJwt(), subject), 'another one');
});

row('D16 an actor JWT that is something else, and something else that is taken for one', async () => {
  const { C1 } = world;
  const subject = await C1.get({ resource: RS1, scope: 'read' });
  const own = await C1.get({ resource: world.issuer });
  const now = now_s();
  for (const [label, text] of [
    ['a client assertion', C1.assertion()],
    ['a client assertion of typ JWT', C1.assertion({ header: { typ: 'JWT' } })],
    ['typ at+jwt', actorJwt({}, { typ: 'at+jwt' })],
    ['typ oauth-id-jag+jwt', actorJwt({}, { typ: 'oauth-id-jag+jwt' })],
    ['typ dpop+jwt', actorJwt({}, { typ: 'dpop+jwt' })],
    ['no typ', actorJwt({}, { typ: undefined })],
    ['a proof', proof(C1.key, { url: C1.url })],
    ['an access token', own],
    ['an access token of typ JWT', forged(own, {}, { typ: 'JWT' })],
    ['the subject token', subject],
    ['the client as its own agent', actorJwt({ sub: C1.id })],
    ['the agent as issuer', actorJwt({ iss: world.orchestrator.id })],
    ['a blank agent', actorJwt({ sub: '' })],
    ['no agent', actorJwt({ sub: undefined })],
    ['a blank jti', actorJwt({ jti: '' })],
    ['no jti', actorJwt({ jti: undefined })],
    ['a jti of 300 bytes', actorJwt({ jti: 'j'.repeat(300) })],
    ['no iat', actorJwt({ iat: undefined })],
    ['good for an hour', actorJwt({ exp: now + 3600 })],
    ['over just now', actorJwt({ iat: now - 60, exp: now - 1 })],
  ])
    refused(await asActor(text, subject), 'invalid_request', label, text);
  const text = actorJwt();
  refused(await C1.exchange(subject, { resource: RS1, actor_token: text, actor_token_type: TYPE.access }), 'invalid_request', 'an actor JWT as an access token', text);
  refused(await C1.exchange(text, { resource: RS1, subject_token_type: TYPE.jwt }), 'invalid_request', 'an actor JWT as a subject', text);
  ledger.refusal(await C1.token({ scope: 'read' }, { credentials: [[], [['client_assertion_type', TYPE.assertion], ['client_assertion', text]]] }),
    { status: 401, error: 'invalid_client', label: 'an actor JWT as a client assertion' });
  refused(await CB.exchange(await CB.get({ resource: RS1, scope: 'read' }), { resource: RS1, actor_token: text, actor_token_type: TYPE.jwt }), 'invalid_request', 'for another client of the same agent', text);
  ledger.token(await asActor(text, subject), 'twin: it was not used up by any of that');
});

row('D19 D31 the ceiling of the actor is asked at every exchange, as it is now', async () => {
  const agent = await world.agent('narrow', [{ resource: RS1, scopes: ['read'] }, { resource: RS2, scopes: ['read'] }]);
  const its = await world.client('narrow', 'basic', { agent });
  ledger.plant(its.secret);
  const subject = await CB.get({ audience: agent.id, scope: 'read' });
  ledger.token(await its.exchange(subject, { resource: RS2, scope: 'read' }), 'allowed at RS2');
  refused(await its.exchange(subject, { resource: RS3, scope: 'read' }), 'invalid_target', 'RS3 is in no ceiling', subject);
  await daemon.admin('PATCH', `/agents/${agent.id}`, { ceiling: [{ resource: RS1, scopes: ['read'] }] }, { want: 200 });
  refused(await its.exchange(subject, { resource: RS2, scope: 'read' }), 'invalid_target', 'RS2 was taken away', subject);
  ledger.token(await its.exchange(subject, { resource: RS1, scope: 'read' }), 'RS1 is left');
});

row('D31 the ceiling of the subject shrank after it was issued', async () => {
  const agent = await world.agent('shrinking', [{ resource: RS1, scopes: ['read', 'write'] }]);
  const its = await world.client('shrinking', 'basic', { agent });
  ledger.plant(its.secret);
  const wide = await its.get({ resource: RS1, scope: 'read write' });
  const subject = await its.get({ audience: world.helper.id, scope: 'read write' });
  ledger.token(await CP.exchange(subject, { resource: RS1, scope: 'write' }), 'before');
  await daemon.admin('PATCH', `/agents/${agent.id}`, { ceiling: [{ resource: RS1, scopes: ['read'] }] }, { want: 200 });
  refused(await CP.exchange(subject, { resource: RS1, scope: 'write' }), 'invalid_scope', 'a delegate', subject);
  refused(await its.exchange(wide, { resource: RS1, scope: 'write' }), 'invalid_scope', 'the agent itself', wide);
  ledger.token(await CP.exchange(subject, { resource: RS1, scope: 'read' }), 'what is left');
});

row('D20 act nests: outermost is who presents, nothing is dropped', async () => {
  const first = await CB.get({ audience: world.worker.id, scope: 'read' });
  const second = ledger.token(await CW.exchange(first, { audience: world.helper.id, scope: 'read' }), 'to the helper');
  const third = ledger.token(await CP.exchange(second, { resource: RS1, scope: 'read' }), 'to the API');
  equal(claimsOf(third).sub, world.orchestrator.id, 'sub');
  equal(claimsOf(third).act, { sub: world.helper.id, act: { sub: world.worker.id } }, 'act');
  equal(claimsOf(third).lineage, [claimsOf(second).jti, claimsOf(first).jti], 'lineage, nearest first');
  check(claimsOf(third).exp <= claimsOf(first).exp, 'lifetime');
  const narrowed = ledger.token(await CP.exchange(third, { resource: RS1, scope: 'read' }), 'narrowing by the same agent');
  equal(claimsOf(narrowed).act, claimsOf(third).act, 'narrowing changes no chain');
  equal(claimsOf(narrowed).lineage, [claimsOf(third).jti, ...claimsOf(third).lineage], 'lineage grows');
});

row('D20 an agent cannot stand in its own chain twice', async () => {
  const first = await CB.get({ audience: world.worker.id, scope: 'read' });
  const back = await CW.exchange(first, { audience: world.orchestrator.id, scope: 'read' });
  if (back.status === 200) refused(await CB.exchange(ledger.token(back, 'back'), { resource: RS1, scope: 'read' }), 'invalid_request', 'the circle closes');
  else ledger.refusal(back, { status: 400, label: 'handed back' });
});

row('D21 claims of ours that nobody vouches for: an access token of another issuer', async () => {
  const key = Key.generate('ES256');
  const base = likeAccessToken(await handed(), { claims: { iss: 'https://idp.example', act: { sub: world.helper.id }, scope: 'read write admin', tenant: 'x' } });
  refused(await good(compact({ ...base.header, kid: key.kid }, base.claims, key)), 'invalid_request', 'foreign');
});

row('D23 D38 a chain of many links, a chain of many bytes', async () => {
  const subject = await handed();
  let act;
  for (let i = 0; i < 200; i += 1) act = act ? { sub: world.helper.id, act } : { sub: world.helper.id };
  refused(await good(forged(subject, { act })), 'invalid_request', '200 links');
  let nine;
  for (let i = 0; i < 9; i += 1) nine = nine ? { sub: world.helper.id, act: nine } : { sub: world.helper.id };
  refused(await good(forged(subject, { act: nine })), 'invalid_request', 'nine links');
  refused(await good(forged(subject, { act: { sub: world.helper.id, note: 'x'.repeat(5000) } })), 'invalid_request', '5 kB');
  refused(await good(forged(subject, { act: { sub: 'agent:01ARZ3NDEKTSV4RRFFQ69G5FAV' } })), 'invalid_request', 'an agent that nobody knows');
  refused(await good(forged(subject, { act: { sub: '' } })), 'invalid_request', 'a blank actor');
  refused(await good(forged(subject, { act: 'agent' })), 'invalid_request', 'act is text');
  refused(await good(forged(subject, { lineage: Array.from({ length: 17 }, () => randomId()) })), 'invalid_request', '17 ancestors');
  // A chain that is as deep as it may be is no trouble (the rows below), and refusing one takes no longer for being longer.
  const took_ms = async (links) => {
    let chain;
    for (let i = 0; i < links; i += 1) chain = chain ? { sub: 'a', act: chain } : { sub: 'a' };
    const text = forged(subject, { act: chain });
    const begin = process.hrtime.bigint();
    refused(await good(text), 'invalid_request', `${links} links`);
    return Number(process.hrtime.bigint() - begin) / 1e6;
  };
  const fastest = async (links) => Math.min(...(await Promise.all([1, 2, 3, 4, 5].map(() => took_ms(links)))));
  const [few, many] = [await fastest(60), await fastest(480)];
  check(many < 8 * few + 25, `60 links: ${few.toFixed(1)} ms, 480 links: ${many.toFixed(1)} ms`);
});

suite.row('D38 delegation ends at its depth, long before a token is too large for a header', async () => {
  const agents = [];
  for (let i = 0; i < 11; i += 1) {
    const agent = await world.agent(`link ${i} ${'n'.repeat(100)}`, [{ resource: RS1, scopes: ['read'] }]);
    const its = await world.client(`link ${i}`, 'basic', { agent });
    ledger.plant(its.secret);
    agents.push({ agent, its });
  }
  let token = await CB.get({ audience: agents[0].agent.id, scope: 'read' });
  let depth = 0;
  let largest = 0;
  let last;
  for (let i = 0; i < agents.length - 1; i += 1) {
    last = await agents[i].its.exchange(token, { audience: agents[i + 1].agent.id, scope: 'read' });
    if (last.status !== 200) break;
    token = ledger.token(last, `link ${i}`);
    depth += 1;
    largest = Math.max(largest, token.length);
  }
  refused(last, 'invalid_request', 'beyond the depth');
  equal(depth, 8, 'depth');
  check(largest < 8192, `the largest token has ${largest} bytes`);
  // Narrowing again and again grows the lineage, and ends as well.
  let own = await CB.get({ resource: RS1, scope: 'read' });
  let count = 0;
  for (; count < 40; count += 1) {
    last = await CB.exchange(own, { resource: RS1, scope: 'read' });
    if (last.status !== 200) break;
    own = ledger.token(last, `narrowing ${count}`);
  }
  refused(last, 'invalid_request', 'narrowed too often');
  check(count >= 8 && count <= 20, `narrowed ${count} times`);
});

row('D26 the root is revoked: everything below is dead, past links that have expired', async () => {
  const first = await CB.get({ audience: world.worker.id, scope: 'read' });
  const second = await CW.delegate(first, { audience: world.helper.id, scope: 'read' });
  const third = await CP.delegate(second, { resource: RS1, scope: 'read' });
  const now = now_s();
  const deadLink = forged(second, { iat: now - 900, nbf: now - 900, exp: now - 600, jti: claimsOf(second).jti });
  equal((await world.RX.introspect(deadLink)).json.active, false, 'the expired link');
  equal((await world.R1.introspect(third)).json.active, true, 'alive');
  equal((await CB.revoke(first)).status, 200, 'revoked');
  const begin = Date.now();
  for (const token of [first, second, third]) ledger.inactive(await world.RX.introspect(token), 'dead');
  check(Date.now() - begin < 1000, 'within a second');
  refused(await CP.exchange(second, { resource: RS1, scope: 'read' }), 'invalid_request', 'no exchange either', second);
});

suite.row('D27 revoked while exchanges are in flight: no child is alive afterwards', async () => {
  const wires = Array.from({ length: 8 }, () => daemon.wire());
  const ask = (subject) => wires.map((wire) => CW.over(wire).exchange(subject, { resource: RS1, scope: 'read' }));
  const ends = { alive: 0, dead: 0, refused: 0 };
  for (let round = 0; round < 120; round += 1) {
    const subject = await handed();
    // The twin: the same race without the cut leaves every child alive.
    if (round % 10 === 0)
      for (const answer of await Promise.all(ask(await handed()))) {
        const child = ledger.token(answer, `round ${round}: twin`);
        equal((await world.R1.introspect(child)).json.active, true, `round ${round}: a child of a live subject`);
        ends.alive += 1;
      }
    const flying = ask(subject);
    const cut = CB.revoke(subject);
    const late = ask(subject);
    equal((await cut).status, 200, 'revoked');
    for (const answer of await Promise.all([...flying, ...late]))
      if (answer.status === 200) {
        ledger.inactive(await world.R1.introspect(ledger.token(answer, 'a child')), `round ${round}: a child`);
        ends.dead += 1;
      } else {
        refused(answer, 'invalid_request', `round ${round}`);
        ends.refused += 1;
      }
  }
  for (const wire of wires) wire.close();
  // A race that only ever ends one way was none.
  check(ends.dead > 0 && ends.refused > 0, () => `the race: ${JSON.stringify(ends)}`);
  equal(ends.alive, 96, 'the twins');
});

row('D28 a delegate binds the result to its own key, never to none', async () => {
  const mine = Key.generate('ES256');
  const theirs = Key.generate('ES256');
  const url = `${world.issuer}/oauth/token`;
  const subject = await handed({}, { proof: proof(mine, { url }) });
  equal(claimsOf(subject).cnf.jkt, mine.kid, 'the subject is bound');
  refused(await good(subject, { scope: 'read' }), 'invalid_dpop_proof', 'without a proof', subject);
  const answer = await good(subject, { scope: 'read' }, { proof: proof(theirs, { url }) });
  const token = ledger.token(answer, 'with its own key');
  equal([claimsOf(token).cnf.jkt, answer.json.token_type], [theirs.kid, 'DPoP'], 'bound to the presenter');
  refused(await good(token, { scope: 'read' }, { proof: proof(mine, { url }) }), 'invalid_dpop_proof', 'narrowing with another key', token);
});

row('D29 without an actor token the client is the actor: never an impersonation', async () => {
  const token = ledger.token(await good(await handed(), { scope: 'read' }), 'exchanged');
  equal(claimsOf(token).act, { sub: world.worker.id }, 'act');
  equal(claimsOf(token).client_id, CW.id, 'client_id');
});

row('D30 the actor may, the subject may not', async () => {
  const subject = await CP.get({ audience: world.orchestrator.id, scope: 'read' });
  refused(await CB.exchange(subject, { resource: RS1, scope: 'write' }), 'invalid_scope', 'write is in the actor only', subject);
  const worker = await CW.get({ audience: world.orchestrator.id, scope: 'read' });
  refused(await CB.exchange(worker, { resource: RS1, scope: 'read write' }), 'invalid_scope', 'both', worker);
});

row('D32 an exchanged token is not widened back', async () => {
  const first = await handed();
  const narrow = ledger.token(await CW.exchange(first, { resource: RS2, scope: 'read' }), 'for RS2');
  refused(await CW.exchange(narrow, { resource: RS1, scope: 'read' }), 'invalid_target', 'back to RS1', narrow);
  refused(await CW.exchange(narrow, { resource: RS2, scope: 'read list' }), 'invalid_scope', 'a wider scope', narrow);
  refused(await CW.exchange(narrow, { audience: world.helper.id, scope: 'read' }), 'invalid_target', 'on to an agent', narrow);
  const longer = claimsOf(ledger.token(await CW.exchange(narrow, { resource: RS2, scope: 'read' }), 'the same')).exp;
  check(longer <= claimsOf(narrow).exp, 'not longer');
});

row('D35 parameters named like claims', async () => {
  const subject = await handed();
  const token = ledger.token(
    await good(subject, { scope: 'read', act: '{"sub":"x"}', sub: 'user:root', cnf: '{"jkt":"x"}', tenant: 'other', client_id: CW.id, exp: '9999999999', org_id: 'other', lineage: '[]', aud: RS2, jti: 'chosen' }),
    'exchanged',
  );
  const claims = claimsOf(token);
  equal([claims.sub, claims.act.sub, claims.cnf, claims.aud, claims.org_id, claims.tenant], [world.orchestrator.id, world.worker.id, undefined, [claims.aud].flat().length === 1 && typeof claims.aud === 'string' ? RS1 : [RS1], 'org1', undefined], 'claims');
  check(claims.jti !== 'chosen' && claims.lineage.length === 1, 'jti and lineage');
});

row('D36 the record of an exchange tells the whole story, and no token', async () => {
  const subject = await handed({ task_id: 'task-1', human_instruction: 'book the room for monday please' });
  const answer = await good(subject, { scope: 'read', task_id: 'task-2', parent_task_id: 'task-1' });
  const token = ledger.token(answer, 'exchanged');
  const no = refused(await good(subject, { scope: 'read write' }), 'invalid_scope', 'refused');
  const records = daemon.audit();
  const one = records.find((record) => record.id === answer.header('deputy-decision'));
  equal([one.outcome, one.event], ['allow', 'token.exchanged'], 'outcome');
  equal(one.chain, [world.worker.id, world.orchestrator.id], 'chain');
  equal([one.sub, one.client, one.jti, one.task, one.parent_task], [world.orchestrator.id, CW.id, claimsOf(token).jti, 'task-2', 'task-1'], 'who and what');
  equal([one.scope, one.aud, one.asked_scope, one.asked_targets], ['read', [RS1], 'read', [RS1]], 'asked and granted');
  equal(one.lineage, [claimsOf(subject).jti], 'lineage');
  const other = records.find((record) => record.id === no.header('deputy-decision'));
  equal([other.outcome, other.reason, other.asked_scope, other.client], ['deny', 'SCOPE_CEILING', 'read write', CW.id], 'the refusal');
  check(!daemon.artefacts().includes('book the room'), 'the instruction is not in the log');
  settled.push(records.length);
});

suite.row('D every refusal has exactly one record, no token stands in any', async () => {
  check(ledger.settle(daemon).length > 200, 'records');
});

suite.end(() => daemon.stop());
await suite.run();
