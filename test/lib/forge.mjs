// The forging tool: compact JWS with any header, any payload, any signature. Shares no code with the product.
import crypto from 'node:crypto';

export const b64u = (bytes) => Buffer.from(bytes).toString('base64url');
export const now_s = () => Math.floor(Date.now() / 1000);
export const randomId = (bytes = 16) => crypto.randomBytes(bytes).toString('base64url');
export const sha256 = (text) => crypto.createHash('sha256').update(text).digest();

const json = (value) => (Buffer.isBuffer(value) || typeof value === 'string' ? value : JSON.stringify(value));

// Required members only, in the order of RFC 7638.
const thumbMembers = { EC: ['crv', 'kty', 'x', 'y'], OKP: ['crv', 'kty', 'x'], RSA: ['e', 'kty', 'n'] };

export function thumbprint(jwk) {
  const members = thumbMembers[jwk.kty];
  return b64u(sha256(JSON.stringify(Object.fromEntries(members.map((name) => [name, jwk[name]])))));
}

export class Key {
  constructor(alg, privateKey) {
    this.alg = alg;
    this.privateKey = privateKey;
    this.publicKey = crypto.createPublicKey(privateKey);
    this.jwk = this.publicKey.export({ format: 'jwk' });
    this.kid = thumbprint(this.jwk);
  }

  static generate(alg, options = {}) {
    if (alg === 'ES256') return new Key(alg, crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
    if (alg === 'ES384') return new Key(alg, crypto.generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey);
    if (alg === 'ES256K') return new Key(alg, crypto.generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey);
    if (alg === 'EdDSA' || alg === 'Ed25519') return new Key(alg, crypto.generateKeyPairSync('ed25519').privateKey);
    return new Key(alg, crypto.generateKeyPairSync('rsa', { modulusLength: 2048, ...options }).privateKey);
  }

  // The JWK as a client registers it.
  get registered() {
    return { ...this.jwk, kid: this.kid, alg: this.alg, use: 'sig' };
  }

  sign(input, alg = this.alg) {
    return signRaw(this.privateKey, alg, Buffer.from(input));
  }
}

export function signRaw(privateKey, alg, input) {
  const hash = { 256: 'sha256', 384: 'sha384', 512: 'sha512' }[alg.slice(2, 5)] ?? 'sha256';
  if (alg.startsWith('ES')) return crypto.sign(hash, input, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  if (alg.startsWith('RS')) return crypto.sign(hash, input, { key: privateKey, padding: crypto.constants.RSA_PKCS1_PADDING });
  if (alg.startsWith('PS'))
    return crypto.sign(hash, input, {
      key: privateKey,
      padding: crypto.constants.RSA_PKCS1_PSS_PADDING,
      saltLength: crypto.constants.RSA_PSS_SALTLEN_DIGEST,
    });
  return crypto.sign(null, input, privateKey);
}

export function hmac(alg, secret, input) {
  return crypto.createHmac(`sha${alg.slice(2)}`, secret).update(input).digest();
}

// header and payload: an object, JSON text, or raw bytes. signer: Key, or a function from the signing input to bytes.
export function compact(header, payload, signer) {
  const input = `${b64u(json(header))}.${b64u(json(payload))}`;
  const signature = typeof signer === 'function' ? signer(input) : signer.sign(input, header.alg ?? signer.alg);
  return `${input}.${b64u(signature)}`;
}

export function decode(token) {
  const [header, payload] = token.split('.');
  return {
    header: JSON.parse(Buffer.from(header, 'base64url').toString('utf8')),
    claims: JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')),
  };
}

export function proof(key, { method = 'POST', url, token, nonce, header = {}, claims = {} }) {
  const body = { jti: randomId(), htm: method, htu: url, iat: now_s() };
  if (token) body.ath = b64u(sha256(token));
  if (nonce) body.nonce = nonce;
  return compact({ typ: 'dpop+jwt', alg: key.alg, jwk: key.jwk, ...header }, { ...body, ...claims }, key);
}

export function assertion(key, { client, issuer, header = {}, claims = {} }) {
  const now = now_s();
  const body = { iss: client, sub: client, aud: issuer, iat: now, exp: now + 60, jti: randomId() };
  return compact(
    { typ: 'client-authentication+jwt', alg: key.alg, kid: key.kid, ...header },
    { ...body, ...claims },
    key,
  );
}
