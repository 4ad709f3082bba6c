// Clients that authenticate by a certificate (RFC 8705), with authorities made by openssl: HAProxy ends TLS and tells in Client-Cert (RFC 9440)
// whom it saw.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { X509Certificate, createHash } from 'node:crypto';
import { Authority, hasOpenssl } from '../lib/authority.mjs';
import { Client, GRANT, TYPE } from '../lib/client.mjs';
import { Daemon, Process } from '../lib/daemon.mjs';
import { Key, decode, proof } from '../lib/forge.mjs';
import { Haproxy, isOpen } from '../lib/haproxy.mjs';
import { nginxFile } from '../lib/nginx.mjs';
import { Ledger } from '../lib/ledger.mjs';
import { Suite, check, equal, skip } from '../lib/tap.mjs';
import { RS1, World } from '../lib/world.mjs';
import { Wire, freePort } from '../lib/wire.mjs';

if (!hasOpenssl || Haproxy.missing) {
  console.log(`TAP version 13\n1..0 # SKIP ${Haproxy.missing ?? 'openssl is not installed'}`);
  process.exit(0);
}

const PROXY = '127.0.0.9'; // the address that the configuration trusts
const suite = new Suite('mTLS');
const ledger = new Ledger();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
suite.end(() => fs.rmSync(folder, { recursive: true, force: true }));
const server = new Authority(folder, 'server-ca');
const clients = new Authority(folder, 'client-ca');
const strangers = new Authority(folder, 'other-ca');
const leaf = server.leaf('IP:127.0.0.1');

const front = await freePort();
const issuer = `https://127.0.0.1:${front}`;
const world = await World.start({
  config: { issuer, client_certificates: 'proxy', client_certificates_from: `[${PROXY}, "2001:db8::9"]`, client_ca_file: clients.cert },
});
const { daemon } = world;
daemon.issuer = issuer;
suite.end(() => daemon.stop());

const haproxy = await Haproxy.start(front, (own) => {
  fs.writeFileSync(path.join(own, 'front.pem'), leaf.cert + leaf.key, { mode: 0o600 });
  fs.writeFileSync(path.join(own, 'ca.pem'), clients.pem);
  // It asks for a certificate and judges none: whom to trust is deputyd's to say.
  return `frontend front
  bind 127.0.0.1:${front} ssl crt ${own}/front.pem verify optional ca-file ${own}/ca.pem ca-ignore-err all crt-ignore-err all
  http-request del-header Client-Cert
  http-request set-header Client-Cert :%[ssl_c_der,base64]: if { ssl_c_used }
  default_backend deputyd
backend deputyd
  server deputyd 127.0.0.1:${daemon.port} source ${PROXY}`;
});
suite.end(() => haproxy.stop());

const DNS = 'worker.example';
const own = clients.client('worker', { san: `DNS:${DNS},URI:spiffe://example/worker,IP:192.0.2.7,email:worker@example.org` });
const secure = ({ cert, key }) => ({ ca: server.pem, cert, key });
const over = (pair) => new Wire({ port: front, secure: pair ? secure(pair) : { ca: server.pem } });
const registered = (pair) => {
  const { publicKey, raw } = new X509Certificate(pair.cert);
  return { jwk: publicKey.export({ format: 'jwk' }), x5c: [raw.toString('base64')], header: `:${raw.toString('base64')}:` };
};
export const x5t = (pair) => createHash('sha256').update(new X509Certificate(pair.cert).raw).digest('base64url');

const make = async (auth, more, agent = world.worker) =>
  (await daemon.create('clients', { name: auth, auth, agent: agent.id, default_resource: RS1, ...more })).id;
const byName = await make('tls_client_auth', { tls_client_auth_subject_dn: 'CN=worker' });
const selfSigned = Authority.self(folder, 'self');
const byKey = await make('self_signed_tls_client_auth', { jwks: { keys: [registered(selfSigned).jwk] } });

