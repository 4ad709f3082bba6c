// Users consent: the SDK's own MCP client with its DPoP session by the code grant; PAR, dpop_jkt and bound refresh tokens by
// oauth4webapi; and what only a running server shows: single use among many at once, across kill -9, in nobody's log.
import crypto from 'node:crypto';
import { mcp, oauth } from '../interop/packages.mjs';
import { decode, randomId } from '../lib/forge.mjs';
import { Guarded } from '../lib/guarded.mjs';
import { Idp } from '../lib/idp.mjs';
import { answerMcp } from '../lib/mcp.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { World } from '../lib/world.mjs';

const suite = new Suite('consent');
const LOGIN = 'X-Login-Jwt';
const world = await World.start({ config: { login_header: LOGIN, login_from: '[127.0.0.1]' } });
const { daemon } = world;
const idp = await Idp.start();
const CALLBACK = 'http://127.0.0.1:4711/callback';
const loopback = { [oauth.allowInsecureRequests]: true };
let server = null;
let agent = null;
let app = null;
suite.end(() => idp.down());
suite.end(() => daemon.stop());
suite.end(() => server?.stop());

// ---- the user's browser, behind the proxy that logs users in ----

const login = (sub = 'bob') => idp.token({ aud: world.issuer, claims: { sub, acr: 'urn:example:mfa' } });

const unescape = (text) => text.replace(/&quot;/g, '"').replace(/&#39;/g, "'").replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&amp;/g, '&');

async function page(url, sub) {
  const answer = await fetch(url, { redirect: 'manual', headers: { [LOGIN]: login(sub) } });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}

// Where the browser is sent after the user's word.
async function browse(url, { word = 'yes', sub = 'bob' } = {}) {
  const { status, headers, text } = await page(url, sub);
  if (status === 303) return new URL(headers.get('location'));
  equal(status, 200, text);
  const [, action] = /<form method="post" action="([^"]*)">/.exec(text);
  const [, hidden] = /name="page" value="([^"]*)"/.exec(text);
  const answer = await fetch(new URL(action, url), {
    method: 'POST', redirect: 'manual', headers: { [LOGIN]: login(sub) }, body: new URLSearchParams({ page: unescape(hidden), answer: word }),
  });
  equal([answer.status, answer.headers.get('referrer-policy'), answer.headers.get('cache-control')], [303, 'no-referrer', 'no-store'], await answer.text());
  return world.plant(new URL(answer.headers.get('location')).href) && new URL(answer.headers.get('location'));
}

async function setUp(resource) {
  await daemon.create('resources', { id: resource, name: 'mcp', scopes: ['tools', 'admin'], default_scopes: ['tools'] });
  await daemon.create('issuers', { id: idp.issuer, name: 'corp', org: 'org1', uses: ['login'], ceiling: [{ resource, scopes: ['tools'] }] });
  agent = await world.agent('mcp agent', [{ resource, scopes: ['tools', 'admin'] }]);
  app = await daemon.create('clients', { name: 'desktop app', auth: 'none', agent: agent.id, redirect_uris: ['http://127.0.0.1/callback'] });
  return world.client('mcp guard', 'basic', { resource });
}

