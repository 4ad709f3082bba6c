// Who may use the admin socket: root, the daemon's own user, and those whom admin_uids names; told by the kernel, not by the caller.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Daemon } from '../lib/daemon.mjs';
import { Suite, check, equal, skip } from '../lib/tap.mjs';

const OTHER = 65534;
const suite = new Suite('peers of the admin socket');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
const socketPath = path.join(folder, 'admin.sock');
const isRoot = process.getuid() === 0;
let daemon = null;

suite.end(() => fs.rmSync(folder, { recursive: true, force: true }));

// A daemon whose socket anybody on the machine can reach.
async function start(config) {
  daemon = await Daemon.start({ config: { admin_socket: socketPath, ...config } });
  daemon.socket = socketPath;
  fs.chmodSync(folder, 0o755);
  fs.chmodSync(socketPath, 0o666);
}

// One request by another user: the process gives root up before it connects.
const script = `
  process.setgroups([]); process.setgid(${OTHER}); process.setuid(${OTHER});
  const [socketPath, method, path, body] = process.argv.slice(1);
  const headers = { Host: 'localhost', ...(body ? { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) } : {}) };
  const request = require('node:http').request({ socketPath, method, path, headers }, (answer) => {
    let text = '';
    answer.on('data', (chunk) => { text += chunk; });
    answer.on('end', () => process.stdout.write(JSON.stringify({ status: answer.statusCode, id: answer.headers['deputy-decision'], text })));
  });
  request.end(body);
`;
function asOther(method, resource, body = '') {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['-e', script, socketPath, method, `/admin/v1${resource}`, body], { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '', fault = '';
    child.stdout.on('data', (chunk) => { out += chunk; });
    child.stderr.on('data', (chunk) => { fault += chunk; });
    child.on('close', (code) => (code === 0 ? resolve(JSON.parse(out)) : reject(new Error(fault))));
  });
}
const agent = (name) => JSON.stringify({ name, owner: 'team@example', org: 'org1', ceiling: [] });

suite.row('another user is refused, reading and writing, and the attempt is recorded', async () => {
  if (!isRoot) skip('only root can be another user');
  await start({});
  for (const [method, resource, body] of [['GET', '/agents'], ['GET', '/config'], ['POST', '/agents', agent('intruder')], ['GET', '/nothing']]) {
    const answer = await asOther(method, resource, body);
    equal([answer.status, JSON.parse(answer.text).status], [403, 403], `${method} ${resource}: ${answer.text}`);
    const found = daemon.audit().filter((record) => record.id === answer.id);
    equal(found.map((one) => [one.event, one.outcome, one.reason, one.principal]), [['admin.refused', 'deny', 'ADMIN_FORBIDDEN', `uid:${OTHER}`]], 'its record');
  }
  // The twin: the daemon's own user is let in, and the intruder made nothing.
  const list = await daemon.admin('GET', '/agents', undefined, { want: 200 });
  check(!list.text.includes('intruder'), 'nothing was made');
  equal((await daemon.admin('POST', '/agents', JSON.parse(agent('own')))).status, 201, 'twin');
  await daemon.stop();
});

suite.row('a user whom admin_uids names is let in', async () => {
  if (!isRoot) skip('only root can be another user');
  await start({ admin_uids: `[1, ${OTHER}]` });
  equal((await asOther('GET', '/agents')).status, 200, 'reads');
  const made = await asOther('POST', '/agents', agent('named'));
  equal(made.status, 201, made.text);
  equal(daemon.audit().find((record) => record.id === made.id).principal, `uid:${OTHER}`, 'the record says who');
  equal((await daemon.admin('GET', '/config')).json.admin_uids, [1, OTHER], 'shown in the configuration in force');
  await daemon.stop();
});

suite.row('the own user is let in whatever admin_uids names', async () => {
  await start({ admin_uids: '[1]' });
  equal((await daemon.admin('GET', '/agents')).status, 200, 'reads');
  if (isRoot) equal((await asOther('GET', '/agents')).status, 403, 'a user who is not named');
  await daemon.stop();
});

await suite.run();