// A request for a token as this client, shown this certificate, with these headers.
const ask = (id, pair, { pairs = {}, headers = [], wire = over(pair) } = {}) =>
  new Client(daemon, { id, auth: 'none', wire }).token({ client_id: id, scope: 'read', ...pairs }, { headers }).finally(() => wire.close());
const refused = (answer, label, error = 'invalid_client', status = 401) => ledger.refusal(answer, { status, error, label });

suite.row('the metadata lists what is configured, and nothing else', async () => {
  const { json } = await over(null).request({ path: '/.well-known/oauth-authorization-server' });
  for (const endpoint of ['token', 'introspection', 'revocation'])
    for (const method of ['tls_client_auth', 'self_signed_tls_client_auth'])
      check(json[`${endpoint}_endpoint_auth_methods_supported`].includes(method), `${endpoint}: ${method}`);
  const plain = await World.start();
  const other = (await plain.daemon.wire().request({ path: '/.well-known/oauth-authorization-server' })).json;
  equal(other.token_endpoint_auth_methods_supported.filter((one) => one.includes('tls')), [], 'without client_certificates');
  await plain.daemon.stop();
  // Without authorities nobody can vouch for a name: that method is not offered.
  const keys = await Daemon.start({ config: { client_certificates: 'proxy', client_certificates_from: `[${PROXY}]` } });
  const some = (await keys.wire().request({ path: '/.well-known/oauth-authorization-server' })).json;
  equal(some.token_endpoint_auth_methods_supported.filter((one) => one.includes('tls')), ['self_signed_tls_client_auth'], 'without client_ca_file');
  await keys.stop();
});

for (const [kind, good, bad] of [
  ['subject_dn', 'CN=worker', 'CN=work'],
  ['san_dns', DNS, 'other.example'],
  ['san_uri', 'spiffe://example/worker', 'spiffe://example/worker2'],
  ['san_ip', '192.0.2.7', '192.0.2.8'],
  ['san_email', 'worker@example.org', 'other@example.org'],
])
  suite.row(`T1 tls_client_auth by ${kind}`, async () => {
    const id = await make('tls_client_auth', { [`tls_client_auth_${kind}`]: good });
    const { claims } = decode(ledger.token(await ask(id, own), 'good'));
    equal([claims.client_id, claims.sub], [id, world.worker.id], 'whose');
    const record = daemon.audit().find((one) => one.jti === claims.jti);
    equal(record.detail, `client certificate ${x5t(own)}`, 'the record names the certificate');
    const other = await make('tls_client_auth', { [`tls_client_auth_${kind}`]: bad });
    refused(await ask(other, own), 'registered with another name');
    await daemon.admin('PATCH', `/clients/${other}`, { [`tls_client_auth_${kind}`]: good }, { want: 200 });
    ledger.token(await ask(other, own), 'its name mended');
  });

suite.row('T1 what is not the client\'s certificate gives nothing', async () => {
  for (const [label, pair] of [
    ['none', null],
    ['of another authority', strangers.client('worker')],
    ['of its own', Authority.self(folder, 'worker')],
    ['expired', clients.client('worker', { from: -3, until: -1 })],
    ['of the future', clients.client('worker', { from: 1, until: 2 })],
    ['for servers', clients.client('worker', { usage: 'serverAuth' })],
    ['of another client', clients.client('somebody')],
  ])
    refused(await ask(byName, pair), label);
  ledger.token(await ask(byName, own), 'twin');
});

suite.row('T2 self_signed_tls_client_auth: by key, by certificate', async () => {
  ledger.token(await ask(byKey, selfSigned), 'by its key');
  const fixed = await make('self_signed_tls_client_auth', { jwks: { keys: [{ ...registered(selfSigned).jwk, x5c: registered(selfSigned).x5c }] } });
  ledger.token(await ask(fixed, selfSigned), 'by its certificate');
  for (const id of [byKey, fixed]) {
    refused(await ask(id, own), 'an authority\'s word');
    refused(await ask(id, Authority.self(folder, `self-${id}`)), 'another key');
  }
});

