// The packages of the lock file, for tests of other folders: they are installed beside this file.
export * as jose from 'jose';
export * as mcp from '@modelcontextprotocol/client';
export { NodeStreamableHTTPServerTransport } from '@modelcontextprotocol/node';
export * as mcpServer from '@modelcontextprotocol/server';
export * as oauth from 'oauth4webapi';
export * as openid from 'openid-client';
export { Provider } from 'oidc-provider';
