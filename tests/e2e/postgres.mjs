// SPDX-License-Identifier: Apache-2.0
// A PostgreSQL server of a test's own, on a unix socket in a folder of its own.
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { eventually } from './server.mjs';

// TENON_POSTGRES_BIN, or the newest of the system.
function binFolder() {
  const given = process.env.TENON_POSTGRES_BIN;
  if (given) return given;
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(a) - Number(b)) : [];
  if (versions.length === 0) throw new Error(`PostgreSQL is not installed under ${root}`);
  return join(root, versions.at(-1), 'bin');
}

export class Postgres {
  constructor() {
    // PostgreSQL does not run as root.
    const id = (flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
    this.as = process.getuid() === 0 ? { uid: id('-u'), gid: id('-g') } : {};
    this.bin = binFolder();
    this.folder = mkdtempSync('/tmp/tenon-pg-');
    this.data = join(this.folder, 'data');
    if (this.as.uid) chownSync(this.folder, this.as.uid, this.as.gid);
    this.run('initdb', '-D', this.data, '-U', 'tenon', '--auth=trust', '--no-sync', '--locale=C.UTF-8', '--encoding=UTF8');
  }

  run(program, ...words) {
    return execFileSync(join(this.bin, program), words, { ...this.as, cwd: this.folder, encoding: 'utf8', stdio: 'pipe' });
  }

  async start() {
    this.child = spawn(join(this.bin, 'postgres'), ['-D', this.data, '-k', this.folder, '-c', 'listen_addresses='],
      { ...this.as, cwd: this.folder, stdio: 'ignore' });
    this.exited = once(this.child, 'exit');
    await eventually('PostgreSQL accepts connections', () => {
      if (this.child.exitCode !== null) throw new Error(`postgres exited with ${this.child.exitCode}`);
      return this.query('SELECT 1', 'postgres') === '1';
    });
    return this;
  }

  // Rows as lines, columns apart by |.
  query(sql, database = 'tenon') {
    return this.run('psql', '-h', this.folder, '-U', 'tenon', '-d', database, '-AtXqc', sql).trim();
  }

  async kill() {
    this.child.kill('SIGKILL');
    await this.exited;
  }

  // Settings of tenon.storage.postgres for a Server.
  get settings() {
    const at = '/plugins/storage/config';
    return [`${at}/hosts=["${this.folder}"]`, `${at}/database="tenon"`, `${at}/user="tenon"`];
  }

  async stop() {
    if (this.child && this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGINT');
      await this.exited;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