suite.row('@modelcontextprotocol/client: the code grant with its DPoP session, from the first 401 to the tool, and a refresh', async () => {
  server = await Guarded.start({ issuer: world.issuer, scopes: 'tools', needs: 'tools', where: '/mcp', setUp, handle: answerMcp });
  equal(app.grants, ['authorization_code', 'refresh_token'], 'what a client without a secret is for');
  const session = await mcp.DpopSession.create();
  const state = randomId();
  let callback = null;
  let kept = null;
  let verifier = null;
  const authProvider = {
    redirectUrl: CALLBACK,
    clientMetadata: { redirect_uris: [CALLBACK], token_endpoint_auth_method: 'none' },
    state: () => state,
    clientInformation: () => ({ client_id: app.id, issuer: world.issuer }),
    tokens: () => kept,
    saveTokens: (tokens) => {
      kept = tokens;
      world.plant(tokens.refresh_token);
    },
    redirectToAuthorization: async (url) => {
      callback = await browse(url);
    },
    saveCodeVerifier: (text) => {
      verifier = text;
    },
    codeVerifier: () => verifier,
    dpop: () => session,
  };
  const transport = () => new mcp.StreamableHTTPClientTransport(new URL(server.resource), { authProvider });
  const first = transport();
  await new mcp.Client({ name: 'test', version: '1' }).connect(first).then(() => check(false, 'the user was not asked'), (error) => check(error instanceof mcp.UnauthorizedError, error));
  equal([callback.origin + callback.pathname, callback.searchParams.get('state'), callback.searchParams.get('iss')], [CALLBACK, state, world.issuer], 'back with state and iss');
  await first.finishAuth(callback.searchParams);
  const one = new mcp.Client({ name: 'test', version: '1' });
  await one.connect(transport());
  const identity = JSON.parse((await one.callTool({ name: 'whoami', arguments: {} })).content[0].text);
  equal([identity.subject, identity.actor, identity.client, identity.scope, identity.audience], ['user:corp:bob', agent.id, app.id, 'tools', server.resource], 'who calls');
  const { claims } = decode(kept.access_token);
  equal([claims.cnf.jkt, claims.acr, kept.token_type.toLowerCase()], [session.thumbprint, 'urn:example:mfa', 'dpop'], 'bound to the session');
  const used = kept;
  equal(await mcp.auth(authProvider, { serverUrl: server.resource }), 'AUTHORIZED', 'refreshed');
  check(kept.refresh_token !== used.refresh_token && kept.access_token !== used.access_token, 'another refresh token');
  equal(decode(kept.access_token).claims.lineage, claims.lineage, 'of the same consent');
  await one.close();
});

// ---- by oauth4webapi ----

let as = null;
const client = () => ({ client_id: app.id });

async function discover() {
  const url = new URL(world.issuer);
  as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...loopback }));
}

// A consent by PAR for a key: gives the code's callback and what redeems it.
async function consented(key, { more = {}, word = 'yes', sub = 'bob', push = true } = {}) {
  const verifier = oauth.generateRandomCodeVerifier();
  const DPoP = key && oauth.DPoP(client(), key);
  const parameters = new URLSearchParams({
    client_id: app.id, response_type: 'code', redirect_uri: CALLBACK, resource: server.resource, scope: 'tools', state: randomId(),
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...more,
  });
  const url = new URL(as.authorization_endpoint);
  if (push) {
    const pushed = await oauth.processPushedAuthorizationResponse(as, client(), await oauth.pushedAuthorizationRequest(as, client(), oauth.None(), parameters, { DPoP, ...loopback }));
    url.search = new URLSearchParams({ client_id: app.id, request_uri: world.plant(pushed.request_uri) });
  } else url.search = parameters;
  const callback = await browse(url, { word, sub });
  return { verifier, DPoP, callback, state: parameters.get('state'), url };
}

async function redeem({ verifier, DPoP, callback, state }) {
  const parameters = oauth.validateAuthResponse(as, client(), callback, state);
  return oauth.authorizationCodeGrantRequest(as, client(), oauth.None(), parameters, CALLBACK, verifier, { DPoP, ...loopback });
}

const body = async (response) => ({ status: response.status, ...(await response.json()) });

// A server that was started in this second wants its nonce, which the library remembers.
async function fresh(send) {
  const answer = await body(await send());
  return answer.error === 'use_dpop_nonce' ? body(await send()) : answer;
}

function refresh(token, DPoP) {
  return fresh(() => oauth.refreshTokenGrantRequest(as, client(), oauth.None(), token, { DPoP, ...loopback }));
}

