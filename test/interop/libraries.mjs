// Unmodified openid-client, oauth4webapi and jose against the daemon over loopback.
import * as jose from 'jose';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { GRANT, TYPE } from '../lib/client.mjs';
import { Key, decode } from '../lib/forge.mjs';
import { Idp } from '../lib/idp.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { RS1, RS2, World } from '../lib/world.mjs';

const suite = new Suite('interop');
const world = await World.start();
const strict = await World.start({ config: { dpop_needs_nonce: true } });
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const insecure = { [oauth.allowInsecureRequests]: true };

const jwkOf = (key) => key.privateKey.export({ format: 'jwk' });
const imported = (key) => crypto.subtle.importKey('jwk', { ...jwkOf(key), key_ops: ['sign'] }, paramsOf(key.alg), false, ['sign']);

function paramsOf(alg) {
  if (alg === 'ES256') return { name: 'ECDSA', namedCurve: 'P-256' };
  if (alg === 'EdDSA') return { name: 'Ed25519' };
  return { name: alg === 'RS256' ? 'RSASSA-PKCS1-v1_5' : 'RSA-PSS', hash: 'SHA-256' };
}

async function serverOf(one) {
  const issuer = new URL(one.issuer);
  const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
  return oauth.processDiscoveryResponse(issuer, response);
}

// A client for each method of authentication: [label, client, oauth4webapi's, openid-client's].
async function methods(one) {
  const out = [
    ['client_secret_basic', one.CB, oauth.ClientSecretBasic(one.CB.secret), openid.ClientSecretBasic(one.CB.secret)],
    ['client_secret_post', one.CP, oauth.ClientSecretPost(one.CP.secret), openid.ClientSecretPost(one.CP.secret)],
  ];
  for (const client of [one.C1, one.CE, one.CR, one.CS]) {
    const key = { key: await imported(client.key), kid: client.key.kid };
    out.push([`private_key_jwt ${client.key.alg}`, client, oauth.PrivateKeyJwt(key), openid.PrivateKeyJwt(key)]);
  }
  return out;
}

const configOf = (one, client, auth) =>
  openid.discovery(new URL(one.issuer), client.id, {}, auth, { algorithm: 'oauth2', execute: [openid.allowInsecureRequests] });

suite.row('oauth4webapi: discovery by both well-known paths', async () => {
  for (const algorithm of ['oauth2', 'oidc']) {
    const issuer = new URL(world.issuer);
    const response = await oauth.discoveryRequest(issuer, { algorithm, ...insecure });
    const server = await oauth.processDiscoveryResponse(issuer, response);
    equal(server.issuer, world.issuer, algorithm);
  }
});

suite.row('oauth4webapi: client_credentials by every method of authentication', async () => {
  const server = await serverOf(world);
  for (const [label, client, auth] of await methods(world)) {
    const meta = { client_id: client.id };
    const params = new URLSearchParams({ scope: 'read', resource: RS1 });
    const response = await oauth.clientCredentialsGrantRequest(server, meta, auth, params, insecure);
    const result = await oauth.processClientCredentialsResponse(server, meta, response);
    equal(result.token_type, 'bearer', label);
    equal([decode(result.access_token).claims.client_id, result.expires_in], [client.id, 300], label);
  }
});

suite.row('openid-client: client_credentials by every method of authentication', async () => {
  for (const [label, client, , auth] of await methods(world)) {
    const config = await configOf(world, client, auth);
    const result = await openid.clientCredentialsGrant(config, { scope: 'read', resource: RS1 });
    equal(decode(result.access_token).claims.aud.toString(), RS1, label);
  }
});

suite.row('oauth4webapi: DPoP, with the retry that a nonce needs', async () => {
  const server = await serverOf(strict);
  for (const alg of ['ES256', 'Ed25519']) {
    const pair = await oauth.generateKeyPair(alg);
    const meta = { client_id: strict.CB.id };
    const dpop = oauth.DPoP(meta, pair);
    const ask = async () => {
      const response = await oauth.clientCredentialsGrantRequest(server, meta, oauth.ClientSecretBasic(strict.CB.secret), { resource: RS1 }, { DPoP: dpop, ...insecure });
      return oauth.processClientCredentialsResponse(server, meta, response);
    };
    const first = await ask().then(() => null, (error) => error);
    check(first && oauth.isDPoPNonceError(first), `${alg}: the first try asks for a nonce: ${first}`);
    const result = await ask();
    equal(result.token_type, 'dpop', alg);
    equal(decode(result.access_token).claims.cnf.jkt, await dpop.calculateThumbprint(), `${alg}: cnf.jkt`);
    equal((await ask()).token_type, 'dpop', `${alg}: the nonce again`);
  }
});