suite.row('client_id says who it is, and a certificate is no method of clients that have another', async () => {
  const wire = over(own);
  refused(await new Client(daemon, { auth: 'none', wire }).token({ scope: 'read' }), 'no client_id');
  wire.close();
  refused(await ask(world.CB.id, own), 'a client with a secret');
  refused(await ask(world.C1.id, own), 'a client with a key');
  refused(await ask('01ARZ3NDEKTSV4RRFFQ69G5FAV', own), 'nobody');
  for (const client of [world.CB, world.CP, world.C1]) {
    const mine = over(own);
    ledger.token(await client.over(mine).token({ scope: 'read' }), 'another method beside a certificate');
    mine.close();
  }
  const secret = world.CB.over(over(own));
  secret.id = byName;
  refused(await secret.token({ scope: 'read' }), 'the secret of another');
  secret.wire.close();
});

suite.row('C29 the header from anybody but the proxy is as good as none', async () => {
  const { header } = registered(own);
  const names = ['Client-Cert', 'X-Client-Cert', 'X-SSL-Client-Cert', 'X-Forwarded-Client-Cert', 'Client-Cert-Chain'];
  for (const name of names) {
    refused(await ask(byName, null, { wire: daemon.wire(), headers: [[name, header]] }), `${name} from 127.0.0.1`);
    // The proxy takes it away.
    refused(await ask(byName, null, { headers: [[name, header]] }), `${name} through the proxy`);
  }
  refused(await ask(byName, null, { wire: daemon.wire({ localAddress: '127.0.0.2' }), headers: [['X-SSL-Client-Verify', 'SUCCESS']] }), 'X-SSL-Client-Verify');
  // Nor does what it says disturb anybody.
  ledger.token(await world.CB.token({ scope: 'read' }, { headers: [['Client-Cert', 'x'], ['Client-Cert', header]] }), 'a client with a secret');
  ledger.token(await ask(byName, own, { headers: [['Client-Cert', registered(selfSigned).header]] }), 'through the proxy, with a certificate');
  ledger.token(await ask(byName, null, { wire: daemon.wire({ localAddress: PROXY }), headers: [['Client-Cert', header]] }), 'twin: from the proxy\'s address');
});

suite.row('from the proxy: one header, in one of its two forms', async () => {
  const { header } = registered(own);
  const from = (...headers) => ask(byName, null, { wire: daemon.wire({ localAddress: PROXY }), headers: headers.map((one) => ['Client-Cert', one]) });
  refused(await from(), 'no header');
  for (const [label, ...headers] of [
    ['twice', header, header],
    ['a list', `${header}, ${header}`],
    ['parameters', `${header};a=1`],
    ['no colons', header.slice(1, -1)],
    ['PEM in one line', own.cert.replace(/\n/g, ' ')],
    ['two certificates, escaped', encodeURIComponent(own.cert + own.cert)],
    ['empty', ''],
    ['an empty sequence', '::'],
    ['stray bits', ':AB==:'],
  ])
    refused(await from(...headers), label, 'invalid_request', 400);
  for (const [label, bytes] of [
    ['garbage', Buffer.alloc(300, 7)],
    ['a part of one', Buffer.from(header.slice(1, -1), 'base64').subarray(0, 200)],
    ['one and a byte', Buffer.concat([Buffer.from(header.slice(1, -1), 'base64'), Buffer.from([0])])],
  ])
    refused(await from(`:${bytes.toString('base64')}:`), label);
  refused(await from(`:${Buffer.alloc(9000, 1).toString('base64')}:`), 'too large', 'invalid_request', 400);
  ledger.token(await from(header), 'twin');
  ledger.token(await from(encodeURIComponent(own.cert)), 'as nginx and Envoy write it');
});

