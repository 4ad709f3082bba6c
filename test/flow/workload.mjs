// Workloads of three platforms against the daemon, with tokens in their real formats: Kubernetes, GitHub Actions, SPIFFE. Each authenticates
// its client, and each is a grant by itself, where a rule names the client.
import { BEARER, URN } from '../lib/deputies.mjs';
import { GRANT } from '../lib/client.mjs';
import { Key, compact, decode, now_s, randomId } from '../lib/forge.mjs';
import { Idp } from '../lib/idp.mjs';
import { Ledger } from '../lib/ledger.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { Client } from '../lib/client.mjs';
import { RS1, World } from '../lib/world.mjs';

const suite = new Suite('workloads');
const ledger = new Ledger();
const world = await World.start();
const { daemon } = world;
const idps = { kubernetes: await Idp.start({ alg: 'RS256' }), github: await Idp.start({ alg: 'RS256' }), spiffe: await Idp.start() };
for (const idp of Object.values(idps)) suite.end(() => idp.down());
suite.end(() => daemon.stop());
const DOMAIN = 'spiffe://acme.example';
const SPIFFE = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe';
const JWT = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

const made = await daemon.create('clients', { name: 'pod', agent: world.worker.id, auth: 'workload_jwt', grants: [GRANT.credentials, BEARER], default_resource: RS1 });
const platforms = {
  kubernetes: {
    record: { id: idps.kubernetes.issuer, name: 'k8s', lifetime_max_s: 7200, rules: [{ client: made.id, claims: { '/kubernetes.io/namespace': 'prod', '/kubernetes.io/serviceaccount/name': 'worker' } }] },
    header: {}, type: JWT, isOnce: false,
    claims: ({ namespace = 'prod', account = 'worker' } = {}) => ({
      aud: [world.issuer], exp: now_s() + 3600, iat: now_s() - 7, nbf: now_s() - 7, iss: idps.kubernetes.issuer, jti: randomId(),
      'kubernetes.io': {
        namespace, node: { name: 'node-1', uid: '646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1' },
        pod: { name: 'worker-7f9c', uid: '5e0bd49b-f040-43b0-99b7-22765a53f7f3' }, serviceaccount: { name: account, uid: '14ee3fa4-a7e2-420f-9f9a-dbc4507c3798' },
      },
      sub: `system:serviceaccount:${namespace}:${account}`,
    }),
    wrong: { account: 'intruder' },
  },
  github: {
    record: { id: idps.github.issuer, name: 'github', is_single_use: true, rules: [{ client: made.id, claims: { repository: 'acme/app', ref: 'refs/heads/main' } }] },
    header: { typ: 'JWT', x5t: 'ykNaY4qM_ta4k2TgZOCEYLkcYlA' }, type: JWT, isOnce: true,
    claims: ({ ref = 'refs/heads/main' } = {}) => ({
      jti: randomId(), sub: `repo:acme/app:ref:${ref}`, aud: world.issuer, ref, sha: 'b9c0f2b1', repository: 'acme/app', repository_owner: 'acme',
      repository_owner_id: '65', run_id: '1', run_number: '10', run_attempt: '2', repository_visibility: 'private', repository_id: '74', actor_id: '12',
      actor: 'octocat', workflow: 'deploy', head_ref: '', base_ref: '', event_name: 'push', ref_protected: 'true', ref_type: 'branch',
      runner_environment: 'github-hosted', job_workflow_ref: `acme/app/.github/workflows/deploy.yml@${ref}`, iss: idps.github.issuer,
      nbf: now_s() - 300, exp: now_s() + 300, iat: now_s(),
    }),
    wrong: { ref: 'refs/heads/feature' },
  },
  spiffe: {
    record: { id: DOMAIN, name: 'spire', jwks_uri: `${idps.spiffe.origin}/bundle`, rules: [{ client: made.id, claims: { sub: `${DOMAIN}/ns/prod/*` } }] },
    header: { typ: 'JOSE' }, type: SPIFFE, isOnce: false,
    claims: ({ path = '/ns/prod/worker' } = {}) => ({ aud: [world.issuer], exp: now_s() + 300, sub: `${DOMAIN}${path}` }),
    wrong: { path: '/ns/test/worker' },
  },
};
// A bundle as SPIRE serves it: the keys of both kinds of SVID.
idps.spiffe.answers['/bundle'] = (request, response) => {
  const { use, ...key } = idps.spiffe.key.registered;
  const x509 = { ...Key.generate('ES256').jwk, use: 'x509-svid', x5c: ['AAAA'] };
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify({ keys: [x509, { ...key, use: use === 'sig' ? 'jwt-svid' : use }], spiffe_sequence: 1, spiffe_refresh_hint: 300 }));
};
for (const { record } of Object.values(platforms)) await daemon.create('issuers', { org: 'org1', uses: ['workload'], ...record });

const nobody = new Client(daemon, { id: made.id, auth: 'none' });

