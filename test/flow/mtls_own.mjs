// deputyd ends TLS itself and asks for certificates (RFC 8705): real handshakes, authorities made by openssl, unmodified client libraries.
import fs from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { X509Certificate, createHash } from 'node:crypto';
import tls from 'node:tls';
import { oauth, openid } from '../interop/packages.mjs';
import { Authority, hasOpenssl } from '../lib/authority.mjs';
import { Client, GRANT, TYPE } from '../lib/client.mjs';
import { Process, program } from '../lib/daemon.mjs';
import { decode } from '../lib/forge.mjs';
import { Ledger } from '../lib/ledger.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { RS1, World } from '../lib/world.mjs';
import { Wire, freePort } from '../lib/wire.mjs';

if (!hasOpenssl) {
  console.log('TAP version 13\n1..0 # SKIP openssl is not installed');
  process.exit(0);
}

const suite = new Suite('mTLS of our own');
const ledger = new Ledger();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
suite.end(() => fs.rmSync(folder, { recursive: true, force: true }));
const server = new Authority(folder, 'server-ca');
const clients = new Authority(folder, 'client-ca');
const strangers = new Authority(folder, 'other-ca');
const file = (name) => path.join(folder, name);
function install(pair) {
  fs.writeFileSync(file('server.pem'), pair.cert);
  fs.writeFileSync(file('server.key'), pair.key, { mode: 0o600 });
}
install(server.leaf('IP:127.0.0.1'));

const port = await freePort();
const issuer = `https://127.0.0.1:${port}`;
const config = { issuer, tls_certificate_file: file('server.pem'), tls_key_file: file('server.key'), client_certificates: 'tls', client_ca_file: clients.cert };
const world = await World.start({ config, port });
const { daemon } = world;
daemon.issuer = issuer;
suite.end(() => daemon.stop());

const over = (pair, more = {}) => new Wire({ port, secure: { ca: server.pem, ...(pair ? { cert: pair.cert, key: pair.key } : {}), ...more } });
const x5t = (pair) => createHash('sha256').update(new X509Certificate(pair.cert).raw).digest('base64url');
const own = clients.client('worker', { san: 'DNS:worker.example' });
const selfSigned = Authority.self(folder, 'self');
const make = async (auth, more) => (await daemon.create('clients', { name: auth, auth, agent: world.worker.id, default_resource: RS1, ...more })).id;
const byName = await make('tls_client_auth', { tls_client_auth_san_dns: 'worker.example' });
const byKey = await make('self_signed_tls_client_auth', { jwks: { keys: [new X509Certificate(selfSigned.cert).publicKey.export({ format: 'jwk' })] } });

const ask = (id, pair, { pairs = {}, headers = [], wire = over(pair) } = {}) =>
  new Client(daemon, { id, auth: 'none', wire }).token({ client_id: id, scope: 'read', ...pairs }, { headers }).finally(() => wire.close());
const refused = (answer, label, error = 'invalid_client', status = 401) => ledger.refusal(answer, { status, error, label });

suite.row('T1, T2, T3: by name and authority, by key; bound to the certificate', async () => {
  for (const [id, pair] of [[byName, own], [byKey, selfSigned]]) {
    const answer = await ask(id, pair);
    const { claims } = decode(ledger.token(answer, id));
    equal([answer.json.token_type, claims.iss, claims.client_id, claims.cnf], ['Bearer', issuer, id, { 'x5t#S256': x5t(pair) }], 'token');
  }
  for (const [label, pair] of [
    ['none', null],
    ['of another authority', strangers.client('worker', { san: 'DNS:worker.example' })],
    ['of its own', selfSigned],
    ['expired', clients.client('worker', { san: 'DNS:worker.example', from: -3, until: -1 })],
    ['for servers', clients.client('worker', { san: 'DNS:worker.example', usage: 'serverAuth' })],
    ['of another client', clients.client('other', { san: 'DNS:other.example' })],
  ])
    refused(await ask(byName, pair), label);
  refused(await ask(byKey, own), 'an authority\'s word for a key');
  ledger.token(await ask(byName, own), 'twin');
});

