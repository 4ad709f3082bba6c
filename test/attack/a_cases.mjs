// Group A: forged and malformed JOSE objects. Each case gives variants of a good object: [label, object]. A case that does not
// concern a kind of object gives none there.
import crypto from 'node:crypto';
import { Key, b64u, compact, hmac, now_s, randomId, signRaw } from '../lib/forge.mjs';

const N = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
const bytes32 = (n) => Buffer.from(n.toString(16).padStart(64, '0'), 'hex');
const pair = (r, s) => Buffer.concat([bytes32(r), bytes32(s)]);
const text = (value) => JSON.stringify(value);
const headerText = (b, member) => `{${text(b.header).slice(1, -1)},${member}}`;
const claimsText = (b, member) => `{${text(b.claims).slice(1, -1)},${member}}`;
const inputOf = (token) => token.slice(0, token.lastIndexOf('.'));
const signatureOf = (token) => Buffer.from(token.split('.')[2], 'base64url');

function withSignature(b, signature) {
  return `${inputOf(b.make())}.${b64u(signature)}`;
}

// The claim whose absence makes the object useless, by kind.
const needed = { token: 'exp', assertion: 'exp', foreign: 'exp', proof: 'iat' };

function publicForms(key) {
  const spki = key.publicKey.export({ format: 'pem', type: 'spki' });
  const der = key.publicKey.export({ format: 'der', type: 'spki' });
  const forms = [
    ['SPKI PEM', spki],
    ['SPKI PEM without newline', spki.trimEnd()],
    ['SPKI PEM with blanks before', `  ${spki}`],
    ['SPKI DER', der],
    ['JWK text', text(key.jwk)],
    ['JWK text with kid and alg', text({ ...key.jwk, kid: key.kid, alg: key.alg, use: 'sig' })],
  ];
  if (key.jwk.kty === 'RSA') {
    forms.push(['PKCS#1 PEM', key.publicKey.export({ format: 'pem', type: 'pkcs1' })]);
    forms.push(['PKCS#1 DER', key.publicKey.export({ format: 'der', type: 'pkcs1' })]);
    forms.push(['modulus', Buffer.from(key.jwk.n, 'base64url')]);
  } else {
    const raw = [key.jwk.x, key.jwk.y].filter(Boolean).map((part) => Buffer.from(part, 'base64url'));
    forms.push(['raw point', Buffer.concat(raw)]);
    forms.push(['raw point with 04', Buffer.concat([Buffer.from([4]), ...raw])]);
  }
  return forms;
}

function macked(b, alg, secret) {
  return b.make({ header: { alg }, sign: (input) => hmac(alg, secret, input) });
}

// PKCS#1 v1.5 with an encoded message of our own making.
function rawRsa(b, build) {
  const size = b.key.publicKey.asymmetricKeyDetails.modulusLength / 8;
  return b.make({
    header: { alg: 'RS256' },
    sign: (input) => {
      const hash = crypto.createHash('sha256').update(input).digest();
      const em = build(hash, size);
      return crypto.privateEncrypt({ key: b.key.privateKey, padding: crypto.constants.RSA_NO_PADDING }, em);
    },
  });
}

const DIGEST_INFO = Buffer.from('3031300d060960864801650304020105000420', 'hex');
const padded = (tail, size) =>
  Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(size - tail.length - 3, 0xff), Buffer.from([0]), tail]);

const nested = (open, close, depth) => open.repeat(depth) + close.repeat(depth);

// One byte sequence in place of the JSON string of a claim.
function rawClaim(b, name, bytes) {
  const json = text({ ...b.claims, jti: randomId(), [name]: '@@' });
  const at = json.indexOf('@@');
  return Buffer.concat([Buffer.from(json.slice(0, at)), bytes, Buffer.from(json.slice(at + 2))]);
}

