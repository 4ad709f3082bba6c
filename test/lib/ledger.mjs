// What holds for every answer, whatever the case (attacks G1-G6), and what is checked over everything written at the end.
import { check, equal } from './tap.mjs';

const TEXT = /^[\x20-\x21\x23-\x5B\x5D-\x7E]*$/;
const ULID = /^[0-9A-HJKMNP-TV-Z]{26}$/;
// Refused before anybody read the request: nothing was decided, so there is no decision id and no record. The body still says `error`, and
// nobody may keep it (flow/http_k, K37).
const FRAMING = [408, 411, 413, 414, 417, 431, 501, 505];

export class Ledger {
  constructor() {
    this.decisions = new Map();
    this.planted = new Set();
    this.shown = new Set();
  }

  // A text that must appear nowhere: not in an answer, not in a log.
  plant(...texts) {
    for (const text of texts) if (typeof text === 'string' && text.length >= 20) this.planted.add(text);
  }

  // The parts of a JOSE object that nobody may repeat: its signature, and the whole of it.
  plantToken(token) {
    if (typeof token !== 'string') return;
    this.plant(token);
    const parts = token.split('.', 4);
    if (parts.length === 3) this.plant(parts[2]);
  }

  answer(answer, outcome, label) {
    const id = answer.header('deputy-decision');
    if (FRAMING.includes(answer.status)) return;
    check(id && ULID.test(id), () => `${label}: no decision id on ${answer.status} ${answer.text.slice(0, 200)}`);
    check(!this.decisions.has(id), () => `${label}: a decision id twice: ${id}`);
    this.decisions.set(id, { outcome, label });
  }

  // G1, G2: a refusal as OAuth says it.
  refusal(answer, { status, error, label }) {
    const statuses = [status].flat();
    const errors = error === undefined ? null : [error].flat();
    check(
      statuses.includes(answer.status),
      () => `${label}: ${answer.status} ${answer.text.slice(0, 300)}, want ${statuses} ${errors ?? ''}`,
    );
    this.answer(answer, 'deny', label);
    if (FRAMING.includes(answer.status)) return;
    equal(answer.count('cache-control'), 1, `${label}: Cache-Control`);
    check(/\bno-store\b/.test(answer.header('cache-control')), `${label}: no-store`);
    check(/^application\/json\b/.test(answer.header('content-type') ?? ''), () => `${label}: type ${answer.header('content-type')}`);
    const body = answer.json;
    check(body && typeof body === 'object', () => `${label}: the body is not JSON: ${answer.text.slice(0, 200)}`);
    if (errors) check(errors.includes(body.error), () => `${label}: error ${body.error}, want ${errors}: ${answer.text}`);
    check(TEXT.test(body.error), `${label}: error has other characters`);
    check(TEXT.test(body.error_description ?? ''), () => `${label}: error_description: ${body.error_description}`);
    equal(body.decision, answer.header('deputy-decision'), `${label}: decision in body and header`);
  }

  // A good answer of the token endpoint.
  token(answer, label) {
    check(answer.status === 200, () => `${label}: ${answer.status} ${answer.text.slice(0, 400)}`);
    this.answer(answer, 'allow', label);
    check(/\bno-store\b/.test(answer.header('cache-control') ?? ''), `${label}: no-store`);
    check(typeof answer.json?.access_token === 'string', `${label}: no access_token`);
    const token = answer.json.access_token;
    this.plantToken(token);
    this.shown.add(token);
    return token;
  }

  inactive(answer, label) {
    equal([answer.status, answer.text], [200, '{"active":false}'], label);
    check(/\bno-store\b/.test(answer.header('cache-control') ?? ''), `${label}: no-store`);
    this.answer(answer, 'any', label);
  }

  // G3, G5 over everything the daemon wrote.
  settle(daemon) {
    const records = daemon.audit();
    const byId = new Map();
    for (const record of records) byId.set(record.id, [...(byId.get(record.id) ?? []), record]);
    for (const [id, { outcome, label }] of this.decisions) {
      const found = byId.get(id) ?? [];
      equal(found.length, 1, `${label}: records of decision ${id}`);
      if (outcome !== 'any') equal(found[0].outcome, outcome, `${label}: outcome of ${id} (${found[0].reason})`);
      if (outcome === 'deny') check(found[0].reason, `${label}: a refusal without a reason`);
    }
    const text = daemon.artefacts();
    const words = new Set(text.match(/[A-Za-z0-9_-]{20,}/g));
    for (const secret of this.planted) {
      const pieces = secret.split(/[^A-Za-z0-9_-]+/).filter((piece) => piece.length >= 20);
      const last = pieces[pieces.length - 1];
      if (last === undefined) check(!text.includes(secret), 'a planted secret was written');
      else check(!words.has(last), () => `a planted secret was written: ${secret.slice(0, 12)}…`);
    }
    return records;
  }
}

// No answer may repeat what was sent.
export function checkEcho(answer, sent, label) {
  const head = answer.list.map(([name, value]) => `${name}: ${value}`).join('\n');
  for (const text of [sent].flat())
    if (typeof text === 'string' && text.length >= 20)
      check(!answer.text.includes(text) && !head.includes(text), `${label}: the answer repeats what was sent`);
}