suite.row('what may be registered', async () => {
  const base = { name: 'x', agent: world.worker.id };
  const { jwk, x5c } = registered(selfSigned);
  const other = registered(own);
  const twice = { tls_client_auth_subject_dn: 'CN=a', tls_client_auth_san_dns: 'a.example' };
  for (const [label, body] of [
    ['no name', { auth: 'tls_client_auth' }],
    ['two names', { auth: 'tls_client_auth', ...twice }],
    ['a blank name', { auth: 'tls_client_auth', tls_client_auth_san_dns: ' ' }],
    ['no DN', { auth: 'tls_client_auth', tls_client_auth_subject_dn: 'worker' }],
    ['a DN without a value', { auth: 'tls_client_auth', tls_client_auth_subject_dn: 'CN=,O=x' }],
    ['no address', { auth: 'tls_client_auth', tls_client_auth_san_ip: '192.0.2.0/24' }],
    ['a DNS name with a blank', { auth: 'tls_client_auth', tls_client_auth_san_dns: 'a b' }],
    ['a name beside a secret', { auth: 'client_secret_basic', tls_client_auth_san_dns: 'a.example' }],
    ['keys beside a name', { auth: 'tls_client_auth', tls_client_auth_san_dns: 'a.example', jwks: { keys: [jwk] } }],
    ['no keys', { auth: 'self_signed_tls_client_auth' }],
    ['an empty set', { auth: 'self_signed_tls_client_auth', jwks: { keys: [] } }],
    ['a certificate of another key', { auth: 'self_signed_tls_client_auth', jwks: { keys: [{ ...jwk, x5c: other.x5c }] } }],
    ['no certificate', { auth: 'self_signed_tls_client_auth', jwks: { keys: [{ ...jwk, x5c: ['AAAA'] }] } }],
    ['x5c as a text', { auth: 'self_signed_tls_client_auth', jwks: { keys: [{ ...jwk, x5c: x5c[0] }] } }],
  ])
    equal((await daemon.admin('POST', '/clients', { ...base, ...body })).status, 400, label);
  equal((await daemon.admin('POST', '/clients', { ...base, auth: 'self_signed_tls_client_auth', jwks: { keys: [{ ...jwk, x5c }] } })).status, 201, 'twin');
  equal((await daemon.admin('POST', '/clients', { ...base, auth: 'tls_client_auth', tls_client_auth_san_ip: '2001:db8::1' })).status, 201, 'twin');
  equal((await daemon.admin('POST', `/clients/${byName}/rotate-secret`, {})).status, 400, 'there is no secret to rotate');
});

suite.row('introspection and revocation take the same methods', async () => {
  const guard = (await daemon.create('clients', { name: 'guard', auth: 'tls_client_auth', resource: RS1, tls_client_auth_san_dns: DNS })).id;
  const token = ledger.token(await ask(byName, own), 'a token');
  const wire = over(own);
  const client = (id) => new Client(daemon, { id, auth: 'none', wire });
  equal((await client(guard).post('/oauth/introspect', [['token', token], ['client_id', guard]])).json.active, true, 'introspected');
  refused(await client(guard).post('/oauth/introspect', [['token', token]]), 'no client_id');
  equal((await client(byName).post('/oauth/revoke', [['token', token], ['client_id', byName]])).status, 200, 'revoked');
  equal((await client(guard).post('/oauth/introspect', [['token', token], ['client_id', guard]])).json.active, false, 'dead');
  wire.close();
});

