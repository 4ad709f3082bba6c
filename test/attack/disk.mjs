// The disk is full: nothing is answered that was not recorded, and everything works again when there is room.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Process, program } from '../lib/daemon.mjs';
import { TYPE } from '../lib/client.mjs';
import { Key, decode, proof } from '../lib/forge.mjs';
import { Suite, check, equal, oneOf, skip } from '../lib/tap.mjs';
import { World } from '../lib/world.mjs';

const suite = new Suite('attack: a full disk');
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
const filler = path.join(dir, 'filler');
let isMounted = false;
try {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=700', 'tmpfs', dir], { stdio: 'ignore' });
  isMounted = true;
} catch {
  // Only root may, and not everywhere.
}

// Takes all room that is left.
function fill() {
  const fd = fs.openSync(filler, 'a');
  for (const size of [65536, 4096, 1])
    for (;;)
      try {
        fs.writeSync(fd, Buffer.alloc(size, 'x'));
      } catch {
        break;
      }
  fs.closeSync(fd);
}

const answered = [];
let world;

suite.row('B36 the disk is full: 503 with Retry-After, no token; and back', async () => {
  if (!isMounted) skip('no file system of its own can be mounted here');
  world = await World.start({ dir });
  const { daemon, CB, C1 } = world;
  const url = `${world.issuer}/oauth/token`;
  const key = Key.generate('ES256');
  const used = proof(key, { url });
  const assertion = C1.assertion({ claims: { iat: Math.floor(Date.now() / 1000) + 5 } });
  const withProof = () => CB.token({}, { proof: used });
  const withAssertion = () => C1.token({}, { credentials: [[], [['client_assertion_type', TYPE.assertion], ['client_assertion', assertion]]] });
  const note = (answer) => {
    if (answer.status === 200 && answer.json.access_token) answered.push(decode(answer.json.access_token).claims.jti);
    return answer;
  };
  for (let i = 0; i < 20; i += 1) equal(note(await CB.token({})).status, 200, 'before');
  for (let round = 0; round < 3; round += 1) {
    fill();
    let refused = 0;
    for (let i = 0; i < 300 && refused < 10; i += 1) {
      const answer = note(await CB.token({}));
      if (answer.status === 200) continue;
      equal([answer.status, answer.json.access_token], [503, undefined], answer.text);
      check(Number(answer.header('retry-after')) >= 1, 'Retry-After');
      refused += 1;
      fill();
    }
    check(refused > 0, 'the disk was full');
    if (round === 0) {
      for (const [label, ask] of [['a proof', withProof], ['an assertion dated ahead', withAssertion]]) {
        const answer = note(await ask());
        equal([answer.status, answer.json.access_token], [503, undefined], label);
      }
      equal((await daemon.admin('POST', '/agents', { name: 'x', owner: 'x@x', org: 'o', ceiling: [] })).status, 503, 'the admin API too');
    }
    // A refusal is recorded too: when there is no room even for that one line, it cannot be answered.
    oneOf((await CB.token({ scope: 'none-such' })).status, [400, 503], 'a refusal');
    fs.rmSync(filler);
    let answer;
    for (let i = 0; i < 100; i += 1) {
      answer = note(await CB.token({}));
      if (answer.status === 200) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    equal(answer.status, 200, `round ${round}: with room again`);
  }
  // What was answered with 503 used nothing up, or stays used: never two tokens.
  for (const ask of [withProof, withAssertion]) {
    const first = note(await ask());
    const second = note(await ask());
    check(second.status !== 200, 'two tokens');
    oneOf(first.status, [200, 400, 401], first.text);
  }
});

suite.row('B36 after the full disk: every answered token has its record, the log is whole', async () => {
  if (!isMounted) skip('no file system of its own can be mounted here');
  const { daemon } = world;
  await daemon.restart('SIGKILL');
  const known = new Set(daemon.audit().map((record) => record.jti));
  for (const jti of answered) check(known.has(jti), 'an answer without a record');
  check(answered.length > 20, 'answers');
  await daemon.down();
  const command = program('deputy');
  if (command) {
    const verify = new Process(command, ['audit', 'verify', '--data', daemon.data]);
    equal((await verify.ended).code, 0, `${verify.stdout} ${verify.stderr}`);
  }
});

suite.end(async () => {
  if (world && !world.daemon.process.exit) await world.daemon.down();
  if (isMounted) execFileSync('umount', [dir]);
  fs.rmSync(dir, { recursive: true, force: true });
});
await suite.run();