suite.row('openid-client: DPoP, nonce and all, by itself', async () => {
  for (const one of [world, strict])
    for (const [label, client, , auth] of await methods(one)) {
      const config = await configOf(one, client, auth);
      const handle = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'));
      const result = await openid.clientCredentialsGrant(config, { resource: RS1, scope: 'read' }, { DPoP: handle });
      equal(result.token_type, 'dpop', label);
      equal(decode(result.access_token).claims.cnf.jkt, await handle.calculateThumbprint(), label);
    }
});

suite.row('oauth4webapi: token exchange, a chain of two', async () => {
  const server = await serverOf(world);
  const root = await world.CB.get({ audience: world.worker.id, scope: 'read list' });
  const meta = { client_id: world.CW.id };
  const params = { subject_token: root, subject_token_type: TYPE.access, resource: RS2, scope: 'list' };
  const response = await oauth.genericTokenEndpointRequest(server, meta, oauth.ClientSecretBasic(world.CW.secret), GRANT.exchange, params, insecure);
  const result = await oauth.processGenericTokenEndpointResponse(server, meta, response);
  equal(result.issued_token_type, TYPE.access, 'issued_token_type');
  const { claims } = decode(result.access_token);
  equal([claims.sub, claims.act], [world.orchestrator.id, { sub: world.worker.id }], 'chain');
});

// Every supported combination by oauth4webapi: it asks, and its own functions say whether the answer is one.
const URN = 'urn:ietf:params:oauth:token-type:';
const recognized = { recognizedTokenTypes: { n_a: () => {} } };
let idp;
let there;

// A server of another domain that takes our grants, and an identity provider whose users we know.
async function meetOthers() {
  if (there) return;
  [idp, there] = [await Idp.start(), await World.start()];
  const ceiling = [{ resource: RS1, scopes: ['read', 'write'] }];
  await world.daemon.create('issuers', { id: idp.issuer, name: 'corp', org: 'org1', uses: ['subject', 'id-jag'], ceiling });
  await there.daemon.create('issuers', { id: world.issuer, name: 'here', org: 'org1', uses: ['id-jag', 'access-token'], ceiling });
  there.guest = await there.client('guest', 'basic', { agent: there.helper, grants: [JWT_BEARER, GRANT.exchange], default_resource: RS1 });
  const target = { scopes: ['read'], resources: [{ resource: RS1, scopes: ['read'] }] };
  await world.daemon.create('issuers', { id: there.issuer, name: 'there', org: 'org1', uses: ['target'], target });
  const agent = await world.agent('traveller', [{ resource: there.issuer, scopes: ['read'] }]);
  world.traveller = await world.client('traveller', 'basic', { agent });
  target.clients = [world.CB, world.C1, world.traveller].map((client) => ({ client: client.id, client_id: there.guest.id }));
  await world.daemon.admin('PATCH', `/issuers/${encodeURIComponent(there.issuer)}`, { target }, { want: 200 });
  world.bearer = await world.client('bearer', 'basic', { agent: world.orchestrator, grants: [JWT_BEARER, GRANT.exchange], default_resource: RS1 });
}

async function byLibrary(one, client, grant, params, more = {}) {
  const [as, meta] = [await serverOf(one), { client_id: client.id }];
  const auth = client.key ? oauth.PrivateKeyJwt({ key: await imported(client.key), kid: client.key.kid }) : oauth.ClientSecretBasic(client.secret);
  const response = await oauth.genericTokenEndpointRequest(as, meta, auth, grant, params, { ...insecure, ...more });
  return oauth.processGenericTokenEndpointResponse(as, meta, response, recognized);
}

