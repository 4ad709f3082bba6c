// The doors through which a JOSE object enters (attacks 2.2): how a good one looks there, how to bring one in, what a refusal is.
import { Client, GRANT, TYPE, basic } from '../lib/client.mjs';
import { Key, compact, decode, now_s, randomId } from '../lib/forge.mjs';
import { checkEcho } from '../lib/ledger.mjs';
import { equal, check } from '../lib/tap.mjs';
import { Answer } from '../lib/wire.mjs';
import { RS1, likeAccessToken } from '../lib/world.mjs';

// What a case gets: a good object, taken apart, and the means to make a bad one of it.
export class Base {
  constructor(door, { header, claims, key }) {
    Object.assign(this, { door, header, claims, key });
  }

  get issuer() {
    return this.door.world.issuer;
  }

  // header, claims: members to set; undefined removes one. rawHeader, rawClaims: the JSON text instead.
  make({ header = {}, claims = {}, rawHeader, rawClaims, key = this.key, sign } = {}) {
    const head = rawHeader ?? { ...this.header, ...header };
    const body = rawClaims ?? { ...this.claims, jti: randomId(), ...claims };
    return compact(head, body, sign ?? ((input) => key.sign(input, this.key.alg === key.alg ? key.alg : undefined)));
  }

  get isToken() {
    return this.door.kind === 'token';
  }

  get isAssertion() {
    return this.door.kind === 'assertion';
  }

  get isProof() {
    return this.door.kind === 'proof';
  }
}

class Door {
  constructor(world, ledger) {
    this.world = world;
    this.ledger = ledger;
    this.wires = [];
  }

  get wire() {
    this.ownWire ??= this.world.daemon.wire();
    return this.ownWire;
  }

  async bring(object, label) {
    this.ledger.plantToken(object);
    // More than any request may carry: the server may answer before it has read everything, and close.
    const answer = await this.present(object).catch((error) => {
      if (object.length < 65536) throw error;
      return new Answer(413, [], Buffer.alloc(0));
    });
    checkEcho(answer, object, label);
    return answer;
  }

  // The object must be refused here.
  async refuse(object, label) {
    const answer = await this.bring(object, `${this.id} ${label}`);
    this.refused(answer, `${this.id} ${label}`);
    return answer;
  }
}

export class TokenDoor extends Door {
  kind = 'token';
  algs = ['ES256', 'EdDSA', 'RS256', 'PS256'];

  async base(alg = 'ES256') {
    this.minted ??= await this.mint();
    const key = this.world.keys[alg];
    const { header, claims } = likeAccessToken(this.minted, { header: { alg: key.alg, kid: key.kid } });
    return new Base(this, { header, claims, key });
  }

  async mint() {
    return this.world.CB.get({ scope: 'read' });
  }
}

export class SubjectDoor extends TokenDoor {
  id = 'd2 subject_token';
  present(object) {
    return this.world.CB.over(this.wire).exchange(object, { resource: RS1 });
  }
  refused(answer, label) {
    this.ledger.refusal(answer, { status: [400, 413], error: 'invalid_request', label });
  }
  accepted(answer, label) {
    this.ledger.token(answer, label);
  }
}

export class ActorDoor extends TokenDoor {
  id = 'd2 actor_token';
  mint() {
    return this.world.CB.get({ resource: this.world.issuer });
  }
  async present(object) {
    this.subject ??= await this.world.CB.get({ scope: 'read' });
    return this.world.CB.over(this.wire).exchange(this.subject, {
      resource: RS1,
      actor_token: object,
      actor_token_type: TYPE.access,
    });
  }
  refused(answer, label) {
    this.ledger.refusal(answer, { status: [400, 413], error: 'invalid_request', label });
  }
  accepted(answer, label) {
    this.ledger.token(answer, label);
  }
}

export class IntrospectDoor extends TokenDoor {
  id = 'd6 introspection';
  present(object) {
    return this.world.R1.over(this.wire).introspect(object);
  }
  refused(answer, label) {
    if (answer.status === 200) this.ledger.inactive(answer, label);
    else this.ledger.refusal(answer, { status: [400, 413], error: 'invalid_request', label });
  }
  accepted(answer, label) {
    equal([answer.status, answer.json?.active], [200, true], label);
    this.ledger.answer(answer, 'allow', label);
  }
}

export class RevokeDoor extends TokenDoor {
  id = 'd7 revocation';
  present(object) {
    return this.world.CB.over(this.wire).revoke(object);
  }
  async entries() {
    return (await this.world.daemon.admin('GET', '/revocations', undefined, { want: 200 })).json.items.length;
  }
  // Nothing is revoked: looked at once for each row, by `before` and `after`.
  refused(answer, label) {
    if (answer.status === 200) this.ledger.answer(answer, 'any', label);
    else this.ledger.refusal(answer, { status: [400, 413], label });
  }
  async before() {
    this.count = await this.entries();
  }
  async after(label) {
    equal(await this.entries(), this.count, `${label}: revocations`);
  }
  accepted(answer, label) {
    equal(answer.status, 200, label);
    this.ledger.answer(answer, 'allow', label);
  }
}

