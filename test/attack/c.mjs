// Group C: client authentication.
import { GRANT, TYPE, basic } from '../lib/client.mjs';
import { Key, assertion, b64u, compact, decode, now_s, randomId } from '../lib/forge.mjs';
import { Ledger, checkEcho } from '../lib/ledger.mjs';
import { Suite, check, equal, oneOf } from '../lib/tap.mjs';
import { form } from '../lib/wire.mjs';
import { World } from '../lib/world.mjs';

const suite = new Suite('attack C');
const world = await World.start();
const { daemon, C1, C2, CB, CP } = world;
const ledger = new Ledger();
ledger.plant(...world.planted);

// Wrong secrets are counted by client and address: each row comes from an address of its own.
let lastAddress = 10;
const fresh = (client) => {
  lastAddress += 1;
  return client.over(daemon.wire({ localAddress: `127.0.1.${lastAddress}` }));
};

const ask = [['grant_type', GRANT.credentials], ['scope', 'read']];
const post = (client, pairs, options = {}) => client.post('/oauth/token', [...ask, ...pairs], { credentials: [[], []], ...options });
const assertionPairs = (text) => [['client_assertion_type', TYPE.assertion], ['client_assertion', text]];
const header = (value) => [['Authorization', value]];

function refused(answer, label, { status = 401, error = 'invalid_client', sent = [] } = {}) {
  ledger.plant(...[sent].flat());
  ledger.refusal(answer, { status, error, label });
  checkEcho(answer, sent, label);
  return answer;
}

async function twin(client, label) {
  ledger.token(await client.token({ scope: 'read' }), label);
}

function row(name, client, run, options) {
  suite.row(
    name,
    async () => {
      const own = fresh(client);
      await twin(own, `${name}: twin before`);
      await run(own);
      await twin(fresh(client), `${name}: twin after`);
      own.wire.close();
    },
    options,
  );
}

row('C02 two ways of authentication in one request', CB, async (own) => {
  const both = basic(CB.id, CB.secret);
  const signed = C1.assertion();
  for (const [label, pairs, headers] of [
    ['Basic and client_secret', [['client_id', CB.id], ['client_secret', CB.secret]], header(both)],
    ['Basic and client_assertion', assertionPairs(signed), header(both)],
    ['assertion and secret', [...assertionPairs(signed), ['client_id', C1.id], ['client_secret', CB.secret]], []],
  ])
    refused(await post(own, pairs, { headers }), label, { status: 400, error: 'invalid_request', sent: [CB.secret, signed] });
  refused(await post(own, [...assertionPairs(C1.assertion()), ['client_assertion', C1.assertion()]]), 'two assertions', {
    status: 400,
    error: 'invalid_request',
  });
  refused(await post(own, [], { headers: [...header(both), ...header(both)] }), 'two Authorization headers', {
    status: 400,
    error: 'invalid_request',
  });
});

row('C03 Basic for one client, client_id of another', CB, async (own) => {
  const answer = await post(own, [['client_id', C1.id]], { headers: header(basic(CB.id, CB.secret)) });
  refused(answer, 'C03', { status: [400, 401], error: ['invalid_request', 'invalid_client'] });
  ledger.token(await post(own, [['client_id', CB.id]], { headers: header(basic(CB.id, CB.secret)) }), 'its own client_id');
});

row('C06 credentials in the query', CB, async (own) => {
  const signed = C1.assertion();
  for (const [label, query] of [
    ['client_secret', form([['client_id', CB.id], ['client_secret', CB.secret]])],
    ['client_assertion', form(assertionPairs(signed))],
    ['client_secret beside Basic', form([['client_secret', CB.secret]])],
    ['encoded name', `client%5fsecret=${CB.secret}`],
  ])
    refused(await post(own, [], { query: `?${query}` }), label, {
      status: 400,
      error: 'invalid_request',
      sent: [CB.secret, signed],
    });
});

