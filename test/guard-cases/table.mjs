// The cases that every way to the guard must answer alike. Data: what is sent, what must come of it.
//
// sent:  method, path, headers, body; scheme and token ('none': no Authorization; else how the token is made, material.mjs);
//        proof (how the DPoP proof is made; absent: none); authorization replaces the whole Authorization header, a list sends several.
// want:  status; error (absent: none on the wire); challenge 'both', 'dpop' or 'none'; for 200 what the upstream is told (identity).
const bound = { bound: 'key' };
const P = (proof = {}) => ({ scheme: 'DPoP', token: bound, proof });
const allowed = { status: 200 };
const noToken = { status: 401, challenge: 'both' };
const badRequest = { status: 400, error: 'invalid_request', challenge: 'both' };
const badToken = { status: 401, error: 'invalid_token', challenge: 'both' };
const badProof = { status: 401, error: 'invalid_dpop_proof', challenge: 'dpop' };
const needsNonce = { status: 401, error: 'use_dpop_nonce', challenge: 'dpop', nonce: true };
const narrow = { status: 403, error: 'insufficient_scope', challenge: 'both' };

const IDENTITY = ['Subject', 'Client', 'Actor', 'Actor-Chain', 'Scope', 'Audience', 'Task', 'Token-Id', 'Decision'];
const spoofed = IDENTITY.flatMap((name) => [[`Deputy-${name}`, 'spoofed'], [`dEPUTY-${name.toUpperCase()}`, 'spoofed']]);

