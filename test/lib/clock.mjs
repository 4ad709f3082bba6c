// The daemon's clock in a test's hand: moved, or standing still.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { now_s } from './forge.mjs';
import { preload } from './preload.mjs';

export class Clock {
  constructor() {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'deputy-test-'));
    this.file = path.join(this.folder, 'clock');
    this.write(0, 0);
    this.env = { ...preload('clock', this.folder), TEST_CLOCK: this.file };
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
