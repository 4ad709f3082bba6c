// Every hostile case of the groups that this version answers for is a named test, or stands in not-applicable.txt with a reason.
import fs from 'node:fs';
import path from 'node:path';
import { root } from '../lib/daemon.mjs';
import { Suite, check, equal, skip } from '../lib/tap.mjs';

const GROUPS = ['A', 'B', 'C', 'D', 'F', 'H', 'K', 'N', 'O'];
const suite = new Suite('attack coverage');
const shared = process.env.DEPUTY_SHARED;
const file = shared ? path.join(shared, 'attacks', 'cases.json') : null;
const listed = file && fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : null;

function* files(folder) {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name.startsWith('.')) continue;
    const at = path.join(folder, entry.name);
    if (entry.isDirectory()) yield* files(at);
    else if (/(_test\.c|\.mjs)$/.test(entry.name) && !at.endsWith('coverage.mjs')) yield at;
  }
}

// Names of tests: C rows, rows of a suite, tables of cases.
const PATTERNS = {
  c: [/DEP_TEST\(\s*([A-Za-z0-9_]+)/g],
  mjs: [/\brow\(\s*(['"`])(.*?)\1/g, /^\s+async ([A-P]\d\d)\(/gm, /^\s*'([A-P]\d\d [^']*)':/gm],
};

const named = new Map();
for (const folder of ['src', 'test'])
  for (const at of files(path.join(root, folder))) {
    const text = fs.readFileSync(at, 'utf8');
    for (const pattern of at.endsWith('.c') ? PATTERNS.c : PATTERNS.mjs)
      for (const match of text.matchAll(pattern))
        for (const id of (match[2] ?? match[1]).match(/(?<![A-Za-z0-9])[A-P]\d\d(?![0-9])/gi) ?? [])
          named.set(id.toUpperCase(), [...(named.get(id.toUpperCase()) ?? []), path.relative(root, at)]);
  }

const reasons = new Map();
for (const line of fs.readFileSync(path.join(root, 'test/attack/not-applicable.txt'), 'utf8').split('\n')) {
  if (line === '' || line.startsWith('#')) continue;
  const [id, ...words] = line.split(/\s+/);
  reasons.set(id, words.join(' '));
}

suite.row('the list of what is not applicable gives a reason for each, and names nothing twice', async () => {
  for (const [id, reason] of reasons) {
    check(/^[A-P]\d\d$/.test(id), id);
    check(reason.length > 20, `${id}: a reason`);
    check(!named.has(id), `${id} has a test: ${named.get(id)}`);
    if (listed) check(listed.some((one) => one.id === id), `${id} is no case`);
  }
  check(reasons.size > 0, 'read');
});

for (const group of GROUPS)
  suite.row(`group ${group}: every case has a test or a reason`, async () => {
    if (!listed) skip('the list of cases is not here (DEPUTY_SHARED)');
    const cases = listed.filter((one) => one.group === group);
    check(cases.length >= 8, 'cases');
    const open = cases.filter(({ id }) => !named.has(id) && !reasons.has(id)).map(({ id }) => id);
    equal(open, [], 'cases without a test and without a reason');
    const tested = cases.filter(({ id }) => named.has(id)).length;
    console.log(`# group ${group}: ${cases.length} cases, ${tested} tested, ${cases.length - tested} not applicable yet`);
  });

await suite.run();