row('C08 aud is the issuer, as text or as a list of one', C1, async (own) => {
  const token = async (aud) => post(own, assertionPairs(C1.assertion({ claims: { aud } })));
  ledger.token(await token(world.issuer), 'text');
  ledger.token(await token([world.issuer]), 'list of one');
});

row('C09 claims of the assertion missing or of somebody else', C1, async (own) => {
  const bend = (claims) => C1.assertion({ claims });
  const list = [
    ...['sub', 'iss', 'aud', 'exp', 'jti'].map((name) => [`no ${name}`, bend({ [name]: undefined })]),
    ...['sub', 'iss', 'aud', 'jti'].map((name) => [`empty ${name}`, bend({ [name]: '' })]),
    ['sub is not iss', bend({ sub: C2.id })],
    ['iss is C2', bend({ iss: C2.id })],
    ['both are C2, signed by C1', bend({ iss: C2.id, sub: C2.id })],
    ['sub is the principal', bend({ sub: `client:${C1.id}`, iss: `client:${C1.id}` })],
    ['sub is the agent', bend({ sub: C1.agent.id, iss: C1.agent.id })],
    ['jti of 129 bytes', bend({ jti: 'j'.repeat(129) })],
    ['jti a number', bend({ jti: 5 })],
    ['typ of an access token', C1.assertion({ header: { typ: 'at+jwt' } })],
    ['typ of a proof', C1.assertion({ header: { typ: 'dpop+jwt' } })],
    ['the token endpoint as aud', bend({ aud: `${world.issuer}/oauth/token` })],
  ];
  for (const [label, text] of list) refused(await post(own, assertionPairs(text)), label, { sent: text });
  const mine = C1.assertion();
  refused(await post(own, [...assertionPairs(mine), ['client_id', C2.id]]), 'client_id of C2', { sent: mine });
  ledger.token(await post(own, [...assertionPairs(C1.assertion()), ['client_id', C1.id]]), 'client_id of C1');
  ledger.token(await post(own, assertionPairs(C1.assertion({ header: { typ: 'JWT' } }))), 'typ JWT');
  ledger.token(await post(own, assertionPairs(C1.assertion({ header: { typ: undefined } }))), 'no typ');
});

row('C10 times of the assertion', C1, async (own) => {
  const now = now_s();
  const at = (claims) => C1.assertion({ claims });
  const no = [
    ['exp five minutes ago', { iat: now - 600, exp: now - 300 }],
    ['exp in a day', { exp: now + 86400 }],
    ['a lifetime beyond the limit', { iat: now, exp: now + 400 }],
    ['a lifetime beyond the limit, dated back', { iat: now - 3000, exp: now + 60 }],
    ['everything far ahead', { iat: now + 90, nbf: now + 90, exp: now + 150 }],
    ['nbf ahead', { nbf: now + 90 }],
    ['exp before iat', { iat: now, exp: now - 60 }],
    ['no iat, exp far ahead', { iat: undefined, exp: now + 4000 }],
  ];
  for (const [label, claims] of no) refused(await post(own, assertionPairs(at(claims))), label);
  const yes = [
    ['eight seconds ahead', { iat: now + 8, nbf: now + 8, exp: now + 68 }],
    ['300 seconds', { iat: now, exp: now + 300 }],
    ['no iat', { iat: undefined }],
  ];
  for (const [label, claims] of yes) ledger.token(await post(own, assertionPairs(at(claims))), label);
});

row('C11 the same assertion twice', C1, async (own) => {
  const once = C1.assertion();
  ledger.token(await post(own, assertionPairs(once)), 'first');
  for (let i = 0; i < 3; i += 1) refused(await post(own, assertionPairs(once)), `again ${i}`, { sent: once });
  for (const token of ['x', await own.get({ scope: 'read' })])
    for (const path of ['/oauth/introspect', '/oauth/revoke'])
      refused(await own.post(path, [...assertionPairs(once), ['token', token]], { credentials: [[], []] }), `again at ${path}`);
  const jti = randomId();
  ledger.token(await post(own, assertionPairs(C1.assertion({ claims: { jti } }))), 'a jti');
  refused(await post(own, assertionPairs(C1.assertion({ claims: { jti } }))), 'the same jti in another assertion');
  ledger.token(await post(own, assertionPairs(C2.assertion({ claims: { jti } }))), 'the same jti of another client');
});