export const cases = [
  // --- what is allowed ---
  { name: 'a bearer token', want: allowed },
  { name: 'a body goes through as it is', method: 'POST', body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}', want: allowed },
  { name: 'a body in chunks goes through', method: 'POST', body: 'in two chunks', isChunked: true, want: allowed },
  { name: 'PUT with a query', method: 'PUT', path: '/api/items?x=1&y=%2F', body: 'x', want: allowed },
  { name: 'DELETE without a body', method: 'DELETE', want: allowed },
  { name: 'HEAD', method: 'HEAD', want: allowed },
  { name: 'the scheme in small letters', scheme: 'bearer', want: allowed },
  { name: 'the resource itself', path: '/api', want: allowed },
  { name: 'a bound token with its proof', ...P(), method: 'POST', body: 'x', want: allowed },
  { name: 'a bound token with an Ed25519 proof', scheme: 'DPoP', token: { bound: 'ed' }, proof: { key: 'ed' }, want: allowed },
  { name: 'htu leaves out the query', ...P(), path: '/api/items?secret=1', want: allowed },
  { name: 'htu in another spelling', ...P({ claims: { htu: 'HTTPS://RS1.EXAMPLE:443/api/%69tems' } }), path: '/api/items', want: allowed },
  { name: 'a delegated token names its actors', token: { live: 'delegated' }, want: { ...allowed, actor: true } },
  { name: 'a task is named', token: { claims: { task_id: 'trip-7' } }, want: { ...allowed, task: 'trip-7' } },
  { name: 'G2 spoofed identity headers never arrive', headers: spoofed, want: allowed },
  { name: 'G2 identity headers with underscores never arrive', headers: [['Deputy_Subject', 'spoofed'], ['deputy_actor', 'spoofed']], want: allowed },
  { name: 'G2 an assertion of the caller\'s own never arrives', headers: [['Deputy-Assertion', 'spoofed']], want: allowed },
  { name: 'G2 a Connection header cannot take identity headers away', headers: [['Connection', 'keep-alive, Deputy-Subject, Deputy-Decision, Deputy-Scope']], want: allowed },
  { name: 'B19 G5 forwarded hosts change nothing', ...P(), want: allowed,
    headers: [['X-Forwarded-Host', 'evil.example'], ['X-Forwarded-Proto', 'http'], ['Forwarded', 'host=evil.example;proto=http']] },
  { name: 'B19 G5 the Host header changes nothing', ...P(), host: 'evil.example', want: allowed },
  { name: 'G1 the caller\'s own words about method and path change nothing', ...P(), want: allowed,
    headers: [['X-Original-Method', 'DELETE'], ['X-Original-URL', 'https://evil.example/x'], ['X-Forwarded-Method', 'DELETE'], ['X-Forwarded-Uri', '/x'], ['X-HTTP-Method-Override', 'DELETE']] },
  { name: 'G1 the caller\'s own words twice change nothing', want: allowed,
    headers: ['X-Forwarded-Host', 'X-Forwarded-Uri', 'X-Forwarded-Method', 'X-Original-URL'].flatMap((name) => [[name, 'a'], [name, 'b']]) },

  // --- no credentials, or none that can be read ---
  { name: 'no token', token: 'none', want: noToken },
  { name: 'no token, POST with a body', token: 'none', method: 'POST', body: 'x', want: noToken },
  { name: 'no token, HEAD', token: 'none', method: 'HEAD', want: { ...noToken, isBare: true } },
  { name: 'A55 a token in the query is none', token: 'none', path: '/api?access_token=TOKEN', want: noToken },
  { name: 'A56 a token in the form is none', token: 'none', method: 'POST', body: 'access_token=TOKEN', headers: [['Content-Type', 'application/x-www-form-urlencoded']], want: noToken },
  { name: 'a cookie is none', token: 'none', headers: [['Cookie', 'access_token=TOKEN']], want: noToken },
  { name: 'another scheme', authorization: 'Basic eDp5', want: noToken },
  { name: 'A59 a scheme without a token', authorization: 'Bearer', want: badRequest },
  { name: 'A59 two words behind the scheme', authorization: 'Bearer TOKEN x', want: badRequest },
  { name: 'A58 G4 two Authorization lines', authorization: ['Bearer TOKEN', 'Bearer TOKEN'], want: badRequest },
  { name: 'A58 G4 Bearer and Basic', authorization: ['Bearer TOKEN', 'Basic eDp5'], want: badRequest },
  { name: 'A58 G4 two tokens in one line', authorization: 'Bearer TOKEN, Bearer TOKEN', want: badRequest },

  // --- access tokens ---
  { name: 'a token that is no JWT', authorization: 'Bearer x', want: badToken },
  { name: 'a tampered signature', token: { sign: 'flip' }, want: badToken },
  { name: 'A01 alg none', token: { header: { alg: 'none' }, sign: 'none' }, want: badToken },
  { name: 'A04 HS256 with the public key', token: { header: { alg: 'HS256' }, sign: 'hmac' }, want: badToken },
  { name: 'a key nobody knows', token: { sign: 'stranger' }, want: badToken },
  { name: 'a stranger\'s key under a known kid', token: { sign: 'stranger, known kid' }, want: badToken },
  { name: 'a key that comes with the token', token: { sign: 'stranger', header: { jwk: 'own' } }, want: badToken },
  { name: 'typ JWT', token: { header: { typ: 'JWT' } }, want: badToken },
  { name: 'an expired token', token: { at: -900 }, want: badToken },
  { name: 'a token of tomorrow', token: { at: 86400 }, want: badToken },
  { name: 'O02 the wrong audience', token: { claims: { aud: 'https://rs2.example/' } }, want: badToken },
  { name: 'no audience', token: { drop: ['aud'] }, want: badToken },
  { name: 'an audience that only begins alike', token: { claims: { aud: 'https://rs1.example/api/' } }, want: badToken },
  { name: 'another issuer', token: { claims: { iss: 'https://other.example' } }, want: badToken },
  { name: 'no end', token: { drop: ['exp'] }, want: badToken },
  { name: 'no client', token: { drop: ['client_id'] }, want: badToken },
  { name: 'a token for an agent', token: { live: 'for an agent' }, want: badToken },
  { name: 'A68 a revoked token', token: { live: 'revoked' }, want: badToken },
  { name: 'a subject that would break a header line', token: { claims: { sub: 'agent:x\r\nDeputy-Actor: y' } }, want: badToken },
  { name: 'O03 too little scope', token: { claims: { scope: 'write' } }, want: narrow },

  // --- proofs (mcp.md 4.5) ---
  { name: 'B43 a bound token as Bearer', token: bound, want: badToken },
  { name: 'B43 a bound token as Bearer, with its proof', scheme: 'Bearer', token: bound, proof: {}, want: badToken },
  { name: 'B44 an unbound token under DPoP', scheme: 'DPoP', token: {}, proof: {}, want: badToken },
  { name: 'no proof', scheme: 'DPoP', token: bound, want: badProof },
  { name: 'B02 two proofs', ...P({ twice: 'lines' }), want: badProof },
  { name: 'B02 two proofs in one line', ...P({ twice: 'comma' }), want: badProof },
  { name: 'a proof that is no JWT', ...P({ raw: 'not-a-jwt' }), want: badProof },
  { name: 'a proof with a tampered signature', ...P({ sign: 'flip' }), want: badProof },
  { name: 'a proof with alg none', ...P({ header: { alg: 'none' }, sign: 'none' }), want: badProof },
  { name: 'a proof with HS256', ...P({ header: { alg: 'HS256' }, sign: 'hmac' }), want: badProof },
  { name: 'a proof with another typ', ...P({ header: { typ: 'JWT' } }), want: badProof },
  { name: 'a proof without jwk', ...P({ header: { jwk: undefined } }), want: badProof },
  { name: 'a proof with the private key', ...P({ header: { jwk: 'private' } }), want: badProof },
  ...['jti', 'htm', 'htu', 'iat', 'ath'].map((name) => ({ name: `a proof without ${name}`, ...P({ claims: { [name]: undefined } }), want: badProof })),
  { name: 'B14 a proof for another method', ...P({ claims: { htm: 'POST' } }), want: badProof },
  { name: 'B17 a proof for another host', ...P({ claims: { htu: 'https://evil.example/api/items' } }), want: badProof },
  { name: 'B19 a proof for the host that the caller forwards', ...P({ claims: { htu: 'https://evil.example/api/items' } }), want: badProof, host: 'evil.example', headers: [['X-Forwarded-Host', 'evil.example']] },
  { name: 'a proof for another path', ...P({ claims: { htu: 'https://rs1.example/api/other' } }), want: badProof },
  { name: 'a proof for another token', ...P({ ath: 'of another token' }), want: badProof },
  { name: 'a proof of another key', ...P({ key: 'other' }), want: badToken },
  { name: 'a proof 303 s old', ...P({ at: -303 }), want: badProof },
  { name: 'a proof 303 s ahead', ...P({ at: 303 }), want: badProof },
  { name: 'B25 a proof used before', ...P({ isUsed: true }), want: badProof },
  { name: 'B39 a wrong nonce', ...P({ nonce: 'bm9uc2Vuc2U' }), want: needsNonce },
  { name: 'a bound token for another audience', scheme: 'DPoP', token: { ...bound, claims: { aud: 'https://rs2.example/' } }, proof: {}, want: badToken },
];