suite.row('T3 tokens are bound to the certificate, and stay so', async () => {
  const other = clients.client('other', { san: 'DNS:other.example' });
  const id = await make('tls_client_auth', { tls_client_auth_subject_dn: 'CN=worker' });
  const answer = await ask(id, own);
  const token = ledger.token(answer, 'bound');
  equal([answer.json.token_type, decode(token).claims.cnf], ['Bearer', { 'x5t#S256': x5t(own) }], 'cnf');
  const seen = await world.R1.introspect(token);
  equal([seen.json.active, seen.json.token_type, seen.json.cnf], [true, 'Bearer', { 'x5t#S256': x5t(own) }], 'introspection');
  const exchange = (pair, more = {}) => ask(id, pair, { pairs: { grant_type: GRANT.exchange, subject_token: token, subject_token_type: TYPE.access, ...more } });
  const narrowed = ledger.token(await exchange(own), 'narrowed');
  equal(decode(narrowed).claims.cnf, { 'x5t#S256': x5t(own) }, 'still bound');
  // The certificate is renewed between issuing and exchange: the same client, another certificate.
  refused(await exchange(clients.client('worker')), 'another certificate of the same name', 'invalid_request', 400);
  refused(await exchange(other), 'another client\'s certificate');
  // Handed to another agent, whose client has a secret: it shows a certificate of its own, or a proof, or gets nothing.
  const handed = await ask(id, own, { pairs: { audience: world.helper.id } });
  const subject = ledger.token(handed, 'handed over');
  const delegate = async (pair, options = {}) => {
    const wire = over(pair);
    const client = world.CP.over(wire);
    return client.exchange(subject, { resource: RS1, scope: 'read' }, { proof: null, ...options }).finally(() => wire.close());
  };
  equal(decode(ledger.token(await delegate(other), 'a certificate of its own')).claims.cnf, { 'x5t#S256': x5t(other) }, 'bound to it');
  const key = Key.generate('ES256');
  const nonce = { proof: proof(key, { url: `${issuer}/oauth/token` }) };
  const first = await delegate(null, nonce);
  const again = first.status === 200 ? first : await delegate(null, { proof: proof(key, { url: `${issuer}/oauth/token`, nonce: first.header('dpop-nonce') }) });
  equal(decode(ledger.token(again, 'a key of its own')).claims.cnf, { jkt: key.kid }, 'bound to it');
  refused(await delegate(null), 'nothing', 'invalid_request', 400);
});

suite.row('T5 a client whose tokens must be bound brings its certificate', async () => {
  const { json } = await over(null).request({ path: '/.well-known/oauth-authorization-server' });
  equal(json.tls_client_certificate_bound_access_tokens, true, 'metadata');
  const strict = await world.client('strict', 'basic', { agent: world.worker, default_resource: RS1, needs_certificate: true });
  const take = (pair) => {
    const wire = over(pair);
    return strict.over(wire).token({ scope: 'read' }).finally(() => wire.close());
  };
  refused(await take(null), 'without', 'invalid_request', 400);
  equal(decode(ledger.token(await take(own), 'with')).claims.cnf, { 'x5t#S256': x5t(own) }, 'bound');
  equal(decode(ledger.token(await take(selfSigned), 'with any: it authenticates nobody here')).claims.cnf, { 'x5t#S256': x5t(selfSigned) }, 'bound');
  await daemon.admin('PATCH', `/clients/${strict.id}`, { needs_certificate: false }, { want: 200 });
  equal(decode(ledger.token(await take(own), 'not asked for')).claims.cnf, undefined, 'a mesh shows one for everybody');
});

suite.row('HUP: another proxy, another authority; a bad file keeps the old ones', async () => {
  const good = { ...daemon.config };
  const hup = async (change, said) => {
    daemon.writeConfig({ ...good, ...change });
    const from = daemon.process.stdout.length;
    daemon.process.child.kill('SIGHUP');
    for (;;) {
      const text = daemon.process.stdout.slice(from);
      if (/^deputyd (reloaded|kept).*\n/m.test(text)) return check(text.includes(said), () => text);
      await new Promise((resolve) => daemon.process.child.stdout.once('data', resolve));
    }
  };
  await hup({ client_certificates_from: '[127.0.0.8]' }, 'reloaded');
  refused(await ask(byName, own), 'the proxy is not trusted any more');
  await hup({ client_ca_file: strangers.cert }, 'reloaded');
  refused(await ask(byName, own), 'nor the authority');
  ledger.token(await ask(byName, strangers.client('worker')), 'but another');
  await hup({ client_ca_file: leaf.certFile }, 'kept its configuration: client_ca_file');
  await hup({ client_ca_file: '/nowhere' }, 'kept its configuration: client_ca_file /nowhere');
  await hup({ client_certificates_from: '[]' }, 'client_certificates_from is missing');
  ledger.token(await ask(byName, strangers.client('worker')), 'still');
  await hup({}, 'reloaded');
  ledger.token(await ask(byName, own), 'as before');
});

