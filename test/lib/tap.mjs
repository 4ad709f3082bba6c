// A small TAP runner: named rows, run in order, one line each. Checks throw; a row that throws has failed.
import { inspect, isDeepStrictEqual } from 'node:util';

// Node tells about its SQLite reader at every start; what else it warns of is shown.
process.removeAllListeners('warning');
process.on('warning', (warning) => {
  if (warning.name !== 'ExperimentalWarning') console.error(warning.stack);
});

export class CheckError extends Error {}
export class Skip extends Error {}

let checks = 0;

export function check(condition, message) {
  checks += 1;
  if (!condition) throw new CheckError(typeof message === 'function' ? message() : message);
}

export function equal(got, want, message) {
  check(isDeepStrictEqual(got, want), () => `${message}: got ${inspect(got)}, want ${inspect(want)}`);
}

export function oneOf(got, wants, message) {
  check(wants.includes(got), () => `${message}: got ${inspect(got)}, want one of ${inspect(wants)}`);
}

export function skip(why) {
  throw new Skip(why);
}

function timed(promise, limit_ms) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${limit_ms} ms`)), limit_ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export class Suite {
  constructor(name) {
    this.name = name;
    this.rows = [];
    this.ends = [];
  }

  row(name, run, { limit_ms = 60000 } = {}) {
    this.rows.push({ name, run, limit_ms });
  }

  // Runs after all rows, last one first.
  end(run) {
    this.ends.unshift(run);
  }

  async run() {
    const only = process.env.TEST_ONLY ? new RegExp(process.env.TEST_ONLY) : null;
    let number = 0;
    let failed = 0;
    console.log('TAP version 13');
    for (const row of this.rows) {
      if (only && !only.test(row.name)) continue;
      number += 1;
      const before = checks;
      const label = row.name.replace(/#/g, '\\#');
      try {
        await timed(Promise.resolve().then(row.run), row.limit_ms);
        if (checks === before) throw new CheckError('the row checked nothing');
        console.log(`ok ${number} - ${label}`);
      } catch (error) {
        if (error instanceof Skip) {
          console.log(`ok ${number} - ${label} # SKIP ${error.message}`);
          continue;
        }
        failed += 1;
        console.log(`not ok ${number} - ${label}`);
        const text = error instanceof CheckError ? error.message : String(error?.stack ?? error);
        for (const line of text.split('\n')) console.log(`# ${line}`);
      }
    }
    for (const end of this.ends)
      try {
        await end();
      } catch (error) {
        number += 1;
        failed += 1;
        console.log(`not ok ${number} - an orderly end`);
        for (const line of String(error.message).split('\n')) console.log(`# ${line}`);
      }
    console.log(`1..${number}`);
    console.log(`# ${this.name}: ${checks} checks`);
    process.exit(failed ? 1 : 0);
  }
}
