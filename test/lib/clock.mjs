// The daemon's clock in a test's hand: moved, or standing still.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from './daemon.mjs';
import { now_s } from './forge.mjs';

export class Clock {
  constructor() {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
    this.file = path.join(this.folder, 'clock');
    const library = path.join(this.folder, 'clock.so');
    execFileSync(process.env.CC ?? 'gcc', ['-shared', '-fPIC', '-O1', '-o', library, path.join(root, 'test/lib/clock.c'), '-ldl']);
    this.write(0, 0);
    // A sanitizer wants to be first; here it is not, and that is well.
    const asan = [process.env.ASAN_OPTIONS, 'verify_asan_link_order=0'].filter(Boolean).join(':');
    this.env = { LD_PRELOAD: library, TEST_CLOCK: this.file, ASAN_OPTIONS: asan };
  }

  write(offset_s, frozen_s) {
    const bytes = Buffer.alloc(16);
    bytes.writeBigInt64LE(BigInt(offset_s), 0);
    bytes.writeBigInt64LE(BigInt(frozen_s), 8);
    // In place: the file is mapped.
    const fd = fs.openSync(this.file, fs.existsSync(this.file) ? 'r+' : 'w');
    fs.writeSync(fd, bytes, 0, 16, 0);
    fs.closeSync(fd);
    this.offset_s = offset_s;
    this.frozen_s = frozen_s;
  }

  // The daemon's time as it is now.
  get now() {
    return this.frozen_s || now_s() + this.offset_s;
  }

  move(offset_s) {
    this.write(offset_s, 0);
  }

  freeze(at_s = now_s()) {
    this.write(this.offset_s, at_s);
    return at_s;
  }

  done() {
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
