// The consent page in a real browser, behind a real proxy that logs the user in: what is seen, what a click does, what the policy refuses.
import crypto from 'node:crypto';
import http from 'node:http';
import { Browser, hasBrowser } from '../lib/browser.mjs';
import { decode } from '../lib/forge.mjs';
import { Idp } from '../lib/idp.mjs';
import { Nginx, needsNginx } from '../lib/nginx.mjs';
import { Suite, check, equal, skip } from '../lib/tap.mjs';
import { freePort } from '../lib/wire.mjs';
import { RS1, World } from '../lib/world.mjs';

const suite = new Suite('consent in a browser');
needsNginx(suite);
const port = await freePort();
const issuer = `http://127.0.0.1:${port}`;
const world = await World.start({ config: { issuer, login_header: 'X-Login-Jwt', login_from: '[127.0.0.1]' } });
const { daemon } = world;
const idp = await Idp.start();
let proxy = null;
let browser = null;
let app = null;
const came = []; // what the client's own address was told
const client = http.createServer((request, response) => {
  const url = new URL(request.url, 'http://client');
  if (url.pathname === '/callback') came.push({ url, referer: request.headers.referer });
  response.writeHead(200, { 'Content-Type': 'text/html' });
  response.end(url.pathname === '/frame' ? `<iframe id="frame" src="${url.searchParams.get('of').replace(/&/g, '&amp;')}"></iframe>` : '<h1>back</h1>');
});
await new Promise((resolve) => client.listen(0, '127.0.0.1', resolve));
const callback = `http://127.0.0.1:${client.address().port}/callback`;
suite.end(() => idp.down());
suite.end(() => daemon.stop());
suite.end(() => client.close());
suite.end(() => proxy?.stop());
suite.end(() => browser?.stop());

const verifier = crypto.randomBytes(32).toString('base64url');

function question(more = {}) {
  const url = new URL(`${issuer}/oauth/authorize`);
  url.search = new URLSearchParams({
    client_id: app.id, response_type: 'code', redirect_uri: callback, resource: RS1, scope: 'read', state: 'a "state" & more',
    code_challenge: crypto.createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256', ...more,
  });
  return url.href;
}

suite.row('a user reads who asks, says yes, and is back at the client with a code that is good', async () => {
  if (!hasBrowser()) skip('chromium and chromium-driver are not installed');
  await daemon.create('issuers', { id: idp.issuer, name: 'corp', org: 'org1', uses: ['login'], ceiling: [{ resource: RS1, scopes: ['read'] }] });
  app = await daemon.create('clients', { name: 'desktop <app>', auth: 'none', agent: world.orchestrator.id, redirect_uris: ['http://127.0.0.1/callback'] });
  const login = idp.token({ aud: issuer, claims: { sub: 'bob' } });
  proxy = await Nginx.start({ port, server: () => `
    location / { proxy_pass http://127.0.0.1:${daemon.port}; proxy_set_header Host $http_host; proxy_set_header X-Login-Jwt ""; }
    location = /oauth/authorize { proxy_pass http://127.0.0.1:${daemon.port}; proxy_set_header Host $http_host; proxy_set_header X-Login-Jwt ${login}; }
    location = /oauth/consent { proxy_pass http://127.0.0.1:${daemon.port}; proxy_set_header Host $http_host; proxy_set_header X-Login-Jwt ${login}; }` });
  browser = await Browser.start();
  await browser.open(question());
  equal(await browser.text('h1'), 'May this agent act for you?', 'the question');
  const facts = await browser.text('dl');
  for (const part of ['user:corp:bob', 'orchestrator', 'desktop <app>', RS1, 'read', '127.0.0.1', 'a program on this computer']) check(facts.includes(part), `${part}: ${facts}`);
  equal(await browser.style('dt', 'font-weight'), '600', 'the policy lets the style in');
  await browser.click('button[value=yes]');
  await browser.arrive(callback);
  equal([await browser.text('h1'), new URL(await browser.url()).pathname], ['back', '/callback'], 'the policy lets the answer through');
  equal(await browser.console(), [], 'nothing was refused');
  const { url, referer } = came.at(-1);
  equal([url.searchParams.get('state'), url.searchParams.get('iss'), referer], ['a "state" & more', issuer, undefined], 'state, iss, and no referrer');
  const answer = await fetch(`${issuer}/oauth/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'authorization_code', client_id: app.id, code: url.searchParams.get('code'), code_verifier: verifier, redirect_uri: callback }) });
  const { claims } = decode((await answer.json()).access_token);
  equal([claims.sub, claims.act, claims.scope, claims.aud], ['user:corp:bob', { sub: world.orchestrator.id }, 'read', RS1], 'the token');
});

suite.row('a user says no, and the client learns that', async () => {
  if (!browser) skip('no browser');
  await browser.open(question());
  await browser.click('button[value=no]');
  await browser.arrive(callback);
  equal([await browser.text('h1'), came.at(-1).url.searchParams.get('error')], ['back', 'access_denied'], 'no');
});

suite.row('what must not go to a client stays here, as a page that says what is wrong', async () => {
  if (!browser) skip('no browser');
  const before = came.length;
  await browser.open(question({ redirect_uri: callback.replace('callback', 'other') }));
  equal([await browser.text('h1'), new URL(await browser.url()).origin], ['This did not work', issuer], 'here');
  check((await browser.text('p')).includes('redirect_uri'), 'why');
  equal(came.length, before, 'the client was told nothing');
});

suite.row('E23 the page is in nobody\'s frame', async () => {
  if (!browser) skip('no browser');
  await browser.open(`${callback.replace('callback', 'frame')}?${new URLSearchParams({ of: question() })}`);
  await browser.intoFrame('#frame');
  check(!(await browser.text('body')).includes('act for you'), 'nothing is shown');
  check((await browser.console()).some((message) => /frame-ancestors|X-Frame-Options/.test(message)), 'refused by the policy');
});

await suite.run();
