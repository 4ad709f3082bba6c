// MCP's enterprise-managed authorization: the SDK's CrossAppAccess provider, unmodified, against the daemon and the guard.
import { jose, mcp } from '../interop/packages.mjs';
import { GRANT } from '../lib/client.mjs';
import { Key, decode, now_s, randomId } from '../lib/forge.mjs';
import { Guarded } from '../lib/guarded.mjs';
import { Idp } from '../lib/idp.mjs';
import { Ledger } from '../lib/ledger.mjs';
import { answerMcp } from '../lib/mcp.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { RS1, World } from '../lib/world.mjs';

const BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const ID_JAG = 'urn:ietf:params:oauth:token-type:id-jag';
const suite = new Suite('ID-JAG');
const ledger = new Ledger();
const world = await World.start();
const { daemon } = world;
const idp = await Idp.start();
let server = null;
let client = null;
let agent = null;
suite.end(() => idp.down());
suite.end(() => daemon.stop());
suite.end(() => server?.stop());

// ---- the identity provider's side of the exchange, signed by jose ----

const signer = await jose.importJWK({ ...idp.key.privateKey.export({ format: 'jwk' }) }, 'ES256');
const idToken = idp.token({ aud: 'portal', claims: { sub: 'bob' } });
const asked = [];

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()));
}

idp.answers['/token'] = async (request, response) => {
  const form = await body(request);
  asked.push(form);
  const { payload } = await jose.jwtVerify(form.subject_token, jose.createLocalJWKSet(idp.jwks), { issuer: idp.issuer });
  const assertion = await new jose.SignJWT({ client_id: client.id, resource: form.resource, scope: form.scope })
    .setProtectedHeader({ alg: 'ES256', typ: 'oauth-id-jag+jwt', kid: idp.key.kid })
    .setIssuer(idp.issuer).setSubject(payload.sub).setAudience(form.audience).setJti(randomId()).setIssuedAt().setExpirationTime('2m')
    .sign(signer);
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify({ issued_token_type: ID_JAG, access_token: assertion, token_type: 'N_A', expires_in: 120, scope: form.scope }));
};
const metadata = `/.well-known/oauth-authorization-server`;
idp.answers[metadata] = (request, response) => {
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify({ ...idp.metadata, response_types_supported: ['code'], authorization_endpoint: `${idp.origin}/auth`, grant_types_supported: [GRANT.exchange] }));
};

async function setUp(resource) {
  await daemon.create('resources', { id: resource, name: 'mcp', scopes: ['tools', 'admin'], default_scopes: ['tools'] });
  await daemon.create('issuers', { id: idp.issuer, name: 'corp', org: 'org1', uses: ['id-jag'], ceiling: [{ resource, scopes: ['tools'] }] });
  agent = await world.agent('mcp agent', [{ resource, scopes: ['tools', 'admin'] }]);
  client = await world.client('mcp client', 'basic', { agent, grants: [BEARER], default_resource: resource });
  return world.client('mcp guard', 'basic', { resource });
}

suite.row('@modelcontextprotocol/client: CrossAppAccess, from the first 401 to the tool', async () => {
  server = await Guarded.start({ issuer: world.issuer, scopes: 'tools', needs: 'tools', where: '/mcp', setUp, handle: answerMcp });
  const authProvider = new mcp.CrossAppAccessProvider({
    clientId: client.id, clientSecret: client.secret, expectedIssuer: world.issuer,
    assertion: async (context) => (await mcp.discoverAndRequestJwtAuthGrant({
      idpUrl: idp.issuer, audience: context.authorizationServerUrl, resource: context.resourceUrl, idToken, clientId: 'portal',
      scope: context.scope, fetchFn: context.fetchFn,
    })).jwtAuthGrant,
  });
  const one = new mcp.Client({ name: 'test', version: '1' });
  await one.connect(new mcp.StreamableHTTPClientTransport(new URL(server.resource), { authProvider }));
  equal((await one.listTools()).tools.map((tool) => tool.name), ['whoami'], 'tools');
  const result = await one.callTool({ name: 'whoami', arguments: {} });
  const identity = JSON.parse(result.content[0].text);
  await one.close();
  equal([identity.subject, identity.actor, identity.client, identity.scope, identity.audience],
    ['user:corp:bob', agent.id, client.id, 'tools', server.resource], 'who calls');
  const [form] = asked;
  equal([form.requested_token_type, form.resource, form.scope], [ID_JAG, server.resource, 'tools'], 'what the SDK asked for');
  equal(new URL(form.audience).href, new URL(world.issuer).href, 'for us');
  const tokens = await authProvider.tokens();
  equal([decode(tokens.access_token).claims.sub, tokens.refresh_token], ['user:corp:bob', undefined], 'no refresh token');
});

