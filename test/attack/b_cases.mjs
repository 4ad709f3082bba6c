// Proofs of group B that are bent in one place, for the token endpoint and for a guarded resource alike.
// Each gives [label, proof, outcome]: refused unless the outcome says 'accept' or 'either'.
import crypto from 'node:crypto';
import { Key, b64u, compact, now_s, proof, randomId, sha256 } from '../lib/forge.mjs';

const text = JSON.stringify;

const claimsOf = ({ url, method, token, nonce }) => ({
  jti: randomId(),
  htm: method,
  htu: url,
  iat: now_s(),
  ...(token ? { ath: b64u(sha256(token)) } : {}),
  ...(nonce ? { nonce } : {}),
});

// A proof with raw JSON in place of a claim.
function rawClaim({ key, url, method, token, nonce }, name, raw) {
  const claims = claimsOf({ url, method, token, nonce });
  claims[name] = '@@';
  return compact({ typ: 'dpop+jwt', alg: key.alg, jwk: key.jwk }, text(claims).replace('"@@"', raw), key);
}

const make = (c, change = {}) => proof(c.key, { url: c.url, method: c.method, token: c.token, nonce: c.nonce, ...change });

export const proofCases = {
  'B05 one of typ, alg, jwk, jti, htm, htu, iat missing': (c) => [
    ...['typ', 'jwk'].map((name) => [name, make(c, { header: { [name]: undefined } })]),
    ['alg', compact({ typ: 'dpop+jwt', jwk: c.key.jwk }, claimsOf(c), (input) => c.key.sign(input))],
    ...['jti', 'htm', 'htu', 'iat'].map((name) => [name, make(c, { claims: { [name]: undefined } })]),
    ['jti empty', make(c, { claims: { jti: '' } })],
    ['jti of 129 bytes', make(c, { claims: { jti: 'j'.repeat(129) } })],
    ['jti of 128 bytes', make(c, { claims: { jti: 'j'.repeat(96) + randomId(24) } }), 'accept'],
    ['jti a number', make(c, { claims: { jti: 5 } })],
  ],

  'B07 another typ': (c) =>
    ['JWT', 'at+jwt', 'dpop+JWT ', ' dpop+jwt', 'client-authentication+jwt', 'dpop', '', 5, null, ['dpop+jwt']].map((typ) => [
      text(typ),
      make(c, { header: { typ } }),
    ]),

  'B09 signature flipped, by another key, over another payload': (c) => {
    const good = make(c);
    const [header, payload, signature] = good.split('.');
    const bytes = Buffer.from(signature, 'base64url');
    bytes[10] ^= 4;
    const claims = claimsOf(c);
    return [
      ['flipped', `${header}.${payload}.${b64u(bytes)}`],
      ['by another key', compact({ typ: 'dpop+jwt', alg: 'ES256', jwk: c.key.jwk }, claims, c.other)],
      ['payload of another', `${header}.${make(c).split('.')[1]}.${signature}`],
      ['empty', `${header}.${payload}.`],
    ];
  },

  'B10 the jwk has private members': (c) => {
    const okp = Key.generate('EdDSA');
    const rsa = Key.generate('RS256');
    const rsaJwk = rsa.privateKey.export({ format: 'jwk' });
    const claims = claimsOf(c);
    const with_ = (jwk, alg, key) => compact({ typ: 'dpop+jwt', alg, jwk }, claims, key);
    return [
      ['EC d', with_(c.key.privateKey.export({ format: 'jwk' }), 'ES256', c.key)],
      ['OKP d', with_(okp.privateKey.export({ format: 'jwk' }), 'EdDSA', okp)],
      ...['d', 'p', 'q', 'dp', 'dq', 'qi'].map((name) => [`RSA ${name}`, with_({ ...rsa.jwk, [name]: rsaJwk[name] }, 'RS256', rsa)]),
      ['RSA oth', with_({ ...rsa.jwk, oth: [] }, 'RS256', rsa)],
      ['EC with k', with_({ ...c.key.jwk, k: 'c2VjcmV0c2VjcmV0c2VjcmV0' }, 'ES256', c.key)],
      ['oct', with_({ kty: 'oct', k: 'c2VjcmV0c2VjcmV0c2VjcmV0' }, 'HS256', (input) => crypto.createHmac('sha256', 'secretsecretsecret').update(input).digest())],
      ['EC d empty', with_({ ...c.key.jwk, d: '' }, 'ES256', c.key)],
    ];
  },

  'B12 the jwk has more members': (c) =>
    [
      ['kid', { kid: '../../etc/passwd' }],
      ['x5u', { x5u: 'http://127.0.0.1:1/x' }],
      ['x5c', { x5c: ['AAAA'] }],
      ['jku', { jku: 'http://127.0.0.1:1/x' }],
      ['unknown', { unknown: { a: [1, 2, 3] } }],
    ].map(([label, more]) => [label, make(c, { header: { jwk: { ...c.key.jwk, ...more } } }), 'either']),

  'B14 htm is another, or in another case': (c) => [
    ...['post', 'Post', 'GET', 'PUT', '', ' POST', 'POST ', 'get', 'Get', 'DELETE']
      .filter((htm) => htm !== c.method)
      .map((htm) => [text(htm), make(c, { claims: { htm } })]),
    [text(`${c.method}\0`), make(c, { claims: { htm: `${c.method}\0` } })],
    ...[5, null, [c.method], {}].map((htm) => [text(htm), make(c, { claims: { htm } })]),
  ],

  'B16 htu in another spelling of the same URL': (c) => {
    const at = new URL(c.url);
    const path = at.pathname;
    const host = at.host.toUpperCase();
    return [
      ['scheme in capitals', `${at.protocol.toUpperCase()}//${at.host}${path}`],
      ['host in capitals', `${at.protocol}//${host}${path}`],
      ['the default port', at.port === '' ? `${at.protocol}//${at.host}:443${path}` : c.url],
      ['an unreserved character encoded', `${at.protocol}//${at.host}${path.slice(0, -1)}%${path.charCodeAt(path.length - 1).toString(16)}`],
      // Query and fragment do not count (rfc9449#4.3-9); dot segments may be removed or refused.
      ['with a query', `${c.url}?x=1`, 'either'],
      ['with a fragment', `${c.url}#x`, 'either'],
      ['dot segments', `${at.protocol}//${at.host}/x/..${path}`, 'either'],
    ].map(([label, htu, outcome]) => [label, make(c, { claims: { htu } }), outcome ?? 'accept']);
  },

  'B17 htu of another URL': (c) => {
    const at = new URL(c.url);
    const origin = `${at.protocol}//${at.host}`;
    const path = at.pathname;
    return [
      `${at.protocol === 'http:' ? 'https:' : 'http:'}//${at.host}${path}`,
      `${at.protocol}//evil.example${path}`,
      `${at.protocol}//${at.hostname}:1${path}`,
      `${at.protocol}//${at.hostname}${path}x`,
      `${origin}${path}/`,
      `${origin}/${path}`,
      `${origin}${path.toUpperCase()}`,
      `${origin}${path}%2F`,
      `${origin}${path}/../`,
      `${at.protocol}//user@${at.host}${path}`,
      `${at.protocol}//user:secret@${at.host}${path}`,
      `${origin}/tenant${path}`,
      `${origin}/oauth/introspect`,
      `${origin}.evil.example${path}`,
      `${origin}%2eevil.example${path}`,
      `${at.protocol}//evil.example/?${origin}${path}`,
      `${at.protocol}//evil.example#${origin}${path}`,
      `${at.protocol}\\\\${at.host}${path}`,
      `${origin}${path};x`,
      `${origin}${path}%00`,
      ` ${c.url}`,
      `${c.url} `,
    ]
      .filter((htu) => htu !== c.url)
      .map((htu) => [htu, make(c, { claims: { htu } })]);
  },

  'B18 htu is no URL': (c) => [
    ...[5, null, [], [c.url], {}, '', new URL(c.url).pathname, 'https://', 'http://', '//host/path', 'ftp://x/', 'http://%zz/', 'http://[::1', 'http://xn--e1afmkfd.xn--p1ai/token', 'http://пример.рф/token', 'javascript:alert(1)'].map(
      (htu) => [text(htu), make(c, { claims: { htu } })],
    ),
    ['6 kB', make(c, { claims: { htu: `http://127.0.0.1/${'a'.repeat(5000)}` } })],
  ],

  'B20 iat within the window': (c) => [
    ['nine seconds ahead', make(c, { claims: { iat: now_s() + 9 } }), 'accept'],
    ['ten seconds ago', make(c, { claims: { iat: now_s() - 10 } }), 'accept'],
    ['two minutes ahead', make(c, { claims: { iat: now_s() + 120 } })],
    ['fifteen seconds ahead', make(c, { claims: { iat: now_s() + 15 } })],
    ['two minutes ago', make(c, { claims: { iat: now_s() - 120 } })],
    ['62 seconds ago', make(c, { claims: { iat: now_s() - 62 } })],
  ],

  'B22 iat is not a time': (c) => [
    ...[`${now_s()}.5`, `"${now_s()}"`, '-5', `-${now_s()}`, '1e308', '9223372036854775808', '18446744073709551616', '0', 'true', 'null', '[]', '{}', '1e400', `0${now_s()}`, 'NaN', `${now_s()}e0`].map(
      (raw) => [raw, rawClaim(c, 'iat', raw)],
    ),
    [`${now_s()}.0`, rawClaim(c, 'iat', `${now_s()}.0`), 'either'],
  ],

  'B24 more members than known': (c) => [
    ['in the header', make(c, { header: { extra: 'x', more: [1] } }), 'accept'],
    ['in the claims', make(c, { claims: { extra: 'x', more: { a: 1 }, exp: now_s() - 100 } }), 'accept'],
  ],
};