suite.row('C29 no header says anything here', async () => {
  const header = `:${new X509Certificate(own.cert).raw.toString('base64')}:`;
  for (const name of ['Client-Cert', 'X-Client-Cert', 'X-SSL-Client-Cert', 'X-Forwarded-Client-Cert']) {
    refused(await ask(byName, null, { headers: [[name, header]] }), name);
    refused(await ask(byName, selfSigned, { headers: [[name, header]] }), `${name} beside another certificate`);
  }
  ledger.token(await ask(byName, own, { headers: [['Client-Cert', 'garbage'], ['Client-Cert', 'more']] }), 'twin');
});

suite.row('one connection, many requests: the certificate is that of the connection', async () => {
  const wire = over(own);
  const client = new Client(daemon, { id: byName, auth: 'none', wire });
  const token = ledger.token(await client.token({ client_id: byName, scope: 'read' }), 'first');
  for (let i = 0; i < 5; i += 1) ledger.token(await client.token({ client_id: byName, scope: 'read' }), `${i}`);
  const exchange = { client_id: byName, grant_type: GRANT.exchange, subject_token: token, subject_token_type: TYPE.access };
  equal(decode(ledger.token(await client.token(exchange), 'narrowed')).claims.cnf, { 'x5t#S256': x5t(own) }, 'bound');
  wire.close();
  // Swapped between issuing and exchange.
  const renewed = clients.client('worker', { san: 'DNS:worker.example' });
  refused(await ask(byName, renewed, { pairs: exchange }), 'another certificate of the same client', 'invalid_request', 400);
  const active = await world.R1.over(over(null)).introspect(token);
  equal([active.json.active, active.json.cnf], [true, { 'x5t#S256': x5t(own) }], 'introspection');
});

suite.row('clients without a certificate are served as ever', async () => {
  const wire = over(null);
  ledger.token(await world.CB.over(wire).token({ scope: 'read' }), 'a secret');
  ledger.token(await world.C1.over(wire).token({ scope: 'read' }), 'a key');
  const { json } = await wire.request({ path: '/.well-known/oauth-authorization-server' });
  equal([json.issuer, json.tls_client_certificate_bound_access_tokens, json.mtls_endpoint_aliases], [issuer, true, undefined], 'metadata');
  for (const method of ['tls_client_auth', 'self_signed_tls_client_auth']) check(json.token_endpoint_auth_methods_supported.includes(method), method);
  wire.close();
});

// fetch() by Node's https, with this certificate: what both libraries are given.
const fetchWith = (pair) => {
  const agent = new https.Agent({ ca: server.pem, cert: pair.cert, key: pair.key });
  return (url, options) => new Promise((resolve, reject) => {
    const request = https.request(url, { agent, method: options.method, headers: Object.fromEntries(new Headers(options.headers)) }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk)).on('error', reject).on('end', () => {
        agent.destroy();
        resolve(new Response(Buffer.concat(chunks), { status: response.statusCode, headers: response.headers }));
      });
    });
    request.on('error', reject);
    request.end(options.body === undefined ? undefined : String(options.body));
  });
};

suite.row('oauth4webapi with TlsClientAuth()', async () => {
  const options = { [oauth.customFetch]: fetchWith(own) };
  const url = new URL(issuer);
  const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...options }));
  const client = { client_id: byName };
  const parameters = new URLSearchParams({ scope: 'read' });
  const got = await oauth.processClientCredentialsResponse(as, client,
    await oauth.clientCredentialsGrantRequest(as, client, oauth.TlsClientAuth(), parameters, options));
  equal(decode(got.access_token).claims.cnf, { 'x5t#S256': x5t(own) }, 'bound');
  const request = await oauth.revocationRequest(as, client, oauth.TlsClientAuth(), got.access_token, options);
  equal(await oauth.processRevocationResponse(request), undefined, 'revoked');
  const wrong = { [oauth.customFetch]: fetchWith(selfSigned) };
  const failed = await oauth.clientCredentialsGrantRequest(as, client, oauth.TlsClientAuth(), parameters, wrong);
  await oauth.processClientCredentialsResponse(as, client, failed).then(() => check(false, 'taken'), (error) => equal(error.error, 'invalid_client', 'another certificate'));
});