suite.row('oauth4webapi: metadata, PAR with a proof, the code for that key, a refresh token for it', async () => {
  await discover();
  equal([as.response_types_supported, as.code_challenge_methods_supported, as.authorization_response_iss_parameter_supported], [['code'], ['S256'], true], 'metadata');
  equal(as.pushed_authorization_request_endpoint, `${world.issuer}/oauth/par`, 'PAR');
  check(as.token_endpoint_auth_methods_supported.includes('none'), 'clients without a secret');
  const key = await oauth.generateKeyPair('ES256');
  const thief = oauth.DPoP(client(), await oauth.generateKeyPair('ES256'));
  const one = await consented(key);
  // B48: PAR's proof was of `key`.
  const stolen = await body(await redeem({ ...one, DPoP: thief }));
  equal([stolen.status, stolen.error], [400, 'invalid_grant'], 'B48 another key');
  const tokens = await oauth.processAuthorizationCodeResponse(as, client(), await redeem(one));
  world.plant(tokens.refresh_token);
  equal([tokens.token_type, tokens.scope], ['dpop', 'tools'], 'bound');
  // B47: neither without a proof nor with another key; and its owner goes on.
  const bare = await refresh(tokens.refresh_token, undefined);
  equal([bare.status, bare.error], [400, 'invalid_dpop_proof'], 'B47 no proof');
  const other = await refresh(tokens.refresh_token, thief);
  equal([other.status, other.error], [400, 'invalid_grant'], 'B47 another key');
  const next = await refresh(tokens.refresh_token, one.DPoP);
  equal(next.status, 200, 'the owner');
  // E25: the old one again.
  const again = await refresh(tokens.refresh_token, one.DPoP);
  equal([again.status, again.error], [400, 'invalid_grant'], 'E25 the old one');
  const dead = await refresh(next.refresh_token, one.DPoP);
  equal([dead.status, dead.error], [400, 'invalid_grant'], 'E25 and with it the new one');
  const rx = await world.RX.post('/oauth/introspect', [['token', next.access_token]]);
  equal(rx.json, { active: false }, 'E25 and its access token');
});

suite.row('a user says no, or the client asks for too much: the client learns it at its own address', async () => {
  const no = await consented(null, { word: 'no', push: false });
  equal([no.callback.searchParams.get('error'), no.callback.searchParams.get('state'), no.callback.searchParams.get('iss')], ['access_denied', no.state, world.issuer], 'no');
  const much = await consented(null, { more: { scope: 'admin' }, push: false });
  equal([much.callback.searchParams.get('error'), much.callback.searchParams.get('code')], ['invalid_scope', null], "beyond the user's ceiling");
});