export class AssertionDoor extends Door {
  id = 'd3 client_assertion';
  kind = 'assertion';
  algs = ['ES256', 'EdDSA', 'RS256', 'PS256'];

  client(alg = 'ES256') {
    return { ES256: this.world.C1, EdDSA: this.world.CE, RS256: this.world.CR, PS256: this.world.CS }[alg];
  }

  async base(alg = 'ES256') {
    const client = this.client(alg);
    const now = now_s();
    return new Base(this, {
      header: { typ: 'client-authentication+jwt', alg, kid: client.key.kid },
      claims: { iss: client.id, sub: client.id, aud: this.world.issuer, iat: now, exp: now + 60, jti: randomId() },
      key: client.key,
    });
  }

  present(object) {
    return this.world.C1.over(this.wire).token(
      { grant_type: GRANT.credentials, scope: 'read', client_assertion_type: TYPE.assertion, client_assertion: object },
      { credentials: [[], []] },
    );
  }

  refused(answer, label) {
    this.ledger.refusal(answer, { status: [401, 400, 413], error: ['invalid_client', 'invalid_request'], label });
    if (answer.status === 401) equal(answer.header('www-authenticate'), null, `${label}: WWW-Authenticate`);
    if (answer.status === 400) equal(answer.json.error, 'invalid_request', label);
  }

  accepted(answer, label) {
    this.ledger.token(answer, label);
  }
}

// A JWT by which a client with keys says who acts: its agent, once (rfc8693#2.1).
export class ActorJwtDoor extends AssertionDoor {
  id = 'd2 actor JWT';

  async open() {
    this.keys = Object.fromEntries(this.algs.map((alg) => [alg, Key.generate(alg)]));
    const body = { name: 'actor', auth: 'private_key_jwt', agent: this.world.helper.id, grants: [GRANT.credentials, GRANT.exchange], default_resource: RS1,
      jwks: { keys: this.algs.map((alg) => this.keys[alg].registered) } };
    const { id } = await this.world.daemon.create('clients', body);
    this.actor = new Client(this.world.daemon, { id, key: this.keys.ES256, auth: 'jwt' });
    this.subject = await this.actor.get({ scope: 'read' });
  }

  async base(alg = 'ES256') {
    if (!this.actor) await this.open();
    const key = this.keys[alg];
    const now = now_s();
    const claims = { iss: this.actor.id, sub: this.world.helper.id, aud: this.world.issuer, iat: now, exp: now + 60, jti: randomId() };
    return new Base(this, { header: { typ: 'JWT', alg, kid: key.kid }, claims, key });
  }

  present(object) {
    return this.actor.over(this.wire).exchange(this.subject, { resource: RS1, actor_token: object, actor_token_type: TYPE.jwt });
  }

  refused(answer, label) {
    this.ledger.refusal(answer, { status: [400, 413], error: 'invalid_request', label });
  }
}

export class ProofDoor extends Door {
  id = 'd4 DPoP at the token endpoint';
  kind = 'proof';
  algs = ['ES256', 'EdDSA']; // RSA keys are not accepted in proofs
  inHeader = true;

  get url() {
    return `${this.world.issuer}/oauth/token`;
  }

  async base(alg = 'ES256') {
    this.keys ??= {};
    this.keys[alg] ??= Key.generate(alg);
    const key = this.keys[alg];
    return new Base(this, {
      header: { typ: 'dpop+jwt', alg, jwk: key.jwk },
      claims: { htm: 'POST', htu: this.url, iat: now_s(), jti: randomId() },
      key,
    });
  }

  present(object) {
    return this.world.CB.over(this.wire).token({ scope: 'read' }, { proof: object });
  }

  refused(answer, label) {
    const statuses = [400, 431];
    check(statuses.includes(answer.status), () => `${label}: ${answer.status} ${answer.text.slice(0, 300)}`);
    this.ledger.refusal(answer, { status: statuses, error: 'invalid_dpop_proof', label });
  }

  accepted(answer, label) {
    this.ledger.token(answer, label);
    equal(answer.json.token_type, 'DPoP', `${label}: token_type`);
  }
}

export function serverDoors(world, ledger) {
  return [SubjectDoor, ActorDoor, ActorJwtDoor, IntrospectDoor, RevokeDoor, AssertionDoor, ProofDoor].map((Kind) => new Kind(world, ledger));
}

export { RS1, basic, decode };
