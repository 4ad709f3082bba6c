// Certification authorities and certificates of a test, made by openssl.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

export const hasOpenssl = (() => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

const stamp = (days) => `${new Date(Date.now() + days * 86400000).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;
const CA = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];

export class Authority {
  // `more`: lines of extensions, such as nameConstraints.
  constructor(folder, name, { by = null, more = [] } = {}) {
    this.folder = path.join(folder, name);
    this.name = name;
    this.count = 0;
    fs.mkdirSync(this.folder);
    fs.writeFileSync(path.join(this.folder, 'index.txt'), '');
    fs.writeFileSync(path.join(this.folder, 'ca.cnf'), ['[ca]', 'default_ca=here', '[here]', `database=${this.folder}/index.txt`, `new_certs_dir=${this.folder}`,
      'rand_serial=yes', 'unique_subject=no', 'default_md=sha256', 'policy=any', '[any]', 'commonName=supplied', ''].join('\n'));
    const made = (by ?? this).issue(name, { extensions: [...CA, ...more], isSelf: by === null });
    this.cert = made.certFile;
    this.key = made.keyFile;
    this.pem = made.cert;
  }

  // A key and a certificate for it: `extensions` are lines of openssl's form, `from` and `until` days from now.
  issue(name, { extensions = [], from = -1, until = 2, isSelf = false }) {
    this.count += 1;
    const file = (ending) => path.join(this.folder, `${this.count}.${ending}`);
    execFileSync('openssl', ['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file('key'), '-out', file('csr'), '-subj', `/CN=${name}`],
      { stdio: 'pipe' });
    fs.writeFileSync(file('ext'), `${extensions.join('\n')}\n`);
    execFileSync('openssl', ['ca', '-batch', '-notext', '-config', path.join(this.folder, 'ca.cnf'), '-keyfile', isSelf ? file('key') : this.key,
      ...(isSelf ? ['-selfsign'] : ['-cert', this.cert]), '-startdate', stamp(from), '-enddate', stamp(until), '-extfile', file('ext'), '-in', file('csr'), '-out', file('pem')], { stdio: 'pipe' });
    return { key: fs.readFileSync(file('key'), 'utf8'), cert: fs.readFileSync(file('pem'), 'utf8'), keyFile: file('key'), certFile: file('pem') };
  }

  // For a client of TLS: `san` as openssl writes it.
  client(name, { san = null, usage = 'clientAuth', ...more } = {}) {
    const extensions = ['basicConstraints=CA:FALSE', `extendedKeyUsage=${usage}`, ...(san ? [`subjectAltName=${san}`] : [])];
    return this.issue(name, { ...more, extensions });
  }

  // The same without anybody's word but its own.
  static self(folder, name) {
    return new Authority(folder, name).issue(name, { isSelf: true, extensions: ['basicConstraints=CA:FALSE'] });
  }

  // For a server; nobody else can be it.
  leaf(san, more = {}) {
    return this.issue('server', { ...more, extensions: [`subjectAltName=${san}`, 'basicConstraints=CA:FALSE', 'extendedKeyUsage=serverAuth', ...(more.extensions ?? [])] });
  }
}