function token(name, { change = {}, claims = {}, header = {}, key = idps[name].key } = {}) {
  const kid = idps[name].key.kid;
  return compact({ alg: key.alg, kid, ...platforms[name].header, ...header }, { ...platforms[name].claims(change), ...claims }, key);
}

const asClient = (name, text) => nobody.token({ client_assertion_type: platforms[name].type, client_assertion: text, resource: RS1, scope: 'read' });
const asGrant = (text, pairs = {}) => nobody.token({ grant_type: BEARER, assertion: text, resource: RS1, scope: 'read', ...pairs });
const refused = (answer, error, label, status = 400) => ledger.refusal(answer, { status, error, label });

for (const name of Object.keys(platforms)) {
  const { isOnce, wrong } = platforms[name];

  suite.row(`${name}: as client authentication`, async () => {
    const text = token(name);
    const { claims } = decode(ledger.token(await asClient(name, text), 'good'));
    equal([claims.sub, claims.client_id, claims.act, claims.scope], [world.worker.id, made.id, undefined, 'read'], 'whose');
    if (isOnce) refused(await asClient(name, text), 'invalid_client', 'again', 401);
    else ledger.token(await asClient(name, text), 'again: it is used until it is renewed');
    refused(await asClient(name, token(name, { change: wrong })), 'invalid_client', 'another workload', 401);
  });

  suite.row(`${name}: as grant, the rule names the client`, async () => {
    const text = token(name);
    const answer = await asGrant(text);
    const { claims } = decode(ledger.token(answer, 'good'));
    equal([claims.sub, claims.client_id, answer.json.token_type, answer.json.refresh_token], [world.worker.id, made.id, 'Bearer', undefined], 'whose');
    if (isOnce) {
      refused(await asGrant(text), 'invalid_grant', 'again');
      refused(await asClient(name, text), 'invalid_client', 'again, as client authentication', 401);
    } else ledger.token(await asGrant(text), 'again: it is used until it is renewed');
    const { record } = { record: daemon.audit().find((one) => one.jti === claims.jti) };
    equal([record.event, record.client, record.principal, record.detail.startsWith('workload ')], ['token.issued', made.id, world.worker.id, true], 'record');
  });

  suite.row(`${name}: D16 what is not its workload's token gives nothing`, async () => {
    const now = now_s();
    for (const [label, text] of [
      ['another workload', token(name, { change: wrong })],
      ['another signature', token(name, { key: Key.generate(idps[name].key.alg) })],
      ['expired', token(name, { claims: { exp: now - 40, iat: now - 400, nbf: now - 400 } })],
      ['no exp', token(name, { claims: { exp: undefined } })],
      ['another audience', token(name, { claims: { aud: 'https://as.example' } })],
      ['no audience', token(name, { claims: { aud: undefined } })],
      ['no subject', token(name, { claims: { sub: undefined } })],
      ['another issuer', token(name, { claims: { iss: 'https://evil.example', sub: 'x' } })],
      ['of the future', token(name, { claims: { nbf: now + 90 } })],
    ]) {
      refused(await asGrant(text), 'invalid_grant', label);
      refused(await asClient(name, text), 'invalid_client', `${label}, as client authentication`, 401);
    }
    for (const typ of ['at+jwt', 'dpop+jwt']) refused(await asGrant(token(name, { header: { typ } })), 'invalid_client', typ, 401);
    refused(await asGrant(token(name), { client_id: world.CB.id }), 'invalid_grant', 'in the name of another client');
    refused(await asGrant(token(name), { scope: 'write' }), 'invalid_scope', 'more than its agent may');
    refused(await asGrant(token(name), { resource: 'https://unknown.example/' }), 'invalid_target', 'an unknown resource');
    ledger.token(await asGrant(token(name)), 'twin');
  });
}

suite.row('spiffe: the audience is this server alone', async () => {
  refused(await asGrant(token('spiffe', { claims: { aud: [world.issuer, 'https://as.example'] } })), 'invalid_grant', 'two audiences');
  ledger.token(await asGrant(token('spiffe', { claims: { aud: world.issuer } })), 'as a text');
});

suite.row('a client with a secret is no workload, and a workload is no user', async () => {
  await daemon.admin('PATCH', `/issuers/${encodeURIComponent(idps.kubernetes.issuer)}`, {
    rules: [{ client: world.CB.id, claims: { '/kubernetes.io/namespace': 'prod' } }],
  }, { want: 200 });
  refused(await asGrant(token('kubernetes')), 'invalid_grant', 'the rule names a client with a secret');
  const exchanged = await world.CB.exchange(token('kubernetes'), { subject_token_type: `${URN}jwt`, resource: RS1 });
  refused(exchanged, 'invalid_request', 'as a subject token');
});

suite.row('the metadata lists the grant and the method', async () => {
  const { json } = await daemon.wire().request({ path: '/.well-known/oauth-authorization-server' });
  check(json.grant_types_supported.includes(BEARER) && json.token_endpoint_auth_methods_supported.includes('spiffe_jwt'), 'both');
});

suite.row('every refusal has one record, no credential stands in any', async () => {
  check(ledger.settle(daemon).length > 60, 'records');
});

await suite.run();