row('C11 a hundred at the same instant: exactly one', C1, async () => {
  for (let round = 0; round < 3; round += 1) {
    const once = C1.assertion();
    const wires = Array.from({ length: 100 }, () => daemon.wire());
    const answers = await Promise.all(wires.map((wire) => post(C1.over(wire), assertionPairs(once))));
    for (const wire of wires) wire.close();
    equal(answers.filter((answer) => answer.status === 200).length, 1, 'successes');
    for (const answer of answers)
      if (answer.status === 200) ledger.token(answer, 'the one');
      else refused(answer, 'the others');
  }
});

row('C11 a refused request uses nothing up', C1, async (own) => {
  const once = C1.assertion();
  const bytes = Buffer.from(once.split('.')[2], 'base64url');
  bytes[0] ^= 1;
  refused(await post(own, assertionPairs(`${once.slice(0, once.lastIndexOf('.'))}.${b64u(bytes)}`)), 'broken signature');
  ledger.token(await post(own, assertionPairs(once)), 'the honest one');
});

row('C14 a client with keys sends a secret', C1, async (own) => {
  const secret = b64u(Buffer.alloc(32, 7));
  refused(await post(own, [], { headers: header(basic(C1.id, secret)) }), 'Basic', { sent: secret });
  refused(await post(own, [['client_id', C1.id], ['client_secret', secret]]), 'post', { sent: secret });
  refused(await post(own, [], { headers: header(basic(C1.id, CB.secret)) }), 'the secret of another client', { sent: CB.secret });
  const key = Key.generate('ES256');
  const text = assertion(key, { client: CB.id, issuer: world.issuer });
  refused(await post(own, assertionPairs(text)), 'a client with a secret sends an assertion', { sent: text });
});

row('C15 an unsigned assertion is no signed one', C1, async (own) => {
  const claims = decode(C1.assertion()).claims;
  const junk = compact({ typ: 'client-authentication+jwt', alg: 'none' }, claims, () => '');
  refused(await post(own, assertionPairs(junk)), 'alg none', { sent: junk });
  refused(await post(own, assertionPairs('junk')), 'junk');
  refused(await post(own, [['client_id', C1.id]], { headers: [['client_assertion', junk]] }), 'as a header: no authentication');
});