suite.row('openid-client with TlsClientAuth()', async () => {
  const one = await openid.discovery(new URL(issuer), byKey, {}, openid.TlsClientAuth(), { algorithm: 'oauth2', [openid.customFetch]: fetchWith(selfSigned) });
  const got = await openid.clientCredentialsGrant(one, { scope: 'read' });
  equal(decode(got.access_token).claims.cnf, { 'x5t#S256': x5t(selfSigned) }, 'bound');
});

const cli = async (...args) => {
  const run = new Process(program('deputy'), [...args, '--url', issuer, '--format', 'json'], { cwd: folder });
  const { code } = await run.ended;
  return { code, out: run.stdout, err: run.stderr, json: run.stdout.startsWith('{') ? JSON.parse(run.stdout) : null };
};

suite.row('the command as a client with a certificate', async () => {
  const ca = ['--ca', server.cert];
  const shown = [...ca, '--cert', own.certFile, '--cert-key', `file:${own.keyFile}`];
  const key = file('own-copy.key');
  fs.writeFileSync(key, own.key, { mode: 0o644 });
  fs.chmodSync(own.keyFile, 0o600);
  fs.chmodSync(selfSigned.keyFile, 0o600);
  const get = (...args) => cli('token', 'get', '--client', byName, '--scope', 'read', ...args);
  const got = await get(...shown, '--out', file('bound.token'));
  equal(got.code, 0, got.err);
  const token = fs.readFileSync(file('bound.token'), 'utf8').trim();
  equal(decode(token).claims.cnf, { 'x5t#S256': x5t(own) }, 'bound');
  const narrowed = await cli('token', 'exchange', '--client', byName, ...shown, '--subject-token', `file:${file('bound.token')}`, '--raw');
  equal(narrowed.code, 0, narrowed.err);
  equal(decode(narrowed.out.trim()).claims.cnf, { 'x5t#S256': x5t(own) }, 'still bound');
  const guard = (await daemon.create('clients', { name: 'guard', auth: 'tls_client_auth', resource: RS1, tls_client_auth_san_dns: 'worker.example' })).id;
  const seen = await cli('token', 'introspect', '--client', guard, ...shown, '--token', `file:${file('bound.token')}`);
  equal([seen.code, seen.json?.active], [0, true], seen.err);
  equal((await cli('token', 'verify', `file:${file('bound.token')}`, ...ca)).code, 0, 'verified');
  equal((await cli('token', 'revoke', '--client', byName, ...shown, '--token', `file:${file('bound.token')}`)).code, 0, 'revoked');
  const strict = await world.client('cli-strict', 'basic', { agent: world.worker, default_resource: RS1, needs_certificate: true });
  fs.writeFileSync(file('secret'), strict.secret, { mode: 0o600 });
  const both = await cli('token', 'get', '--client', strict.id, '--secret', `file:${file('secret')}`, '--scope', 'read', ...shown, '--raw');
  equal(decode(both.out.trim()).claims.cnf, { 'x5t#S256': x5t(own) }, 'a secret, bound to the certificate');
  for (const [label, want, said, args] of [
    ['no certificate', 2, '--cert', ca],
    ['no key', 2, '--cert-key', [...ca, '--cert', own.certFile]],
    ['a key that others may read', 2, 'too open', [...ca, '--cert', own.certFile, '--cert-key', `file:${key}`]],
    ['a key on the command line', 2, '', [...ca, '--cert', own.certFile, '--cert-key', own.key]],
    ['a key of another certificate', 2, 'not of each other', [...ca, '--cert', own.certFile, '--cert-key', `file:${selfSigned.keyFile}`]],
    ['another certificate', 4, 'invalid_client', [...ca, '--cert', selfSigned.certFile, '--cert-key', `file:${selfSigned.keyFile}`]],
    ['an authority that is not the server\'s', 6, '', ['--ca', clients.cert, '--cert', own.certFile, '--cert-key', `file:${own.keyFile}`]],
  ]) {
    const { code, err, out } = await get(...args);
    check(code === want && err.includes(said), () => `${label}: ${code} ${err}`);
    check(!(err + out).includes(own.key.split('\n')[1]), `${label}: shows the key`);
  }
  const printed = await get(...shown, '--print-curl');
  check(printed.out.includes(`--cert '${own.certFile}'`) && !printed.out.includes(own.keyFile), printed.out);
});

