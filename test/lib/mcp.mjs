// An MCP server of one tool, in plain answers: who calls, as the guard says it.
export function answerMcp(request, response, identity, raw) {
  if (request.method !== 'POST') return response.writeHead(405).end();
  const message = JSON.parse(raw.toString());
  if (message.id === undefined) return response.writeHead(202).end();
  const result = {
    initialize: { protocolVersion: message.params?.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'guarded', version: '1' } },
    'tools/list': { tools: [{ name: 'whoami', description: 'who calls', inputSchema: { type: 'object' } }] },
    'tools/call': { content: [{ type: 'text', text: JSON.stringify(identity) }] },
  }[message.method];
  response.writeHead(200, { 'Content-Type': 'application/json' });
  const answer = result ? { result } : { error: { code: -32601, message: 'no such method' } };
  return response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, ...answer }));
}