// ---- the same grant by hand, each promise of the profile broken once ----

function assertion({ claims = {}, ...more } = {}) {
  return idp.token({ typ: 'oauth-id-jag+jwt', aud: world.issuer, ...more, claims: { sub: 'bob', client_id: client.id, resource: server.resource, scope: 'tools', ...claims } });
}

const grant = (text, more = {}, as = client) => as.token({ grant_type: BEARER, assertion: text, ...more });

suite.row('the grant by hand: what it gives, and that it is good once', async () => {
  const text = assertion();
  const answer = await grant(text, { resource: server.resource, scope: 'tools' });
  const { claims } = decode(ledger.token(answer, 'good'));
  equal([claims.sub, claims.act, claims.aud, claims.scope, answer.json.refresh_token], ['user:corp:bob', { sub: agent.id }, server.resource, 'tools', undefined], 'what');
  check(claims.exp <= decode(text).claims.exp, 'no longer than the assertion');
  ledger.refusal(await grant(text, { resource: server.resource }), { status: 400, error: 'invalid_grant', label: 'a second time' });
});

suite.row('D33 each promise of the profile, broken once', async () => {
  const now = now_s();
  const stranger = Key.generate('ES256');
  for (const [label, text, error = 'invalid_grant', more = {}] of [
    ['aud is another server', assertion({ aud: 'https://as.example' })],
    ['aud is the token endpoint', assertion({ aud: `${world.issuer}/oauth/token` })],
    ['aud is this server and another', assertion({ claims: { aud: [world.issuer, 'https://as.example'] } })],
    ["another client's", assertion({ claims: { client_id: world.CB.id } })],
    ['no client', assertion({ claims: { client_id: undefined } })],
    ['no jti', assertion({ claims: { jti: undefined } })],
    ['no iat', assertion({ claims: { iat: undefined } })],
    ['expired', assertion({ claims: { iat: now - 200, exp: now - 31 } })],
    ['an hour long', assertion({ claims: { exp: now + 3600 } })],
    ['of the future', assertion({ claims: { iat: now + 90, exp: now + 150, nbf: now + 90 } })],
    ['no subject', assertion({ claims: { sub: undefined } })],
    ['another signature', assertion({ key: stranger, header: { kid: idp.key.kid } })],
    ['another issuer', assertion({ claims: { iss: 'https://idp.example' } })],
    ['this server as issuer', assertion({ claims: { iss: world.issuer } })],
    ['an ID token', idp.token({ aud: world.issuer, claims: { sub: 'bob', jti: undefined } })],
    ['an access token', assertion({ typ: 'at+jwt' })],
    ['another resource', assertion({ claims: { resource: RS1 } }), 'invalid_grant', { resource: server.resource }],
    ['more scope than it has', assertion(), 'invalid_grant', { scope: 'tools admin' }],
    ['a resource outside the ceiling', assertion({ claims: { resource: RS1, scope: 'read' } }), 'invalid_target', { resource: RS1 }],
    ['a resource that is none of ours', assertion({ claims: { resource: 'https://unknown.example/' } })],
    ['no assertion', '', 'invalid_request'],
  ])
    ledger.refusal(await grant(text, more), { status: 400, error, label });
  ledger.refusal(await grant(assertion(), {}, world.CB), { status: 400, error: 'unauthorized_client', label: 'a client without the grant' });
  ledger.token(await grant(assertion()), 'twin');
});

suite.row('what is not written: no assertion, no token', async () => {
  ledger.plantToken(idToken);
  const records = ledger.settle(daemon);
  check(records.some((record) => record.outcome === 'allow' && JSON.stringify(record).includes('user:corp:bob')), 'the user stands in the record');
});

await suite.run();