const subjects = {
  access_token: (client) => client.get({ resource: RS1, scope: 'read' }),
  id_token: () => idp.token({ aud: world.issuer }),
  jwt: () => idp.token({ aud: world.issuer }),
};
const actors = {
  none: () => ({}),
  access_token: async (client) => ({ actor_token: await client.get({ resource: world.issuer }), actor_token_type: TYPE.access }),
  jwt: async (client) => {
    const now = Math.floor(Date.now() / 1000);
    const text = await new jose.SignJWT({ jti: crypto.randomUUID() }).setProtectedHeader({ typ: 'JWT', alg: 'ES256', kid: client.key.kid }).setIssuer(client.id)
      .setSubject(world.orchestrator.id).setAudience(world.issuer).setIssuedAt(now).setExpirationTime(now + 60).sign(await jose.importJWK(jwkOf(client.key), 'ES256'));
    return { actor_token: text, actor_token_type: TYPE.jwt };
  },
};
const requested = {
  access_token: { typ: 'at+jwt', tokenType: 'bearer', more: () => ({}) },
  jwt: { typ: 'authorization-grant+jwt', tokenType: 'n_a', more: () => ({ audience: there.issuer }) },
  'id-jag': { typ: 'oauth-id-jag+jwt', tokenType: 'n_a', more: () => ({ audience: there.issuer }) },
};

for (const from of Object.keys(subjects))
  for (const actor of Object.keys(actors))
    for (const [to, { typ, tokenType, more }] of Object.entries(requested))
      suite.row(`oauth4webapi: exchange of ${from}, actor ${actor}, for ${to}`, async () => {
        await meetOthers();
        const client = actor === 'jwt' ? world.C1 : world.CB;
        const params = { subject_token: await subjects[from](client), subject_token_type: URN + from, requested_token_type: URN + to, resource: RS1, scope: 'read', ...(await actors[actor](client)), ...more() };
        const result = await byLibrary(world, client, GRANT.exchange, params);
        equal([result.issued_token_type, result.token_type, result.scope ?? 'read', result.refresh_token], [URN + to, tokenType, 'read', undefined], 'members');
        check(result.expires_in > 0 && result.expires_in <= 300, `expires_in ${result.expires_in}`);
        const { header, claims } = decode(result.access_token);
        const user = from === 'access_token' ? world.orchestrator.id : 'user:corp:alice';
        equal([header.typ, claims.sub], [typ, user], 'typ and sub');
        if (to === 'access_token') return;
        // And what was issued is what it says: the other server takes it.
        const token = await byLibrary(there, there.guest, JWT_BEARER, { assertion: result.access_token, resource: RS1 });
        equal([token.token_type, decode(token.access_token).claims.sub], ['bearer', `user:here:${user}`], 'there');
      });

suite.row('oauth4webapi: the jwt-bearer grant by an ID-JAG, and an access token of another deputy as a subject', async () => {
  await meetOthers();
  const jag = idp.token({ typ: 'oauth-id-jag+jwt', aud: world.issuer, claims: { client_id: world.bearer.id, resource: RS1, scope: 'read' } });
  const result = await byLibrary(world, world.bearer, JWT_BEARER, { assertion: jag });
  equal([result.token_type, decode(result.access_token).claims.sub], ['bearer', 'user:corp:alice'], 'ID-JAG');
  const token = await world.traveller.get({ audience: there.issuer, scope: 'read' });
  const got = await byLibrary(there, there.guest, GRANT.exchange, { subject_token: token, subject_token_type: TYPE.jwt, resource: RS1, scope: 'read' });
  equal([got.issued_token_type, decode(got.access_token).claims.sub], [TYPE.access, `user:here:${world.traveller.agent.id}`], 'jwt');
});

suite.row('oauth4webapi: token exchange with DPoP, for every type of subject', async () => {
  await meetOthers();
  const pair = await oauth.generateKeyPair('ES256');
  for (const from of Object.keys(subjects)) {
    const dpop = oauth.DPoP({ client_id: world.CB.id }, pair);
    const result = await byLibrary(world, world.CB, GRANT.exchange, { subject_token: await subjects[from](world.CB), subject_token_type: URN + from, resource: RS1, scope: 'read' }, { DPoP: dpop });
    equal([result.token_type, decode(result.access_token).claims.cnf.jkt], ['dpop', await dpop.calculateThumbprint()], from);
  }
});

suite.row('oauth4webapi: token types that are not supported are errors it can read', async () => {
  await meetOthers();
  const subject = await world.CB.get({ resource: RS1, scope: 'read' });
  for (const params of [
    ...['refresh_token', 'saml1', 'saml2', 'id-jag', 'txn_token'].map((name) => ({ subject_token: subject, subject_token_type: URN + name })),
    ...['refresh_token', 'id_token', 'saml2', 'txn_token'].map((name) => ({ subject_token: subject, subject_token_type: TYPE.access, requested_token_type: URN + name })),
    ...['id_token', 'refresh_token', 'id-jag'].map((name) => ({ subject_token: subject, subject_token_type: TYPE.access, actor_token: subject, actor_token_type: URN + name })),
  ]) {
    const error = await byLibrary(world, world.CB, GRANT.exchange, { resource: RS1, ...params }).then(() => null, (fault) => fault);
    check(error instanceof oauth.ResponseBodyError, `${JSON.stringify(params)}: ${error}`);
    equal([error.error, error.status], ['invalid_request', 400], JSON.stringify(Object.keys(params)));
  }
});

