// Envoy and Traefik by their documented contracts: neither is in Debian 12. Each is a small proxy that reads what `deputy guard snippet`
// prints and does with it what the documentation says: Envoy's ext_authz filter over HTTP (extensions.filters.http.ext_authz.v3) and
// Traefik 3's forwardAuth. A key that is not in the contract fails: a snippet cannot ask for what nobody has read about.
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { createRequire } from 'node:module';
import path from 'node:path';
import { root } from '../lib/daemon.mjs';
import { Proxy, snippet } from './ways.mjs';

// The YAML reader is installed beside the other libraries of the tests.
const yaml = createRequire(path.join(root, 'test/interop/package.json'))('yaml');
const HOP = ['connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'proxy-connection'];

function only(object, names, where) {
  for (const name of Object.keys(object)) if (!names.includes(name)) throw new Error(`${where}: ${name} is not in the contract`);
  return object;
}

// Header lists: [[name, value], …], in order, as sent.
const pairs = (raw) => raw.flatMap((_, i) => (i % 2 ? [] : [[raw[i], raw[i + 1]]]));
const same = (a, b) => a.toLowerCase() === b.toLowerCase();
const without = (list, names) => list.filter(([name]) => !names.some((one) => same(one, name)));
const valuesOf = (list, name) => list.filter(([one]) => same(one, name)).map(([, value]) => value);

// A request over `address` ({ socketPath } or { host, port }); the answer is not read yet.
function ask(address, { method, path: target, headers, body = null, timeout_ms = 30000 }) {
  return new Promise((resolve, reject) => {
    const request = http.request({ ...address, method, path: target, headers: headers.flat(), agent: false, setDefaultHeaders: false }, resolve);
    request.setTimeout(timeout_ms, () => request.destroy(new Error('timeout')));
    request.on('error', reject);
    request.end(body);
  });
}

async function bodyOf(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

// What connects the proxy's two sides once it has decided.
async function forward(address, request, headers, body, response, added = []) {
  const length = body.length > 0 ? [['Content-Length', String(body.length)]] : [];
  const answer = await ask(address, {
    method: request.method, path: request.url, headers: [...without(headers, [...HOP, 'content-length']), ...length], body,
  });
  response.writeHead(answer.statusCode, [...without(pairs(answer.rawHeaders), HOP), ...added].flat());
  response.flushHeaders();
  answer.pipe(response);
}

// A proxy of this file: an HTTP server that handles each request with `handle(request, response, headers, body)`.
class Contract extends Proxy {
  get missing() {
    return null;
  }

  async up() {
    this.read(yaml.parse(snippet(this.name, ...this.snippetArgs)));
    const handler = async (request, response) => {
      try {
        await this.handle(request, response, pairs(request.rawHeaders), await bodyOf(request));
      } catch (error) {
        response.destroy(error);
      }
    };
    const options = { joinDuplicateHeaders: false };
    this.server = this.secure ? https.createServer({ ...options, ...this.secure }, handler) : http.createServer(options, handler);
    await new Promise((resolve) => this.server.listen(this.port, '127.0.0.1', resolve));
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

function envoyAddress(address) {
  return address.pipe ? { socketPath: address.pipe.path } : { host: address.socket_address.address, port: address.socket_address.port_value };
}

class Envoy extends Contract {
  constructor() {
    super('envoy', { command: null, configure: null });
  }

  read(config) {
    const { listeners, clusters } = only(config.static_resources, ['listeners', 'clusters'], 'static_resources');
    const manager = only(listeners[0].filter_chains[0].filters[0].typed_config, ['@type', 'stat_prefix', 'normalize_path',
      'path_with_escaped_slashes_action', 'stream_idle_timeout', 'common_http_protocol_options', 'http_filters', 'route_config'], 'the manager');
    if (manager.normalize_path !== true || manager.path_with_escaped_slashes_action !== 'REJECT_REQUEST') throw new Error('paths are not normalised');
    this.dropsUnderscores = manager.common_http_protocol_options.headers_with_underscores_action === 'DROP_HEADER';
    const [mutation, filter] = manager.http_filters;
    if (mutation.name !== 'envoy.filters.http.header_mutation') throw new Error('what the caller says of its certificate is not taken away first');
    this.mutations = only(mutation.typed_config, ['@type', 'mutations'], 'header_mutation').mutations.request_mutations;
    if (filter.name !== 'envoy.filters.http.ext_authz') throw new Error('ext_authz comes second');
    this.secure = this.readTls(listeners[0].filter_chains[0].transport_socket);
    this.authz = only(filter.typed_config, ['@type', 'failure_mode_allow', 'status_on_error', 'allowed_headers', 'http_service'], 'ext_authz');
    this.service = only(this.authz.http_service, ['server_uri', 'path_prefix', 'authorization_response'], 'http_service');
    only(this.service.authorization_response, ['allowed_upstream_headers', 'allowed_client_headers_on_success'], 'authorization_response');
    if (!/^[0-9.]+s$/.test(this.service.server_uri.timeout)) throw new Error('a timeout is needed');
    this.routes = manager.route_config.virtual_hosts[0].routes;
    this.clusters = Object.fromEntries(clusters.map((one) => [one.name, envoyAddress(one.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address)]));
    if (net.isIP(listeners[0].address.socket_address.address) === 0) throw new Error('the listener needs an address');
  }

  // DownstreamTlsContext: with ACCEPT_UNTRUSTED a client is asked for a certificate, and any will do.
  readTls(socket) {
    if (!socket) return null;
    if (socket.name !== 'envoy.transport_sockets.tls') throw new Error('a transport socket that is none of TLS');
    const context = only(only(socket.typed_config, ['@type', 'common_tls_context'], 'the socket').common_tls_context, ['tls_certificates', 'validation_context'], 'TLS');
    if (context.validation_context.trust_chain_verification !== 'ACCEPT_UNTRUSTED') throw new Error('no certificate is asked for');
    const [own] = context.tls_certificates;
    return { cert: fs.readFileSync(own.certificate_chain.filename), key: fs.readFileSync(own.private_key.filename), requestCert: true, rejectUnauthorized: false };
  }

  // header_mutation: in order; a value that is empty is not set.
  mutate(request, headers) {
    const der = request.socket.getPeerCertificate?.()?.raw;
    const pem = der ? encodeURIComponent(`-----BEGIN CERTIFICATE-----\n${der.toString('base64').match(/.{1,64}/g).join('\n')}\n-----END CERTIFICATE-----\n`) : '';
    for (const one of this.mutations) {
      if (one.remove) {
        headers = without(headers, [one.remove]);
        continue;
      }
      const { header, append_action: action } = only(one.append, ['header', 'append_action'], 'append');
      if (action !== 'OVERWRITE_IF_EXISTS_OR_ADD') throw new Error('what the caller sent may stay');
      const value = header.value.replaceAll('%DOWNSTREAM_PEER_CERT%', pem);
      headers = without(headers, [header.key]);
      if (value !== '') headers = [...headers, [header.key, value]];
    }
    return headers;
  }

  route(target) {
    const [where] = target.split('?');
    return this.routes.find(({ match }) => (match.prefix ? where.startsWith(match.prefix) : new RegExp(`^(?:${match.safe_regex.regex})$`).test(where)));
  }

  // The filter's question: Host, Method, Path and Authorization always, the rest as allowed; lines of one name become one, with commas.
  async check(request, headers) {
    const allowed = ['authorization', ...this.authz.allowed_headers.patterns.map((one) => only(one, ['exact', 'ignore_case'], 'a pattern').exact)];
    const joined = allowed.map((name) => [name, valuesOf(headers, name)]).filter(([, values]) => values.length > 0).map(([name, values]) => [name, values.join(',')]);
    return ask(this.clusters[this.service.server_uri.cluster], {
      method: request.method,
      path: this.service.path_prefix + request.url,
      headers: [['Host', valuesOf(headers, 'host')[0]], ['Content-Length', '0'], ...joined, ['X-Envoy-Internal', 'true'], ['X-Forwarded-For', '127.0.0.1'], ['X-Envoy-Expected-Rq-Timeout-Ms', '500']],
      timeout_ms: 5000, // the sanitizer build is slower than 0.5 s on a busy machine
    });
  }

  // normalize_path and path_with_escaped_slashes_action: the path goes on without dot segments; null: refused.
  normalised(target) {
    const [where, query] = target.split('?');
    if (/%2f|%5c/i.test(where)) return null;
    const parts = [];
    for (const part of where.split('/').slice(1).map((one) => one.replace(/%2e/gi, '.'))) {
      if (part === '..') parts.pop();
      else if (part !== '.') parts.push(part);
    }
    return `/${parts.join('/')}${query === undefined ? '' : `?${query}`}`;
  }

  async handle(request, response, sent, body) {
    const target = this.normalised(request.url);
    if (target === null) return response.writeHead(400, { 'Content-Length': 0 }).end();
    request.url = target;
    sent = this.mutate(request, sent);
    const headers = this.dropsUnderscores ? sent.filter(([name]) => !name.includes('_')) : sent;
    const route = this.route(request.url);
    if (route?.typed_per_filter_config) return forward(this.clusters[route.route.cluster], request, headers, body, response);
    const verdict = await this.check(request, headers).catch(() => null);
    // A guard that does not answer, or with 5xx, is an error of the filter: nothing of its answer is passed on.
    if (verdict === null || verdict.statusCode >= 500) {
      verdict?.resume();
      if (this.authz.failure_mode_allow !== false || this.authz.status_on_error.code !== 'ServiceUnavailable') throw new Error('the filter fails open');
      return response.writeHead(503, { 'Content-Length': 0 }).end();
    }
    const told = pairs(verdict.rawHeaders);
    if (verdict.statusCode !== 200) return response.writeHead(verdict.statusCode, without(told, HOP).flat()).end(await bodyOf(verdict));
    verdict.resume();
    if (!route) return response.writeHead(404, { 'Content-Length': 0 }).end();
    const upstream = this.service.authorization_response.allowed_upstream_headers.patterns.map((one) => one.exact);
    const set = told.filter(([name]) => upstream.some((one) => same(one, name)));
    const removed = valuesOf(told, 'x-envoy-auth-headers-to-remove').flatMap((value) => value.split(',').map((one) => one.trim()));
    const kept = without(without(headers, set.map(([name]) => name)), [...removed, ...route.request_headers_to_remove]);
    const success = this.service.authorization_response.allowed_client_headers_on_success.patterns.map((one) => one.exact);
    const added = told.filter(([name]) => success.some((one) => same(one, name)));
    return forward(this.clusters[route.route.cluster], request, [...kept, ...set], body, response, added);
  }
}

class Traefik extends Contract {
  constructor() {
    super('traefik', { command: null, configure: null });
  }

  get snippetArgs() {
    return super.snippetArgs.map((word) => (word === `unix:${this.guard.socket}` ? `127.0.0.1:${this.guard.port}` : word));
  }

  read({ http: { routers, middlewares, services } }) {
    Object.assign(this, { routers, middlewares, services });
    only(middlewares['deputy-guard'].forwardAuth, ['address', 'trustForwardHeader', 'maxResponseBodySize', 'authRequestHeaders', 'authResponseHeaders'], 'forwardAuth');
    if (middlewares['deputy-guard'].forwardAuth.trustForwardHeader !== false) throw new Error('it trusts the caller');
  }

  matches(rule, target) {
    const [where] = target.split('?');
    const holds = (part) => {
      const [, not, kind, text] = /^(!?)(Path|PathPrefix|PathRegexp)\(`([^`]*)`\)$/.exec(part);
      const regexp = () => new RegExp(text.replace(/^\(\?i\)/, ''), text.startsWith('(?i)') ? 'i' : '').test(where);
      return { Path: () => where === text, PathPrefix: () => where.startsWith(text), PathRegexp: regexp }[kind]() !== (not === '!');
    };
    return rule.split(' || ').some((part) => part.split(' && ').every(holds));
  }

  // forwardAuth: null when the request may go on, with `headers` as they are then.
  async forwardAuth(config, request, headers, response) {
    const named = valuesOf(headers, 'connection').flatMap((value) => value.split(',').map((one) => one.trim()));
    const asked = without(headers, [...HOP, ...named]).filter(([name]) => config.authRequestHeaders.some((one) => same(one, name)));
    const url = new URL(config.address);
    const verdict = await ask({ host: url.hostname, port: url.port }, {
      method: 'GET',
      path: url.pathname,
      headers: [['Host', url.host], ...asked, ['X-Forwarded-For', '127.0.0.1'], ['X-Forwarded-Method', request.method], ['X-Forwarded-Proto', 'http'],
        ['X-Forwarded-Host', valuesOf(headers, 'host')[0]], ['X-Forwarded-Uri', request.url]],
    }).catch(() => null);
    if (verdict === null) {
      response.writeHead(500, { 'Content-Length': 0 }).end();
      return null;
    }
    const body = await bodyOf(verdict);
    if (body.length > config.maxResponseBodySize) throw new Error('the answer is too long');
    const told = pairs(verdict.rawHeaders);
    if (verdict.statusCode < 200 || verdict.statusCode > 299) {
      response.writeHead(verdict.statusCode, without(told, HOP).flat()).end(body);
      return null;
    }
    const set = told.filter(([name]) => config.authResponseHeaders.some((one) => same(one, name)));
    return [...without(headers, config.authResponseHeaders), ...set];
  }

  async handle(request, response, headers, body) {
    const router = Object.values(this.routers).find(({ rule }) => this.matches(rule, request.url));
    if (!router) return response.writeHead(404, { 'Content-Length': 0 }).end();
    for (const name of router.middlewares ?? []) {
      const middleware = only(this.middlewares[name], ['headers', 'forwardAuth'], name);
      if (middleware.forwardAuth) headers = await this.forwardAuth(middleware.forwardAuth, request, headers, response);
      else for (const [header, value] of Object.entries(only(middleware.headers, ['customRequestHeaders'], name).customRequestHeaders))
        headers = [...without(headers, [header]), ...(value === '' ? [] : [[header, value]])];
      if (headers === null) return null;
    }
    const url = new URL(this.services[router.service].loadBalancer.servers[0].url);
    const named = valuesOf(headers, 'connection').flatMap((value) => value.split(',').map((one) => one.trim()));
    return forward({ host: url.hostname, port: url.port }, request, without(headers, named), body, response);
  }
}

export const envoy = () => new Envoy();
export const traefik = () => new Traefik();