suite.row('nginx in front: what its variable writes is taken', async () => {
  if (!nginxFile()) skip('nginx is not installed');
  const dir = fs.mkdtempSync(path.join(folder, 'nginx-'));
  const port = await freePort();
  fs.writeFileSync(path.join(dir, 'cert.pem'), leaf.cert);
  fs.writeFileSync(path.join(dir, 'key.pem'), leaf.key, { mode: 0o600 });
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${dir}/${name};`);
  fs.writeFileSync(path.join(dir, 'nginx.conf'), `daemon off; ${process.getuid() === 0 ? 'user root;' : ''} worker_processes 1; pid ${dir}/pid; error_log ${dir}/error.log;
events {}
http {
  access_log off; ${temporary.join(' ')}
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${dir}/cert.pem; ssl_certificate_key ${dir}/key.pem;
    ssl_verify_client optional_no_ca;
    location / {
      proxy_pass http://127.0.0.1:${daemon.port};
      proxy_bind ${PROXY};
      proxy_set_header Host $host:$server_port;
      proxy_set_header Client-Cert $ssl_client_escaped_cert;
    }
  }
}
`);
  const nginx = new Process(nginxFile(), ['-c', path.join(dir, 'nginx.conf'), '-p', dir, '-e', path.join(dir, 'error.log')], { cwd: dir });
  await isOpen(port, nginx);
  const through = (pair) => new Wire({ port, secure: pair ? secure(pair) : { ca: server.pem } });
  try {
    ledger.token(await ask(byName, own, { wire: through(own) }), 'by name');
    ledger.token(await ask(byKey, selfSigned, { wire: through(selfSigned) }), 'by key');
    refused(await ask(byName, selfSigned, { wire: through(selfSigned) }), 'another certificate');
    refused(await ask(byName, null, { wire: through(null), headers: [['Client-Cert', registered(own).header]] }), 'a header of the client\'s own');
  } finally {
    await nginx.kill('SIGQUIT');
  }
});

suite.row('a proxy on the same host: whoever is let to the Unix socket', async () => {
  const dir = fs.mkdtempSync(path.join(folder, 'unix-'));
  const at = path.join(dir, 'deputyd.sock');
  const two = await Daemon.start({ config: { issuer, listen: `unix:${at}`, client_certificates: 'proxy', client_certificates_from: '[unix]', client_ca_file: clients.cert } });
  const agent = await two.create('agents', { name: 'worker', owner: 'team@example', org: 'org1', ceiling: [] });
  await two.create('resources', { id: RS1, name: 'first', scopes: ['read'] });
  await two.admin('PATCH', `/agents/${agent.id}`, { ceiling: [{ resource: RS1, scopes: ['read'] }] }, { want: 200 });
  const { id } = await two.create('clients', { name: 'c', auth: 'tls_client_auth', agent: agent.id, default_resource: RS1, tls_client_auth_subject_dn: 'CN=worker' });
  const local = (headers) => {
    const wire = new Wire({ socketPath: at });
    return new Client(two, { id, auth: 'none', wire }).token({ client_id: id, scope: 'read' }, { headers }).finally(() => wire.close());
  };
  equal((await local([['Client-Cert', registered(own).header]])).status, 200, 'the header counts');
  equal((await local([['Client-Cert', registered(strangers.client('worker')).header]])).status, 401, 'another authority');
  equal((await local([])).status, 401, 'no header');
  await two.stop();
});

suite.row('every refusal has one record', async () => {
  check(ledger.settle(daemon).length > 80, 'records');
});

await suite.run();