suite.row('openid-client: token exchange with DPoP, narrowing', async () => {
  const config = await configOf(strict, strict.CB, openid.ClientSecretBasic(strict.CB.secret));
  const handle = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'));
  const wide = await openid.clientCredentialsGrant(config, { resource: RS1, scope: 'read write' }, { DPoP: handle });
  const narrow = await openid.genericGrantRequest(config, GRANT.exchange, { subject_token: wide.access_token, subject_token_type: TYPE.access, resource: RS1, scope: 'read' }, { DPoP: handle });
  equal([narrow.token_type, narrow.scope ?? 'read'], ['dpop', 'read'], 'narrowed');
  equal(decode(narrow.access_token).claims.cnf.jkt, await handle.calculateThumbprint(), 'cnf.jkt');
});

suite.row('oauth4webapi: errors are read as what they are', async () => {
  const server = await serverOf(world);
  const meta = { client_id: world.CB.id };
  const ask = async (auth, params) => {
    const response = await oauth.clientCredentialsGrantRequest(server, meta, auth, params, insecure);
    return oauth.processClientCredentialsResponse(server, meta, response).then(() => null, (error) => error);
  };
  const scope = await ask(oauth.ClientSecretBasic(world.CB.secret), { scope: 'none-such', resource: RS1 });
  check(scope instanceof oauth.ResponseBodyError, `${scope}`);
  equal([scope.error, scope.status], ['invalid_scope', 400], 'scope');
  const target = await ask(oauth.ClientSecretBasic(world.CB.secret), { resource: 'https://none-such.example/' });
  equal([target.error, target.status], ['invalid_target', 400], 'target');
  const byPost = await ask(oauth.ClientSecretPost('wrong'), { resource: RS1 });
  equal([byPost.error, byPost.status], ['invalid_client', 401], 'client');
  const byBasic = await ask(oauth.ClientSecretBasic('wrong'), { resource: RS1 });
  check(byBasic instanceof oauth.WWWAuthenticateChallengeError, `${byBasic}`);
  equal(byBasic.cause[0].scheme, 'basic', 'the challenge');
});

suite.row('oauth4webapi and openid-client: introspection and revocation', async () => {
  const server = await serverOf(world);
  const token = await world.CB.get({ resource: RS1, scope: 'read' });
  const guard = { client_id: world.R1.id };
  const introspect = async () => {
    const response = await oauth.introspectionRequest(server, guard, oauth.ClientSecretBasic(world.R1.secret), token, insecure);
    return oauth.processIntrospectionResponse(server, guard, response);
  };
  const seen = await introspect();
  equal([seen.active, seen.scope, seen.client_id, seen.sub], [true, 'read', world.CB.id, world.orchestrator.id], 'active');
  const meta = { client_id: world.CB.id };
  const response = await oauth.revocationRequest(server, meta, oauth.ClientSecretBasic(world.CB.secret), token, insecure);
  equal(await oauth.processRevocationResponse(response), undefined, 'revoked');
  equal(await introspect(), { active: false }, 'inactive');

  const config = await configOf(world, world.C1, openid.PrivateKeyJwt({ key: await imported(world.C1.key), kid: world.C1.key.kid }));
  const other = (await openid.clientCredentialsGrant(config, { resource: RS1 })).access_token;
  const its = await configOf(world, world.RX, openid.ClientSecretPost(world.RX.secret));
  equal((await openid.tokenIntrospection(its, other)).active, true, 'active');
  await openid.tokenRevocation(config, other);
  equal((await openid.tokenIntrospection(its, other)).active, false, 'inactive');
});

suite.row('oauth4webapi: validateJwtAccessToken takes our bearer token', async () => {
  const server = await serverOf(world);
  const token = await world.CB.get({ resource: RS1, scope: 'read' });
  const request = new Request(`${RS1}/things`, { headers: { authorization: `Bearer ${token}` } });
  const claims = await oauth.validateJwtAccessToken(server, request, RS1, insecure);
  equal([claims.sub, claims.scope], [world.orchestrator.id, 'read'], 'claims');
  const elsewhere = new Request(`${RS2}/things`, { headers: { authorization: `Bearer ${token}` } });
  const error = await oauth.validateJwtAccessToken(server, elsewhere, RS2, insecure).then(() => null, (e) => e);
  check(error, 'another audience is refused');
});

