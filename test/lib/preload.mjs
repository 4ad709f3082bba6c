// A library of this folder that a daemon is started with, made anew for each test.
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { root } from './daemon.mjs';

// `name` without its ending; the environment in which a daemon loads it.
export function preload(name, folder) {
  const library = path.join(folder, `${name}.so`);
  const [compiler, ...flags] = (process.env.CC || 'gcc').split(/\s+/);
  execFileSync(compiler, [...flags, '-shared', '-fPIC', '-O1', '-D_GNU_SOURCE', '-o', library, path.join(root, 'test/lib', `${name}.c`), '-ldl']);
  // A sanitizer wants to be first; here it is not, and that is well.
  return { LD_PRELOAD: library, ASAN_OPTIONS: [process.env.ASAN_OPTIONS, 'verify_asan_link_order=0'].filter(Boolean).join(':') };
}