suite.row('the page: nothing loads, nobody frames it, it says who asks and where the answer goes', async () => {
  const url = new URL(`${world.issuer}/oauth/authorize`);
  url.search = new URLSearchParams({ client_id: app.id, response_type: 'code', redirect_uri: CALLBACK, resource: server.resource, code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' });
  const { status, headers, text } = await page(url);
  equal([status, headers.get('content-type'), headers.get('x-frame-options'), headers.get('referrer-policy'), headers.get('cache-control'), headers.get('access-control-allow-origin')],
    [200, 'text/html; charset=utf-8', 'DENY', 'no-referrer', 'no-store', null], 'headers');
  const policy = headers.get('content-security-policy');
  const [, style] = /<style>(.*?)<\/style>/s.exec(text);
  check(policy.includes("default-src 'none'") && policy.includes("frame-ancestors 'none'") && policy.includes("form-action 'self' http://127.0.0.1:4711"), policy);
  check(policy.includes(`'sha256-${crypto.createHash('sha256').update(style).digest('base64')}'`), 'the style is let in');
  for (const part of ['user:corp:bob', 'mcp agent', 'desktop app', server.resource, 'tools', '127.0.0.1']) check(text.includes(part), part);
  check(!/<script|javascript:|https?:\/\/(?!127\.0\.0\.1)/i.test(text), 'no script, nobody else');
  const nobody = await fetch(url, { redirect: 'manual' });
  equal([nobody.status, nobody.headers.get('location')], [401, null], 'nobody is logged in');
  equal((await fetch(url, { method: 'POST', redirect: 'manual', headers: { [LOGIN]: login() } })).status, 405, 'the question is a GET');
});

suite.row('E01 of twenty that bring one code at once, one gets a token; of twenty with one refresh token too', async () => {
  const key = await oauth.generateKeyPair('ES256');
  const one = await consented(key);
  const answers = await Promise.all(Array.from({ length: 20 }, async () => body(await redeem(one))));
  equal(answers.filter(({ status }) => status === 200).length, 1, 'one');
  check(answers.every(({ status, error }) => status === 200 || (status === 400 && error === 'invalid_grant')), JSON.stringify(answers.map(({ status, error }) => [status, error])));
  const two = await consented(key);
  const tokens = await body(await redeem(two));
  const many = await Promise.all(Array.from({ length: 20 }, () => refresh(tokens.refresh_token, two.DPoP)));
  check(many.filter(({ status }) => status === 200).length <= 1, 'one at most');
  check(many.every(({ status, error }) => status === 200 || error === 'invalid_grant'), JSON.stringify(many.map(({ status, error }) => [status, error])));
  equal((await refresh(tokens.refresh_token, two.DPoP)).error, 'invalid_grant', 'and it is used');
});

suite.row('H11 a refresh token is revoked: every access token of its consent is inactive', async () => {
  const one = await consented(await oauth.generateKeyPair('ES256'));
  const all = [await body(await redeem(one))];
  while (all.length < 3) all.push(await refresh(all.at(-1).refresh_token, one.DPoP));
  const active = async () => Promise.all(all.map(async ({ access_token }) => (await world.RX.introspect(access_token)).json.active));
  equal(await active(), [true, true, true], 'alive');
  equal((await oauth.revocationRequest(as, client(), oauth.None(), all.at(-1).refresh_token, loopback)).status, 200, 'revoked');
  equal(await active(), [false, false, false], 'dead');
});

suite.row('the operator sees who gave what to whom, and ends one, or all of a user', async () => {
  const one = await consented(await oauth.generateKeyPair('ES256'));
  const tokens = await body(await redeem(one));
  const { lineage: [id] } = decode(tokens.access_token).claims;
  const mine = async () => (await daemon.admin('GET', '/grants', undefined, { want: 200 })).json.items;
  const [grant] = (await mine()).filter((each) => each.id === id);
  equal([grant.user, grant.agent, grant.client, grant.scope, grant.resources, grant.is_live], ['user:corp:bob', agent.id, app.id, 'tools', [server.resource], true], 'what');
  await daemon.admin('POST', `/grants/${id}/revoke`, {}, { want: 200, headers: [['Idempotency-Key', `"${randomId()}"`]] });
  equal((await refresh(tokens.refresh_token, one.DPoP)).error, 'invalid_grant', 'ended');
  equal((await world.RX.introspect(tokens.access_token)).json, { active: false }, 'with its tokens');
  check(!(await mine()).some((each) => each.id === id), 'gone from the list');
  equal((await daemon.admin('GET', `/grants/${id}`)).status, 404, 'gone for good: no clock and no setting brings it back');
  const two = await consented(await oauth.generateKeyPair('ES256'), { sub: 'carol' });
  const others = await body(await redeem(two));
  await daemon.admin('POST', '/revocations', { kind: 'agent', id: 'user:corp:carol' }, { want: 201, headers: [['Idempotency-Key', `"${randomId()}"`]] });
  equal((await refresh(others.refresh_token, two.DPoP)).error, 'invalid_grant', 'all of a user');
  // The entry has to outlive what it ends.
  const [entry] = (await daemon.admin('GET', '/revocations', undefined, { want: 200 })).json.items.filter((each) => each.id === 'user:corp:carol');
  check(entry.expires - entry.before > 2592000, JSON.stringify(entry));
});

suite.row('a grant is revoked while its client refreshes as fast as it can: the switch loses to nobody', async () => {
  const one = await consented(await oauth.generateKeyPair('ES256'), { sub: 'fay' });
  let tokens = await body(await redeem(one));
  const { lineage: [id] } = decode(tokens.access_token).claims;
  let last = null;
  const busy = (async () => {
    for (let i = 0; i < 500 && last?.error === undefined; i += 1) {
      last = await refresh(tokens.refresh_token, one.DPoP);
      if (!last.error) tokens = last;
    }
  })();
  await daemon.admin('POST', `/grants/${id}/revoke`, {}, { want: 200, headers: [['Idempotency-Key', `"${randomId()}"`]] });
  await busy;
  equal([last.status, last.error], [400, 'invalid_grant'], 'the client hears it');
  equal((await world.RX.introspect(tokens.access_token)).json, { active: false }, 'and so do its tokens');
});

suite.row('E28 kill -9: a used code stays used, a refresh token goes on, a revoked one stays revoked', async () => {
  const key = await oauth.generateKeyPair('ES256');
  const one = await consented(key);
  const tokens = await body(await redeem(one));
  const gone = await body(await redeem(await consented(key)));
  const revoked = await oauth.revocationRequest(as, client(), oauth.None(), gone.refresh_token, loopback);
  equal(revoked.status, 200, 'revoked');
  await daemon.restart('SIGKILL');
  const next = await refresh(tokens.refresh_token, one.DPoP);
  equal(next.status, 200, JSON.stringify(next));
  equal((await refresh(gone.refresh_token, one.DPoP)).error, 'invalid_grant', 'revoked');
  const code = await fresh(() => redeem(one));
  equal([code.status, code.error], [400, 'invalid_grant'], 'the code');
  equal((await refresh(next.refresh_token, one.DPoP)).error, 'invalid_grant', 'and that ended the consent');
});

suite.row('the log tells who consented to what, and has no code and no refresh token in it', async () => {
  const records = daemon.audit();
  const given = records.filter(({ event }) => event === 'consent.given');
  check(given.length >= 5 && given.every((one) => /"user:corp:(bob|carol|fay)"/.test(JSON.stringify(one))), JSON.stringify(given[0]));
  const consent = given[0].target;
  check(records.some((one) => one.event === 'token.issued' && JSON.stringify(one).includes(consent)), 'what came of it names it');
  const artefacts = daemon.artefacts();
  for (const secret of world.planted) {
    const text = secret.includes('code=') ? new URL(secret).searchParams.get('code') : secret;
    check(!artefacts.includes(text), 'a secret is in the log');
  }
});

suite.row('rfc9126#4 two users on one pushed request: one of them answers it, however late the other saw the page', async () => {
  const verifier = oauth.generateRandomCodeVerifier();
  const parameters = new URLSearchParams({ client_id: app.id, response_type: 'code', redirect_uri: CALLBACK, resource: server.resource, code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' });
  const pushed = await oauth.processPushedAuthorizationResponse(as, client(), await oauth.pushedAuthorizationRequest(as, client(), oauth.None(), parameters, loopback));
  const url = new URL(as.authorization_endpoint);
  url.search = new URLSearchParams({ client_id: app.id, request_uri: pushed.request_uri });
  const first = await browse(url, { sub: 'dora' });
  const second = await browse(url, { sub: 'emil' });
  check(first.searchParams.get('code') && !second.searchParams.get('code'), second.href);
  equal(second.searchParams.get('error'), 'invalid_request', 'the second');
});

suite.row('a login counts only from the proxies that are named', async () => {
  const { daemon: other } = await World.start({ config: { login_header: LOGIN, login_from: '[192.0.2.1]' } });
  try {
    const answer = await fetch(`${other.issuer}/oauth/authorize?response_type=code`, { headers: { [LOGIN]: login() }, redirect: 'manual' });
    check([400, 401].includes(answer.status) && !(await answer.text()).includes('<form'), 'no page');
  } finally {
    await other.stop();
  }
});

suite.row('without login_header there is no authorization endpoint', async () => {
  const { daemon: other } = await World.start();
  try {
    for (const [path, method] of [['/oauth/authorize', 'GET'], ['/oauth/consent', 'POST'], ['/oauth/par', 'POST']]) {
      const answer = await fetch(other.issuer + path, { method, ...(method === 'POST' ? { body: new URLSearchParams({ client_id: 'x' }) } : {}) });
      equal(answer.status, 404, path);
    }
    const metadata = await (await fetch(`${other.issuer}/.well-known/oauth-authorization-server`)).json();
    equal([metadata.response_types_supported, metadata.pushed_authorization_request_endpoint, metadata.grant_types_supported.includes('refresh_token')], [[], undefined, false], 'metadata');
  } finally {
    await other.stop();
  }
});

await suite.run();