row('C17 client_assertion_type is missing or another', C1, async (own) => {
  for (const type of [undefined, '', 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer', TYPE.assertion.toUpperCase(), `${TYPE.assertion} `]) {
    const text = C1.assertion();
    const answer = await post(own, [['client_assertion_type', type], ['client_assertion', text]]);
    refused(answer, `${type}`, { status: [400, 401], error: ['invalid_client', 'invalid_request'], sent: text });
  }
  refused(await post(own, [['client_assertion_type', TYPE.assertion], ['client_id', C1.id]]), 'the type without an assertion');
});

row('C18 no client can be made that authenticates by nothing', C1, async () => {
  for (const auth of ['none', '', 'client_secret_jwt', null, 5]) {
    const answer = await daemon.admin('POST', '/clients', { name: 'public', agent: world.worker.id, auth, grants: [GRANT.credentials] });
    check(answer.status >= 400 && answer.status < 500, `${auth}: ${answer.status}`);
  }
  const answer = await daemon.admin('POST', '/clients', { name: 'public', agent: world.worker.id, grants: [GRANT.credentials] });
  check(answer.status >= 400 && answer.status < 500, `no auth: ${answer.status}`);
});

row('C19 no authentication at all, at every endpoint', CB, async (own) => {
  const none = { credentials: [[], []] };
  const token = await own.get({ scope: 'read' });
  for (const [path, pairs] of [
    ['/oauth/token', ask],
    ['/oauth/token', [...ask, ['client_id', CB.id]]],
    ['/oauth/token', [['grant_type', GRANT.exchange], ['subject_token', token], ['subject_token_type', TYPE.access]]],
    ['/oauth/introspect', [['token', token]]],
    ['/oauth/introspect', [['token', token], ['client_id', CB.id]]],
    ['/oauth/revoke', [['token', token]]],
    ['/oauth/revoke', [['token', token], ['client_id', CB.id], ['client_secret', '']]],
  ])
    refused(await own.post(path, pairs, none), `${path} ${pairs.length}`, { sent: token });
  equal((await world.R1.introspect(token)).json.active, true, 'the token is untouched');
  const feed = await own.wire.request({ path: '/revocations?after=0' });
  equal(feed.status, 401, 'the feed');
  for (const value of ['Basic', 'Basic ', 'Basic !!!', 'Basic Og==', 'Basic Ong=', `Bearer ${token}`, 'Basic QQ==', 'Digest x', `Basic ${Buffer.from(':').toString('base64')}`, `Basic ${Buffer.from('%zz:x').toString('base64')}`, `Basic ${Buffer.from('a\0b:x').toString('base64')}`]) {
    const answer = await post(own, [], { headers: header(value) });
    refused(answer, value, { status: [400, 401], error: ['invalid_client', 'invalid_request'] });
    if (answer.status === 401) check(/^Basic\b/.test(answer.header('www-authenticate') ?? ''), `${value}: challenge`);
  }
});

row('C20 client disabled, secret expired, agent suspended or banned', CB, async (own) => {
  const agent = await world.agent('short-lived', [{ resource: 'https://rs1.example/api', scopes: ['read'] }]);
  const child = await world.agent('child', [{ resource: 'https://rs1.example/api', scopes: ['read'] }], { parent: agent.id });
  const its = await world.client('short', 'basic', { agent, default_resource: 'https://rs1.example/api' });
  const below = await world.client('below', 'basic', { agent: child, default_resource: 'https://rs1.example/api' });
  const keyed = await world.client('keyed', 'jwt', { agent, default_resource: 'https://rs1.example/api' });
  ledger.plant(its.secret, below.secret);
  const all = [its, below, keyed];
  const allRefused = async (list, label) => {
    for (const client of list) {
      refused(await client.token({ scope: 'read' }), `${label} token`);
      refused(await client.introspect('x'), `${label} introspect`);
      refused(await client.revoke('x'), `${label} revoke`);
    }
  };
  const allGood = async (label) => {
    for (const client of all) await twin(client, label);
  };
  await allGood('before');
  await daemon.admin('PATCH', `/clients/${its.id}`, { is_enabled: false }, { want: 200 });
  await allRefused([its], 'disabled');
  await daemon.admin('PATCH', `/clients/${its.id}`, { is_enabled: true }, { want: 200 });
  await allGood('enabled again');
  await daemon.admin('POST', `/agents/${agent.id}/suspend`, {}, { want: 200 });
  await allRefused(all, 'suspended');
  await daemon.admin('POST', `/agents/${agent.id}/resume`, {}, { want: 200 });
  await allGood('resumed');

  const old = its.secret;
  const { client_secret: next } = (await daemon.admin('POST', `/clients/${its.id}/rotate-secret`, { overlap_s: 1 }, { want: 200 })).json;
  ledger.plant(next);
  const renewed = its.over(own.wire);
  renewed.secret = next;
  await twin(renewed, 'the new secret');
  let last;
  for (let i = 0; i < 60; i += 1) {
    last = await its.token({ scope: 'read' });
    if (last.status !== 200) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  refused(last, 'the old secret after the overlap', { sent: old });
  its.secret = next;

  await daemon.admin('POST', `/agents/${agent.id}/ban`, {}, { want: 200 });
  await allRefused(all, 'banned');
  const resumed = await daemon.admin('POST', `/agents/${agent.id}/resume`, {});
  check(resumed.status >= 400, 'a banned agent is not resumed');
  await daemon.admin('DELETE', `/clients/${its.id}`, undefined, {});
  refused(await its.token({ scope: 'read' }), 'deleted');
});

row('C22 client_id with quotes, wildcards, controls, and 10 kB', CB, async (own) => {
  const ids = ["'", '"', ';', '--', '%', '_', '*', '(', ')', '\\', "' OR '1'='1", `${CB.id}'--`, `${CB.id}%`, `${CB.id.slice(0, -1)}_`, CB.id.toLowerCase(), `${CB.id} `, ` ${CB.id}`, `${CB.id}\0`, 'a\r\nb', '\u202e', 'client:' + CB.id, '../' + CB.id, '$(id)', '%00'];
  for (const id of ids) {
    if (id === CB.id) continue;
    const answer = await post(own, [['client_id', id], ['client_secret', CB.secret]]);
    refused(answer, JSON.stringify(id), { status: [400, 401], error: ['invalid_client', 'invalid_request'], sent: CB.secret });
    const byHeader = await post(own, [], { headers: header(basic(id, CB.secret)) });
    refused(byHeader, `Basic ${JSON.stringify(id)}`, { status: [400, 401], error: ['invalid_client', 'invalid_request'] });
  }
  const long = 'c'.repeat(10240);
  refused(await post(own, [['client_id', long], ['client_secret', CB.secret]]), '10 kB', { status: [400, 401], error: ['invalid_request', 'invalid_client'], sent: long });
  refused(await post(own, [], { headers: header(basic(long, 'x'.repeat(30))) }), '10 kB by Basic', { status: [400, 401, 431], error: ['invalid_request', 'invalid_client'] });
});

suite.row('C23 C24 wrong secrets lock the client for that address only; X-Forwarded-For changes nothing', async () => {
  const wrong = b64u(Buffer.alloc(32, 9));
  const attacker = CB.over(daemon.wire({ localAddress: '127.0.2.1' }));
  attacker.secret = wrong;
  let locked = null;
  let tries = 0;
  while (!locked && tries < 1000) {
    tries += 1;
    const spoof = `10.0.${tries >> 8}.${tries & 255}`;
    const answer = await attacker.token({ scope: 'read' }, { headers: [['X-Forwarded-For', spoof], ['Forwarded', `for=${spoof}`], ['X-Real-IP', spoof]] });
    if (answer.status === 429) locked = answer;
    else refused(answer, `try ${tries}`, { sent: wrong });
  }
  check(locked, 'never locked');
  check(tries >= 5 && tries <= 100, `locked after ${tries}`);
  ledger.refusal(locked, { status: 429, label: 'C23 locked' });
  check(Number(locked.header('retry-after')) >= 1, 'Retry-After');
  const rightButLocked = CB.over(attacker.wire);
  ledger.refusal(await rightButLocked.token({ scope: 'read' }), { status: 429, label: 'the right secret from the locked address' });
  ledger.refusal(await rightButLocked.introspect('x'), { status: 429, label: 'another endpoint' });
  await twin(CB.over(daemon.wire({ localAddress: '127.0.0.2' })), 'the right secret from another address');
  await twin(CP.over(attacker.wire), 'another client from the locked address');
  equal((await daemon.admin('GET', `/clients/${CB.id}`)).status, 200, 'the admin API');
});

row('C25 the challenge: Basic when Basic was used, none otherwise', CB, async (own) => {
  const wrong = b64u(Buffer.alloc(32, 5));
  const byHeader = refused(await post(own, [], { headers: header(basic(CB.id, wrong)) }), 'Basic', { sent: wrong });
  check(/^Basic realm="[^"]+"/.test(byHeader.header('www-authenticate') ?? ''), `challenge: ${byHeader.header('www-authenticate')}`);
  equal(byHeader.count('www-authenticate'), 1, 'one challenge');
  const unknown = refused(await post(own, [], { headers: header(basic('01ARZ3NDEKTSV4RRFFQ69G5FAV', wrong)) }), 'unknown client');
  check(/^Basic\b/.test(unknown.header('www-authenticate') ?? ''), 'challenge for an unknown client');
  equal(unknown.json.error_description, byHeader.json.error_description, 'unknown and wrong look the same');
  for (const [label, pairs] of [
    ['post', [['client_id', CB.id], ['client_secret', wrong]]],
    ['assertion', assertionPairs('x.y.z')],
    ['nothing', []],
  ])
    equal(refused(await post(own, pairs), label).header('www-authenticate'), null, `${label}: challenge`);
});

row('C27 parameters that occur twice', C1, async (own) => {
  const one = C1.assertion();
  const two = C1.assertion();
  const auth = assertionPairs(one);
  for (const [label, pairs] of [
    ['client_id, different', [...auth, ['client_id', C1.id], ['client_id', C2.id]]],
    ['client_id, the same', [...auth, ['client_id', C1.id], ['client_id', C1.id]]],
    ['grant_type, the same', [...auth, ['grant_type', GRANT.credentials]]],
    ['grant_type, different', [...auth, ['grant_type', GRANT.exchange]]],
    ['client_assertion, the same', [...auth, ['client_assertion', one]]],
    ['client_assertion, different', [...auth, ['client_assertion', two]]],
    ['client_assertion_type', [...auth, ['client_assertion_type', TYPE.assertion]]],
    ['scope', [...auth, ['scope', 'read']]],
    ['scope, once empty', [...auth, ['scope', '']]],
    ['task_id', [...auth, ['task_id', 'a'], ['task_id', 'b']]],
  ])
    refused(await post(own, pairs), label, { status: 400, error: 'invalid_request', sent: [one, two] });
  ledger.token(await post(own, [...assertionPairs(two), ['unknown', 'a'], ['unknown', 'b']]), 'an unknown one twice');
  ledger.token(await post(own, auth), 'nothing was used up');
});

row('C29 headers of a proxy that nobody configured', C1, async (own) => {
  const cert = b64u(Buffer.alloc(300, 3));
  for (const name of ['X-Client-Cert', 'X-SSL-Client-Verify', 'X-SSL-Client-S-DN', 'Client-Cert', 'X-Forwarded-Client-Cert', 'X-Forwarded-User', 'Deputy-Client', 'Deputy-Subject']) {
    const value = name === 'X-SSL-Client-Verify' ? 'SUCCESS' : name.includes('ert') ? cert : C1.id;
    refused(await post(own, [['client_id', C1.id]], { headers: [[name, value]] }), name);
  }
});

suite.row('C11 after kill -9: a used assertion stays used', async () => {
  const now = now_s();
  const used = [
    ['plain', C1.assertion()],
    ['dated ahead', C1.assertion({ claims: { iat: now + 20, exp: now + 120 } })],
    ['no iat', C1.assertion({ claims: { iat: undefined, exp: now + 250 } })],
    ['the longest', C1.assertion({ claims: { exp: now + 300 } })],
  ];
  for (const [label, text] of used) ledger.token(await post(C1, assertionPairs(text)), `first: ${label}`);
  for (let i = 0; i < 2; i += 1) {
    await daemon.restart('SIGKILL');
    for (const [label, text] of used) refused(await post(C1, assertionPairs(text)), `after start ${i}: ${label}`, { sent: text });
  }
  // What is signed after the start is good at once, or within the second of the start.
  let answer;
  for (let i = 0; i < 30; i += 1) {
    answer = await C1.token({ scope: 'read' });
    if (answer.status === 200) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  ledger.token(answer, 'a fresh one');
});

suite.row('C every refusal has exactly one record, no secret stands in any', async () => {
  const records = ledger.settle(daemon);
  check(records.length > 100, 'records');
  oneOf(records[0].node, ['as'], 'node');
});

suite.end(() => daemon.stop());
await suite.run();
