// The SDK's own MCP client with its DPoP session, unmodified, through the nginx module to the SDK's own MCP server: discovery from the
// 401, a token by client_credentials with private_key_jwt, a proof for each request, answers as a stream of events.
import crypto from 'node:crypto';
import http from 'node:http';
import { NodeStreamableHTTPServerTransport, mcp, mcpServer } from '../interop/packages.mjs';
import { decode } from '../lib/forge.mjs';
import { Nginx, needsNginx } from '../lib/nginx.mjs';
import { Suite, check, equal } from '../lib/tap.mjs';
import { freePort } from '../lib/wire.mjs';
import { World } from '../lib/world.mjs';

const STEPS = 3;
const suite = new Suite('mcp through nginx');
needsNginx(suite);
const world = await World.start();
const { daemon } = world;
const seen = [];
const sessions = new Map();

function makeServer(identity) {
  const server = new mcpServer.McpServer({ name: 'test', version: '1' });
  server.registerTool('whoami', { description: 'who calls' }, async () => ({ content: [{ type: 'text', text: JSON.stringify(identity) }] }));
  server.registerTool('count', { description: 'counts, telling each step' }, async (ctx) => {
    const { progressToken } = ctx.mcpReq._meta;
    for (let progress = 1; progress <= STEPS; progress += 1)
      await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: STEPS } });
    return { content: [{ type: 'text', text: 'done' }] };
  });
  return server;
}

const identityOf = (headers) => Object.fromEntries(['subject', 'client', 'scope', 'audience'].map((name) => [name, headers[`deputy-${name}`]]));

const upstream = http.createServer(async (request, response) => {
  seen.push({ method: request.method, headers: request.headers });
  let transport = sessions.get(request.headers['mcp-session-id']);
  if (!transport) {
    transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (id) => sessions.set(id, transport),
    });
    await makeServer(identityOf(request.headers)).connect(transport);
  }
  await transport.handleRequest(request, response);
});
await new Promise((resolve) => upstream.listen(0, '127.0.0.1', resolve));
const port = await freePort();
const resource = `http://127.0.0.1:${port}/mcp`;
let nginx = null;
let agent = null;
let machine = null;

suite.end(async () => {
  upstream.closeAllConnections();
  upstream.close();
  await daemon.stop();
});
suite.end(async () => {
  if (nginx) await nginx.stop();
});

suite.row('the guard stands before the server', async () => {
  await daemon.create('resources', { id: resource, name: 'mcp', scopes: ['tools'], default_scopes: ['tools'] });
  agent = await world.agent('mcp agent', [{ resource, scopes: ['tools'] }]);
  machine = await world.client('mcp client', 'jwt', { agent, needs_dpop: true, default_resource: resource });
  const guard = await world.client('mcp guard', 'basic', { resource });
  nginx = await Nginx.start({
    port,
    workers: 2,
    server: (one) => `
    location /mcp {
      deputy_resource ${resource};
      deputy_issuer ${world.issuer};
      deputy_client_id ${guard.id};
      deputy_client_secret ${one.secret('guard.secret', guard.secret)};
      deputy_audit_log ${one.log};
      deputy_loopback on;
      deputy_scope tools;
      deputy_require_dpop on;
      proxy_pass http://127.0.0.1:${upstream.address().port};
      proxy_http_version 1.1;
      proxy_buffering off;
    }`,
  });
  // The guard is ready when it says 401 and no more 503.
  await nginx.until(async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => fetch(resource, { method: 'POST', headers: { Connection: 'close' } })));
    return answers.every((answer) => answer.status === 401);
  }, 'ready');
  equal(seen.length, 0, 'nothing got through');
});

// What came back, as the client sees it.
const types = [];
const watch = async (url, init) => {
  const response = await fetch(url, init);
  types.push(response.headers.get('content-type'));
  return response;
};

async function connect() {
  const session = await mcp.DpopSession.create();
  const authProvider = new mcp.PrivateKeyJwtProvider({
    clientId: machine.id,
    privateKey: machine.key.privateKey.export({ format: 'pem', type: 'pkcs8' }),
    algorithm: 'ES256',
    expectedIssuer: world.issuer,
  });
  authProvider.dpop = () => session; // how the SDK is told to bind tokens
  const client = new mcp.Client({ name: 'test', version: '1' });
  await client.connect(new mcp.StreamableHTTPClientTransport(new URL(resource), { authProvider, fetch: watch }));
  return { client, session, authProvider };
}

suite.row('the client finds the server by the 401, gets a bound token and calls tools', async () => {
  const { client, session, authProvider } = await connect();
  equal((await client.listTools()).tools.map((tool) => tool.name).sort(), ['count', 'whoami'], 'tools');
  const result = await client.callTool({ name: 'whoami', arguments: {} });
  equal(JSON.parse(result.content[0].text), { subject: agent.id, client: machine.id, scope: 'tools', audience: resource }, 'who calls');
  const { claims } = decode((await authProvider.tokens()).access_token);
  equal([claims.aud, claims.cnf.jkt], [resource, session.thumbprint], 'the token is bound to the session');
  check(seen.every((one) => !one.headers.authorization && !one.headers.dpop), 'no credential reaches the server');
  check(seen.every((one) => one.headers['deputy-subject'] === agent.id), 'each request says who');
  await client.close();
});

suite.row('progress comes as a stream of events, each request with its own proof', async () => {
  const { client } = await connect();
  types.length = 0;
  const steps = [];
  const result = await client.callTool({ name: 'count', arguments: {} }, { onprogress: ({ progress }) => steps.push(progress) });
  equal([steps, result.content[0].text], [[1, 2, 3], 'done'], 'steps before the result');
  check(types.some((type) => /^text\/event-stream/.test(type)), `as a stream: ${types}`);
  const decisions = seen.map((one) => one.headers['deputy-decision']);
  equal(new Set(decisions).size, decisions.length, 'one decision for each request');
  await client.close();
});

suite.row('a client whose agent is banned is refused in the middle of its session', async () => {
  const { client } = await connect();
  await daemon.admin('POST', `/agents/${agent.id}/ban`, {}, { want: 200 });
  let error = null;
  await nginx.until(async () => {
    error = await client.callTool({ name: 'whoami', arguments: {} }).then(() => null, (one) => one);
    return error !== null;
  }, 'refused');
  check(error instanceof Error, 'the SDK throws');
  await client.close().catch(() => {});
});

await suite.run();