suite.row('the command registers clients by the name in their certificate, and changes it', async () => {
  const admin = (...args) => cli('client', ...args, '--socket', daemon.socket);
  const create = (...more) => admin('create', '--agent', world.worker.id, '--auth', 'tls_client_auth', '--default-resource', RS1, ...more);
  const made = await create('--tls-san-dns', 'nobody.example', '--needs-certificate');
  equal([made.code, made.json?.tls_client_auth_san_dns, made.json?.needs_certificate], [0, 'nobody.example', true], made.err);
  equal(made.json.client_secret, undefined, 'there is no secret');
  const { id } = made.json;
  refused(await ask(id, own), 'another name');
  // One name takes the place of the other, whatever kind it was.
  for (const [flag, value, member] of [['--tls-san-uri', 'spiffe://example/x', 'tls_client_auth_san_uri'], ['--tls-subject-dn', 'cn = worker', 'tls_client_auth_subject_dn']]) {
    const changed = await admin('update', id, flag, value);
    equal(changed.code, 0, changed.err);
    const record = (await daemon.admin('GET', `/clients/${id}`)).json;
    equal(Object.keys(record).filter((name) => name.startsWith('tls_')), [member], 'names');
    equal(record[member], value, 'as it was written');
  }
  ledger.token(await ask(id, own), 'its name now');
  for (const more of [[], ['--tls-san-dns', 'a.example', '--tls-san-ip', '192.0.2.1'], ['--tls-san-ip', '192.0.2']]) equal((await create(...more)).code !== 0, true, more.join(' '));
});

suite.row('the command calls with a bound token: an agent registers another below itself', async () => {
  const rights = [{ resource: issuer, scopes: ['agents:create'] }, { resource: RS1, scopes: ['read'] }];
  const maker = await world.agent('maker', rights);
  const id = (await daemon.create('clients', { name: 'maker', auth: 'tls_client_auth', agent: maker.id, tls_client_auth_subject_dn: 'CN=worker' })).id;
  const shown = ['--ca', server.cert, '--cert', own.certFile, '--cert-key', `file:${own.keyFile}`];
  const got = await cli('token', 'get', '--client', id, '--audience', issuer, '--scope', 'agents:create', ...shown, '--out', file('maker.token'));
  equal(got.code, 0, got.err);
  const call = (...how) => cli('call', `${issuer}/oauth/agents`, '--token', `file:${file('maker.token')}`, '--header', 'Content-Type: application/x-www-form-urlencoded',
    '--body', `name=finder&ceiling=${encodeURIComponent(JSON.stringify([rights[1]]))}`, ...how);
  equal((await call('--ca', server.cert)).code, 4, 'without the certificate');
  equal((await call('--ca', server.cert, '--cert', selfSigned.certFile, '--cert-key', `file:${selfSigned.keyFile}`)).code, 4, 'with another');
  const made = await call(...shown);
  equal([made.code, made.json?.parent], [0, maker.id], made.err);
  equal((await daemon.admin('GET', `/clients/${made.json.client_id}`)).json.needs_dpop, true, 'what grows from it is bound');
});

