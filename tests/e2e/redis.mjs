// SPDX-License-Identifier: Apache-2.0
// A Redis server of a test's own, on a unix socket in a folder of its own.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const patience = 30_000;

export class Redis {
  folder = mkdtempSync(join(tmpdir(), 'tnrd-'));
  socket = join(this.folder, 'redis.sock');
  url = `unix://${this.socket}`;

  async start(...options) {
    this.process = spawn('redis-server', ['--port', '0', '--unixsocket', this.socket, '--save', '', '--dir', this.folder,
      ...options], { stdio: 'ignore' });
    let failure;
    this.process.on('error', (error) => { failure = error; });
    for (const until = Date.now() + patience; !await this.answers();) {
      if (failure || this.process.exitCode !== null || Date.now() > until) {
        throw new Error(`redis-server does not run: ${failure?.message ?? this.process.exitCode}`);
      }
      await wait(10);
    }
    return this;
  }

  answers() {
    return new Promise((resolve) => {
      const client = connect(this.socket, () => client.write('PING\r\n'));
      client.on('data', () => { client.destroy(); resolve(true); });
      client.on('error', () => resolve(false));
    });
  }

  async kill() {
    if (this.process && this.process.exitCode === null && this.process.signalCode === null) {
      const gone = new Promise((resolve) => { this.process.on('exit', resolve); });
      this.process.kill('SIGKILL');
      await gone;
    }
  }

  async stop() {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