export const cases = {
  async A02(b) {
    const out = [];
    for (const alg of ['none', 'None', 'NONE', 'nOnE', 'none ']) {
      out.push([`alg ${text(alg)}, no signature`, b.make({ header: { alg }, sign: () => '' })]);
      out.push([`alg ${text(alg)}, old signature`, b.make({ header: { alg }, sign: (input) => b.key.sign(input) })]);
    }
    const escaped = text(b.header).replace(/"alg":"[^"]*"/, '"alg":"\\u006eone"');
    out.push(['alg "\\u006eone"', b.make({ rawHeader: escaped, sign: () => '' })]);
    return out;
  },

  async A03(b) {
    const good = b.make();
    const [, payload, signature] = good.split('.');
    const none = b64u(text({ ...b.header, alg: 'none' }));
    return [
      ['alg none, the signature of another header', `${none}.${payload}.${signature}`],
      ['alg none, no last dot', `${none}.${payload}`],
      ['no last dot', inputOf(good)],
      ['empty signature', `${inputOf(good)}.`],
    ];
  },

  async A04(b) {
    const signs = (input) => b.key.sign(input);
    const out = [['alg missing', b.make({ header: { alg: undefined }, sign: signs })]];
    for (const alg of [null, 256, ['ES256'], {}, '', true])
      out.push([`alg ${text(alg)}`, b.make({ header: { alg }, sign: signs })]);
    for (const head of ['null', '[]', '"ES256"', '5', 'true', '', ' ', '{', '{}'])
      out.push([`header ${head}`, b.make({ rawHeader: head, sign: signs })]);
    return out;
  },

  async A05(b, door) {
    const out = [];
    for (const alg of door.algs) {
      const base = await door.base(alg);
      for (const [label, secret] of publicForms(base.key)) out.push([`${alg}: ${label}`, macked(base, 'HS256', secret)]);
    }
    return out;
  },

  async A06(b, door) {
    const out = [];
    for (const alg of door.algs)
      for (const mac of ['HS256', 'HS384', 'HS512']) out.push([`${alg} as ${mac}, empty key`, macked(await door.base(alg), mac, '')]);
    return out;
  },

  async A07(b, door) {
    const jwks = await door.world.daemon.wire().request({ path: '/.well-known/jwks.json' });
    const out = [['the JWKS text', macked(b, 'HS256', jwks.text)]];
    for (const jwk of jwks.json.keys) out.push([`JWK ${jwk.alg}`, macked(b, 'HS256', text(jwk))]);
    return out;
  },

  async A08(b, door) {
    const out = [];
    const es = await door.base('ES256');
    for (const alg of ['ES256K', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'RS256'])
      out.push([`${alg} over an ES256 key`, es.make({ header: { alg }, sign: (input) => es.key.sign(input, 'ES256') })]);
    out.push(['ES256 with SHA-384', es.make({ sign: (input) => signRaw(es.key.privateKey, 'ES384', Buffer.from(input)) })]);
    if (door.algs.includes('RS256')) {
      const ps = await door.base('PS256');
      const rs = await door.base('RS256');
      out.push(['RS256 by a PS256 key', ps.make({ header: { alg: 'RS256' }, sign: (input) => ps.key.sign(input, 'RS256') })]);
      out.push(['PS256 by an RS256 key', rs.make({ header: { alg: 'PS256' }, sign: (input) => rs.key.sign(input, 'PS256') })]);
      out.push(['RS384', rs.make({ header: { alg: 'RS384' }, sign: (input) => rs.key.sign(input, 'RS384') })]);
    }
    return out;
  },

  async A09(b) {
    return [
      ['r=0 s=0', pair(0n, 0n)],
      ['r=0 s=1', pair(0n, 1n)],
      ['r=1 s=0', pair(1n, 0n)],
      ['r=n', pair(N, 1n)],
      ['s=n', pair(1n, N)],
      ['r=s=n', pair(N, N)],
      ['r=s=n-1', pair(N - 1n, N - 1n)],
      ['r=s=1', pair(1n, 1n)],
      ['all ones', Buffer.alloc(64, 0xff)],
    ].map(([label, signature]) => [label, withSignature(b, signature)]);
  },

  async A10(b) {
    return [['DER', b.make({ sign: (input) => crypto.sign('sha256', Buffer.from(input), b.key.privateKey) })]];
  },

  async A11(b) {
    const out = [];
    for (const size of [0, 1, 63, 65, 96, 128, 132])
      out.push([`${size} bytes`, b.make({ sign: (input) => {
        const good = b.key.sign(input);
        if (size <= 64) return good.subarray(0, size);
        const half = size / 2;
        if (size % 2) return Buffer.concat([good, Buffer.alloc(1)]);
        return Buffer.concat([Buffer.alloc(half - 32), good.subarray(0, 32), Buffer.alloc(half - 32), good.subarray(32)]);
      } })]);
    return out;
  },

  async A12(b, door) {
    const out = [['6,000 bytes of 0xFF', withSignature(b, Buffer.alloc(6000, 0xff))]];
    if (!door.inHeader) out.push(['16,384 bytes of 0xFF', withSignature(b, Buffer.alloc(16384, 0xff))]);
    return out;
  },

  async A14(b, door) {
    if (!door.algs.includes('RS256')) return [];
    const rs = await door.base('RS256');
    const noNull = Buffer.from('302f300b0609608648016503040201' + '0420', 'hex');
    const longLength = Buffer.from('308131300d060960864801650304020105000420', 'hex');
    return [
      ['missing NULL', rawRsa(rs, (hash, size) => padded(Buffer.concat([noNull, hash]), size))],
      ['long-form length', rawRsa(rs, (hash, size) => padded(Buffer.concat([longLength, hash]), size))],
      ['SHA-1 in the DigestInfo', rawRsa(rs, (hash, size) =>
        padded(Buffer.concat([Buffer.from('3021300906052b0e03021a05000414', 'hex'), hash.subarray(0, 20)]), size))],
      ['bare hash', rawRsa(rs, (hash, size) => padded(hash, size))],
      ['garbage after the hash', rawRsa(rs, (hash, size) => {
        const tail = Buffer.concat([DIGEST_INFO, hash]);
        const head = Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(8, 0xff), Buffer.from([0]), tail]);
        return Buffer.concat([head, Buffer.alloc(size - head.length, 7)]);
      })],
      ['block type 2', rawRsa(rs, (hash, size) => {
        const em = padded(Buffer.concat([DIGEST_INFO, hash]), size);
        em[1] = 2;
        return em;
      })],
      ['a zero inside the padding', rawRsa(rs, (hash, size) => {
        const em = padded(Buffer.concat([DIGEST_INFO, hash]), size);
        em[20] = 0;
        return em;
      })],
      ['signature one byte short', (() => {
        const good = rs.make();
        return `${inputOf(good)}.${b64u(signatureOf(good).subarray(1))}`;
      })()],
      ['signature with a zero in front', (() => {
        const good = rs.make();
        return `${inputOf(good)}.${b64u(Buffer.concat([Buffer.alloc(1), signatureOf(good)]))}`;
      })()],
    ];
  },

  async A17(b, door) {
    const out = [];
    const names = ['header', 'payload', 'signature'];
    for (let at = 0; at < 3; at += 1) {
      const bend = (label, change) => {
        const parts = b.make().split('.');
        parts[at] = change(parts[at]);
        out.push([`${names[at]}: ${label}`, parts.join('.')]);
      };
      bend("'=' after", (part) => `${part}=`);
      bend("'==' after", (part) => `${part}==`);
      bend('blank inside', (part) => `${part.slice(0, 5)} ${part.slice(5)}`);
      bend("'?' inside", (part) => `${part.slice(0, 5)}?${part.slice(5)}`);
      bend("'#' after", (part) => `${part}#`);
      bend("'+' inside", (part) => `${part.slice(0, 4)}+${part.slice(5)}`);
      bend("'/' inside", (part) => `${part.slice(0, 4)}/${part.slice(5)}`);
      bend('one character more', (part) => `${part}A`);
      if (!door.inHeader) {
        bend('CR LF inside', (part) => `${part.slice(0, 5)}\r\n${part.slice(5)}`);
        bend('LF after', (part) => `${part}\n`);
        bend('NUL after', (part) => `${part}\0`);
      }
    }
    // The last character of 64 bytes has four bits that count for nothing: they must be zero.
    const good = b.make();
    const last = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'.indexOf(good.slice(-1));
    const next = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'[last + 1];
    out.push(['signature: stray bits', good.slice(0, -1) + next]);
    return out;
  },

  async A18(b) {
    const good = b.make();
    const [header, payload, signature] = good.split('.');
    return [
      ['one segment', header],
      ['two segments', `${header}.${payload}`],
      ['four segments', `${good}.`],
      ['four segments, filled', `${good}.${signature}`],
      ['five segments', `${good}..`],
      ['six segments', `${good}...`],
      ['empty payload', b.make({ rawClaims: '' })],
      ['empty payload segment', `${header}..${signature}`],
      ['empty header segment', `.${payload}.${signature}`],
      ['dots only', '..'],
      ['one dot', '.'],
      ['a dot before', `.${good}`],
      ['JSON serialisation', text({ protected: header, payload, signature })],
    ];
  },

  async A19(b, door) {
    return [
      ['a and 10,000 dots', `a${'.'.repeat(10000)}`],
      ['a and 60,000 dots', `a${'.'.repeat(60000)}`],
      ...(door.inHeader ? [] : [['a and 1,000,000 dots', `a${'.'.repeat(1000000)}`]]),
    ];
  },

  async A22(b) {
    const head = b64u(text({ alg: 'PBES2-HS256+A128KW', enc: 'A128CBC-HS256', p2s: b64u('salt'), p2c: 2147483647 }));
    return [
      ['five segments', `${head}.${b64u(crypto.randomBytes(40))}.${b64u(crypto.randomBytes(16))}.${b64u('x')}.${b64u(crypto.randomBytes(16))}`],
      ['three segments', `${head}.${b64u(text(b.claims))}.${b64u(crypto.randomBytes(64))}`],
    ];
  },

  async A23() {
    const zeros = crypto.randomBytes(6000);
    const head = b64u(text({ alg: 'dir', enc: 'A256GCM', zip: 'DEF' }));
    return [['a compressed JWE', `${head}..${b64u(crypto.randomBytes(12))}.${b64u(zeros)}.${b64u(crypto.randomBytes(16))}`]];
  },

  async A24(b) {
    const inner = `${b64u(text({ alg: 'none' }))}.${b64u(text(b.claims))}.`;
    return [
      ['the payload is an unsigned token', b.make({ header: { cty: 'JWT' }, rawClaims: inner })],
      ['the payload is a signed token', b.make({ header: { cty: 'JWT' }, rawClaims: b.make() })],
    ];
  },

  async A25(b) {
    if (b.isProof) return [];
    const attacker = Key.generate('ES256');
    const own = { alg: 'ES256', jwk: attacker.jwk };
    return [
      ['jwk of the attacker', b.make({ header: own, sign: (input) => attacker.sign(input) })],
      ['jwk of the attacker, his kid', b.make({ header: { ...own, kid: attacker.kid }, sign: (input) => attacker.sign(input) })],
      ['jwk of the attacker, no kid', b.make({ header: { ...own, kid: undefined }, sign: (input) => attacker.sign(input) })],
      ['jwk of the right key', b.make({ header: { jwk: b.key.jwk } })],
      ['no jwk, the attacker signs', b.make({ sign: (input) => attacker.sign(input) })],
      ['x5c', b.make({ header: { x5c: [b64u(attacker.publicKey.export({ format: 'der', type: 'spki' }))] }, sign: (input) => attacker.sign(input) })],
    ];
  },

  async A26(b, door) {
    const attacker = Key.generate('ES256');
    const url = door.listener.url;
    const out = [];
    for (const name of ['jku', 'x5u']) {
      const header = { [name]: `${url}/jwks.json`, kid: attacker.kid };
      if (b.isProof) out.push([`${name}, other key`, b.make({ header, sign: (input) => attacker.sign(input) })]);
      else {
        out.push([`${name}, attacker's key`, b.make({ header, sign: (input) => attacker.sign(input) })]);
        out.push([`${name}, the right key`, b.make({ header: { [name]: `${url}/jwks.json` } })]);
      }
    }
    return out;
  },

  async A29(b) {
    if (b.isProof) return [];
    return ["x' OR '1'='1", "%'", '*)(uid=*', '../../../../etc/passwd', '/dev/null', '', ' ', '%', '_', 'x; DROP TABLE record', '\\'].map(
      (kid) => [`kid ${text(kid)}`, b.make({ header: { kid } })],
    );
  },

  async A30(b, door) {
    if (b.isProof) return []; // the kid of a proof means nothing: the key is in the proof
    const out = [];
    if (!door.inHeader) out.push(['kid of 64 KiB', b.make({ header: { kid: 'k'.repeat(65536) } })]);
    out.push(['kid of 5 KiB', b.make({ header: { kid: 'k'.repeat(5120) } })]);
    for (const kid of [5, {}, null, [], true]) out.push([`kid ${text(kid)}`, b.make({ header: { kid } })]);
    for (const kid of ['a\0b', 'a\r\nb', 'a\x1b[31mb', 'a\u202eb'])
      out.push([`kid ${text(kid)}`, b.make({ header: { kid: `${b.header.kid ?? ''}${kid}` } })]);
    return out;
  },

  async A32(b, door) {
    if (b.isProof) return [];
    const url = door.listener.url;
    return [url, `${url}/{sub}`, `${b.issuer}/../${url}`, `${b.issuer}@${url.slice(7)}`, 'file:///etc/passwd', `${url}#${b.issuer}`].map((iss) => [
      `iss ${iss}`,
      b.make({ claims: { iss } }),
    ]);
  },

  async A37(b) {
    const out = [];
    for (const crit of [[], 'exp', ['alg'], ['x', 'x'], ['absent'], [5], null, {}, ['']])
      out.push([`crit ${text(crit)}`, b.make({ header: { crit } })]);
    out.push(['crit ["x"] with x', b.make({ header: { crit: ['x'], x: 1 } })]);
    out.push(['crit ["exp"] with exp', b.make({ header: { crit: ['exp'], exp: now_s() + 100 } })]);
    return out;
  },

  async A38(b) {
    const head = { ...b.header, b64: false, crit: ['b64'] };
    const payload = text(b.claims);
    const input = `${b64u(text(head))}.${payload}`;
    return [
      ['detached payload', `${b64u(text(head))}..${b64u(b.key.sign(input))}`],
      ['unencoded payload', `${input}.${b64u(b.key.sign(input))}`],
      ['b64 false, payload encoded', b.make({ header: { b64: false, crit: ['b64'] } })],
      ['b64 false without crit', b.make({ header: { b64: false } })],
      ['b64 true', b.make({ header: { b64: true, crit: ['b64'] } })],
    ];
  },

  async A41(b) {
    const name = needed[b.door.kind];
    const out = [
      ['alg twice, none last', b.make({ rawHeader: headerText(b, '"alg":"none"') })],
      ['alg twice, none first', b.make({ rawHeader: `{"alg":"none",${text(b.header).slice(1)}` })],
      ['alg twice, the same', b.make({ rawHeader: headerText(b, `"alg":"${b.header.alg}"`) })],
      ['typ twice', b.make({ rawHeader: headerText(b, `"typ":${text(b.header.typ)}`) })],
      [`${name} twice`, b.make({ rawClaims: claimsText(b, `"${name}":${b.claims[name]}`) })],
      [`${name} twice by escape`, b.make({ rawClaims: claimsText(b, `"\\u00${name.charCodeAt(0).toString(16)}${name.slice(1)}":${b.claims[name]}`) })],
      ['an unknown claim twice', b.make({ rawClaims: claimsText(b, '"x":1,"x":1') })],
      ['twice inside an object', b.make({ rawClaims: claimsText(b, '"x":{"a":1,"a":2}') })],
    ];
    for (const claim of ['aud', 'sub', 'scope', 'htm'])
      if (b.claims[claim] !== undefined)
        out.push([`${claim} twice`, b.make({ rawClaims: claimsText(b, `"${claim}":${text(b.claims[claim])}`) })]);
    return out;
  },

  async A42(b) {
    const bend = (from, to) => [`${to} for ${from}`, b.make({ claims: { [from]: undefined, [to]: b.claims[from] } })];
    if (b.isProof) return [bend('iat', 'Iat'), bend('htm', 'HTM'), bend('htu', 'Htu'), ['JTI', b.make({ claims: { jti: undefined, JTI: 'x'.repeat(20) } })]];
    return [bend('exp', 'Exp'), bend('aud', 'AUD'), bend('sub', 'Sub'), bend('iss', 'ISS')];
  },

  async A43(b) {
    const good = text({ ...b.claims, jti: randomId() });
    const swap16 = (buffer) => Buffer.from(buffer).swap16();
    const utf32 = Buffer.concat([...good].map((c) => Buffer.from([0, 0, 0, c.charCodeAt(0)])));
    const out = [
      ['UTF-8 BOM', Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(good)])],
      ['UTF-16LE', Buffer.from(good, 'utf16le')],
      ['UTF-16BE', swap16(Buffer.from(good, 'utf16le'))],
      ['UTF-32BE', utf32],
    ].map(([label, rawClaims]) => [label, b.make({ rawClaims })]);
    for (const hex of ['c080', 'eda080', 'f5808080', 'ff', '80', 'c3', 'f4908080', 'e08080'])
      out.push([`bytes ${hex}`, b.make({ rawClaims: rawClaim(b, 'x', Buffer.from(hex, 'hex')) })]);
    for (const escape of ['\\ud800', '\\udc00', '\\udc00\\ud800', '\\ud800x', '\\u12', '\\x41'])
      out.push([`escape ${escape}`, b.make({ rawClaims: rawClaim(b, 'x', Buffer.from(escape)) })]);
    out.push(['BOM before the header', b.make({ rawHeader: Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(text(b.header))]) })]);
    out.push(['text after the claims', b.make({ rawClaims: `${good}{}` })]);
    out.push(['a control character in a string', b.make({ rawClaims: rawClaim(b, 'x', Buffer.from([10])) })]);
    return out;
  },

  async A44(b) {
    const evil = (name) => [`${name} with NUL`, b.make({ claims: { [name]: `${[b.claims[name]].flat()[0]}\0evil` } })];
    const names = { token: ['sub', 'aud', 'scope', 'iss', 'client_id', 'jti'], assertion: ['sub', 'aud', 'iss', 'jti'], foreign: ['sub', 'aud', 'iss'], proof: ['htm', 'htu', 'jti'] };
    return names[b.door.kind].map(evil);
  },

  async A46(b) {
    if (b.isProof) return [];
    const out = [['exp missing', b.make({ claims: { exp: undefined } })]];
    for (const raw of ['null', '"1999999999"', 'true', '[]', '{}', '-1', '0', '1e10', '9223372036854775808', '1e400', '-0', '01999999999'])
      out.push([`exp ${raw}`, b.make({ rawClaims: text({ ...b.claims, exp: '@' }).replace('"@"', raw) })]);
    return out;
  },

  async A47(b) {
    if (b.isProof) return [];
    const now = now_s();
    const at = (claims) => b.make({ claims: { ...claims } });
    return [
      ['exp an hour ago', at({ iat: now - 3900, nbf: now - 3900, exp: now - 3600 })],
      ['exp one second beyond any skew', at({ iat: now - 60, nbf: now - 60, exp: now - 31 })],
      ['nbf beyond the skew', at({ nbf: now + 45 })],
      ['iat beyond the skew', at({ iat: now + 45 })],
      ['nbf as text', at({ nbf: `${now}` })],
      ['iat as text', at({ iat: `${now}` })],
    ];
  },

  async A48(b) {
    if (b.isProof) return [];
    const own = [b.claims.aud].flat()[0];
    const out = [['aud missing', b.make({ claims: { aud: undefined } })]];
    for (const aud of ['', [], 5, [own, 7], { a: 1 }, null, [own, null], [[own]], true]) out.push([`aud ${text(aud)}`, b.make({ claims: { aud } })]);
    return out;
  },

  // Where the audience is compared: at the resource, and for assertions. Exchange and revocation look at the owner.
  async A49(b) {
    const own = [b.claims.aud].flat()[0];
    if (b.isProof || b.door.id === 'd7 revocation' || b.door.id === 'd2 subject_token') return [];
    const { host } = new URL(own);
    const list = [`${own}/`, `${own}/x`, own.slice(0, -1), `${own}x`, own.replace(host, `${host}.evil`), own.toUpperCase(), own.replace('http', 'ftp'),
      own.replace('api', '%61pi'), `x${own}`, `${own}?x`, `${own}#x`, ` ${own}`];
    if (own.startsWith('https')) list.push(own.replace(host, host.toUpperCase()));
    const out = list.filter((aud) => aud !== own).map((aud) => [`aud ${aud}`, b.make({ claims: { aud } })]);
    if (b.isAssertion) {
      out.push(['aud is the token endpoint', b.make({ claims: { aud: `${own}/oauth/token` } })]);
      out.push(['aud has two values', b.make({ claims: { aud: [own, `${own}/oauth/token`] } })]);
      out.push(['aud has the issuer twice', b.make({ claims: { aud: [own, own] } })]);
    }
    return out;
  },

  async A51(b) {
    if (b.isProof) return [];
    const own = b.claims.iss;
    const list = [undefined, [own], `${own}/`, own.replace('http:', 'https:'), `${own}/tenant`, own.toUpperCase(), '', null, 5, { a: own }];
    return list.filter((iss) => iss !== own).map((iss) => [`iss ${text(iss) ?? 'missing'}`, b.make({ claims: { iss } })]);
  },

  async A53(b, door) {
    const depth = door.inHeader ? 2000 : 5000;
    const out = [];
    for (const [label, value] of [['arrays', nested('[', ']', depth)], ['objects', `${'{"a":'.repeat(depth / 5)}1${'}'.repeat(depth / 5)}`], ['40 levels', nested('[', ']', 40)]]) {
      out.push([`payload: ${label}`, b.make({ rawClaims: claimsText(b, `"x":${value}`) })]);
      out.push([`header: ${label}`, b.make({ rawHeader: headerText(b, `"x":${value}`) })]);
    }
    out.push(['payload: never closed', b.make({ rawClaims: '['.repeat(depth) })]);
    if (!door.inHeader) out.push(['100,000 arrays', b.make({ rawClaims: nested('[', ']', 100000) })]);
    return out;
  },

  async A55(b, door) {
    const size = door.inHeader ? 4000 : 7000;
    const out = [
      ['exp of many digits', b.make({ rawClaims: text({ ...b.claims, exp: '@', iat: '@' }).replaceAll('"@"', '9'.repeat(size)) })],
      ['many commas', b.make({ rawClaims: claimsText(b, `"x":[${','.repeat(size)}]`) })],
    ];
    if (door.inHeader) return out;
    return [
      ...out,
      ['1 MB of digits', b.make({ rawClaims: claimsText(b, `"x":${'9'.repeat(1000000)}`) })],
      ['a string of 1 MB', b.make({ rawClaims: claimsText(b, `"x":"${'a'.repeat(1000000)}"`) })],
      ['1 MB of blanks', b.make({ rawClaims: ' '.repeat(1000000) })],
      ['500,000 escapes', b.make({ rawClaims: claimsText(b, `"x":"${'\\n'.repeat(500000)}"`) })],
    ];
  },

  async A56(b) {
    const good = b.make();
    return [8, 16, 31, good.length - 1].map((size) => [`first ${size} characters`, good.slice(0, size)]).concat([
      ['one character more', `${good}x`],
      ['upper case', good.toUpperCase()],
      ['lower case', good.toLowerCase()],
    ]);
  },

  async A63(b) {
    if (!b.isProof) return [];
    return lowOrder.map((hex) => {
      const jwk = { kty: 'OKP', crv: 'Ed25519', x: b64u(Buffer.from(hex, 'hex')) };
      return [`key ${hex.slice(0, 8)}…${hex.slice(-4)}`, b.make({ header: { alg: 'EdDSA', jwk }, sign: () => Buffer.concat([Buffer.from(hex, 'hex'), Buffer.alloc(32)]) })];
    });
  },

  async A67(b) {
    const now = now_s();
    const bad = b.make({ claims: b.isProof ? { htm: 'GET', htu: 'https://other.example/', iat: now - 9999 } : { aud: 'https://other.example/', iat: now - 9999, exp: now - 999, nbf: undefined } });
    const flipped = signatureOf(bad);
    flipped[3] ^= 1;
    return [['signature, time and audience wrong', `${inputOf(bad)}.${b64u(flipped)}`]];
  },
};

// Ed25519 points of low order, and encodings of points that are not canonical.
export const lowOrder = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0000000000000000000000000000000000000000000000000000000000000080',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  '0100000000000000000000000000000000000000000000000000000000000080',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
];

export { compact };