suite.row('K35 older versions of TLS are not spoken', async () => {
  const connect = (options) => new Promise((resolve) => {
    const socket = tls.connect({ port, host: '127.0.0.1', ca: server.pem, ...options }, () => {
      const version = socket.getProtocol();
      socket.destroy();
      resolve(version);
    });
    socket.on('error', (error) => resolve(error.code));
  });
  equal([await connect({}), await connect({ maxVersion: 'TLSv1.2' })], ['TLSv1.3', 'TLSv1.2'], 'spoken');
  check(!/^TLS/.test(await connect({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' })), 'TLS 1.1');
  check(!/^TLS/.test(await connect({ maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA:AES256-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA' })), 'CBC');
});

suite.row('HUP: a new certificate for new connections; a bad one keeps the old', async () => {
  const shown = () => new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', ca: server.pem }, () => {
      resolve(socket.getPeerX509Certificate().fingerprint256);
      socket.destroy();
    });
    socket.on('error', reject);
  });
  const hup = async (said) => {
    const from = daemon.process.stdout.length;
    daemon.process.child.kill('SIGHUP');
    for (;;) {
      const text = daemon.process.stdout.slice(from);
      if (/^deputyd (reloaded|kept).*\n/m.test(text)) return check(text.includes(said), () => text);
      await new Promise((resolve) => daemon.process.child.stdout.once('data', resolve));
    }
  };
  const open = over(own);
  const client = new Client(daemon, { id: byName, auth: 'none', wire: open });
  ledger.token(await client.token({ client_id: byName, scope: 'read' }), 'before');
  const before = await shown();
  const next = server.leaf('IP:127.0.0.1');
  install(next);
  await hup('reloaded');
  equal(await shown(), new X509Certificate(next.cert).fingerprint256, 'the new one');
  check(before !== new X509Certificate(next.cert).fingerprint256, 'which is another');
  ledger.token(await client.token({ client_id: byName, scope: 'read' }), 'the open connection goes on');
  open.close();
  fs.writeFileSync(file('server.key'), server.leaf('IP:127.0.0.1').key);
  await hup('kept its configuration: tls_certificate_file');
  fs.writeFileSync(file('server.key'), next.key);
  fs.chmodSync(file('server.key'), 0o640);
  await hup('kept its configuration: ');
  fs.chmodSync(file('server.key'), 0o600);
  fs.writeFileSync(file('server.pem'), 'no certificate\n');
  await hup('kept its configuration: tls_certificate_file');
  equal(await shown(), new X509Certificate(next.cert).fingerprint256, 'still the new one');
  fs.writeFileSync(file('server.pem'), next.cert);
  daemon.writeConfig({ ...daemon.config, client_certificates: 'none', client_ca_file: undefined });
  fs.writeFileSync(daemon.configFile, fs.readFileSync(daemon.configFile, 'utf8').replace(/^client_.*\n/gm, ''));
  await hup('need a restart');
  daemon.writeConfig(daemon.config);
  await hup('reloaded');
  ledger.token(await ask(byName, own), 'as before');
});

suite.row('a key that others may read, files that do not fit: it does not start, and says why', async () => {
  const start = async (change, prepare) => {
    const own = fs.mkdtempSync(path.join(folder, 'start-'));
    const at = (name) => path.join(own, name);
    const pair = server.leaf('IP:127.0.0.1');
    fs.writeFileSync(at('c.pem'), pair.cert);
    fs.writeFileSync(at('c.key'), pair.key, { mode: 0o600 });
    prepare?.(at);
    const lines = { issuer: 'https://127.0.0.1:1', listen: '127.0.0.1:0', data_dir: at('data'), tls_certificate_file: at('c.pem'), tls_key_file: at('c.key'), ...change };
    fs.writeFileSync(at('d.yaml'), Object.entries(lines).map(([key, value]) => `${key}: ${value}\n`).join(''));
    const run = new Process(program('deputyd'), ['--config', at('d.yaml')], { cwd: own });
    const said = await Promise.race([run.ended.then(() => run.stderr), run.until(/^deputyd ready/m).then(() => 'ready', () => run.stderr)]);
    if (!run.exit) await run.kill('SIGTERM');
    check(!said.includes('PRIVATE'), 'no key is shown');
    return said;
  };
  equal(await start({}), 'ready', 'the good one');
  check(/permissions 0644 are too open/.test(await start({}, (at) => fs.chmodSync(at('c.key'), 0o644))), 'mode');
  check(/not of each other/.test(await start({}, (at) => fs.writeFileSync(at('c.key'), own.key))), 'another key');
  check(/No such file/.test(await start({ tls_certificate_file: '/nowhere' })), 'no file');
  check(/client_ca_file/.test(await start({ client_certificates: 'tls', client_ca_file: file('server.pem') })), 'no authority');
});

suite.row('every refusal has one record', async () => {
  check(ledger.settle(daemon).length > 40, 'records');
});

await suite.run();