suite.row('oauth4webapi: validateJwtAccessToken takes our DPoP-bound token, and wants the proof', async () => {
  const server = await serverOf(strict);
  const pair = await oauth.generateKeyPair('ES256', { extractable: true });
  const config = await configOf(strict, strict.CB, openid.ClientSecretBasic(strict.CB.secret));
  const handle = openid.getDPoPHandle(config, pair);
  const { access_token: token } = await openid.clientCredentialsGrant(config, { resource: RS1 }, { DPoP: handle });

  // protectedResourceRequest makes the request; nothing is sent: the function that would send it keeps it.
  let sent = null;
  const keep = async (url, options) => {
    sent = new Request(url, { method: options.method, headers: options.headers });
    return new Response('{}');
  };
  await oauth.protectedResourceRequest(token, 'GET', new URL(`${RS1}/things`), undefined, undefined, {
    DPoP: oauth.DPoP({ client_id: strict.CB.id }, pair),
    [oauth.customFetch]: keep,
  });
  const claims = await oauth.validateJwtAccessToken(server, sent, RS1, { requireDPoP: true, ...insecure });
  equal(claims.cnf.jkt, await handle.calculateThumbprint(), 'cnf.jkt');
  const bare = new Request(`${RS1}/things`, { headers: { authorization: `Bearer ${token}` } });
  const error = await oauth.validateJwtAccessToken(server, bare, RS1, { requireDPoP: true, ...insecure }).then(() => null, (e) => e);
  check(error, 'the token as Bearer is refused');
});

suite.row('jose: jwtVerify against our JWKS, for every algorithm we sign with', async () => {
  const keys = jose.createRemoteJWKSet(new URL(`${world.issuer}/.well-known/jwks.json`), { cooldownDuration: 0 });
  const verify = async (alg) => {
    const token = await world.CB.get({ resource: RS1, scope: 'read' });
    const { protectedHeader, payload } = await jose.jwtVerify(token, keys, { issuer: world.issuer, audience: RS1, typ: 'at+jwt', algorithms: [alg], requiredClaims: ['iat', 'exp', 'sub', 'client_id', 'jti'] });
    equal([protectedHeader.alg, payload.client_id], [alg, world.CB.id], alg);
    return protectedHeader.kid;
  };
  await verify('ES256');
  for (const alg of ['RS256', 'PS256', 'EdDSA', 'ES256']) {
    const { kid } = (await world.daemon.admin('POST', '/keys', { alg }, { want: 201 })).json;
    await world.daemon.admin('POST', `/keys/${kid}/activate`, {}, { want: 200 });
    equal(await verify(alg), kid, `${alg}: kid`);
  }
});

suite.row('jose: calculateJwkThumbprint gives our kid and our cnf.jkt', async () => {
  const response = await fetch(`${world.issuer}/.well-known/jwks.json`);
  const { keys } = await response.json();
  check(keys.length >= 1, 'keys');
  for (const jwk of keys) equal(await jose.calculateJwkThumbprint(jwk), jwk.kid, jwk.alg);
  for (const alg of ['ES256', 'EdDSA']) {
    const key = Key.generate(alg);
    const token = await world.CB.withDpop(key).get({ resource: RS1 });
    equal(decode(token).claims.cnf.jkt, await jose.calculateJwkThumbprint(key.jwk), alg);
  }
});

suite.row('jose: an assertion made by jose is taken, once', async () => {
  for (const client of [world.C1, world.CE, world.CR, world.CS]) {
    const { alg } = client.key;
    const text = await new jose.SignJWT({})
      .setProtectedHeader({ alg, kid: client.key.kid, typ: 'client-authentication+jwt' })
      .setIssuer(client.id)
      .setSubject(client.id)
      .setAudience(world.issuer)
      .setIssuedAt()
      .setExpirationTime('1m')
      .setJti(crypto.randomUUID())
      .sign(await jose.importJWK(jwkOf(client.key), alg));
    const ask = () => client.token({}, { credentials: [[], [['client_assertion_type', TYPE.assertion], ['client_assertion', text]]] });
    equal((await ask()).status, 200, alg);
    equal((await ask()).status, 401, `${alg}: again`);
  }
});

suite.end(async () => {
  await idp?.down();
  await there?.daemon.stop();
  await world.daemon.stop();
  await strict.daemon.stop();
});
await suite.run();
