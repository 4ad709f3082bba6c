// Two deputies and an identity provider: A trusts the provider and issues grants for B; B trusts A for grants.
import { GRANT } from './client.mjs';
import { Idp } from './idp.mjs';
import { World } from './world.mjs';

export const THERE = 'https://mcp.b.example/tools';
export const THERE2 = 'https://mcp.b.example/more';
export const BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
export const URN = 'urn:ietf:params:oauth:token-type:';

export class Deputies {
  static async start() {
    const one = new Deputies();
    [one.a, one.b, one.idp] = [await World.start(), await World.start(), await Idp.start()];
    await one.populateB();
    await one.populateA();
    await one.meet();
    return one;
  }

  async stop() {
    await this.a.daemon.stop();
    await this.b.daemon.stop();
    await this.idp.down();
  }

  // B: an API, and the agents and clients that A's agents are there.
  async populateB() {
    const { b } = this;
    for (const id of [THERE, THERE2]) await b.daemon.create('resources', { id, name: id, scopes: ['read', 'write', 'admin'] });
    const ceiling = [{ resource: THERE, scopes: ['read', 'write'] }, { resource: THERE2, scopes: ['read'] }];
    this.guest = await b.agent('guest', ceiling);
    this.other = await b.agent('other', ceiling);
    const grants = [BEARER, GRANT.exchange];
    this.BG = await b.client('guest', 'basic', { agent: this.guest, grants, default_resource: THERE });
    this.BO = await b.client('other', 'basic', { agent: this.other, grants, default_resource: THERE });
    this.BR = await b.client('api', 'basic', { resource: THERE });
  }

  // A: an orchestrator and its worker with rights at B, and at an API of A.
  async populateA() {
    const { a, b } = this;
    const target = { scopes: ['read'], resources: [{ resource: THERE, scopes: ['read', 'write'] }] };
    await a.daemon.create('issuers', { id: b.issuer, name: 'b', org: 'org1', uses: ['target'], target });
    const ceiling = [{ resource: THERE, scopes: ['read', 'write'] }, { resource: b.issuer, scopes: ['read'] }];
    this.orchestrator = await a.agent('traveller', ceiling);
    this.worker = await a.agent('porter', ceiling);
    this.AO = await a.client('traveller', 'basic', { agent: this.orchestrator });
    this.AW = await a.client('porter', 'basic', { agent: this.worker });
    this.AN = await a.client('nobody there', 'basic', { agent: this.worker });
    await a.daemon.create('issuers', { id: this.idp.issuer, name: 'corp', org: 'org1', uses: ['subject'], ceiling });
    target.clients = [this.AO, this.AW].map((client) => ({ client: client.id, client_id: this.BG.id }));
    await a.daemon.admin('PATCH', `/issuers/${encodeURIComponent(b.issuer)}`, { target }, { want: 200 });
  }

  async meet() {
    const { a, b } = this;
    await b.daemon.create('issuers', {
      id: a.issuer, name: 'a', org: 'org1', uses: ['id-jag'], lifetime_max_s: 300, ceiling: [{ resource: THERE, scopes: ['read', 'write'] }],
    });
  }

  idToken(claims = {}) {
    return this.idp.token({ aud: this.a.issuer, claims });
  }

  // The exchange at A: a user's ID token becomes a grant for B.
  forUser(pairs = {}, { client = this.AO, type = 'id-jag', claims = {} } = {}) {
    return client.exchange(this.idToken(claims), {
      subject_token_type: `${URN}id_token`, requested_token_type: URN + type, audience: this.b.issuer, ...pairs,
    });
  }

  grant(assertion, pairs = {}, client = this.BG) {
    return client.token({ grant_type: BEARER, assertion, ...pairs });
  }
}
