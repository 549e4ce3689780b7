// SPDX-License-Identifier: Apache-2.0
// A Prometheus of a test's own, on a free port, with its data in a folder of its own.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './server.mjs';

// It cannot be told to choose a port by itself.
async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

export class Prometheus {
  folder = mkdtempSync(join(tmpdir(), 'tenon-prometheus-'));
  log = '';

  // `configure` gets the folder for files of its own and gives the configuration file's path.
  async start(configure) {
    const config = configure(this.folder);
    for (let tries = 0; ; tries += 1) {
      this.url = `http://127.0.0.1:${await freePort()}`;
      this.process = spawn('prometheus', [`--config.file=${config}`, `--storage.tsdb.path=${join(this.folder, 'data')}`,
        `--web.listen-address=${this.url.slice('http://'.length)}`], { stdio: ['ignore', 'pipe', 'pipe'] });
      this.exited = once(this.process, 'exit');
      for (const stream of [this.process.stdout, this.process.stderr]) {
        stream.on('data', (chunk) => { this.log = (this.log + chunk).slice(-50_000); });
      }
      try {
        await eventually('Prometheus is ready', async () => (await fetch(`${this.url}/-/ready`)).ok
          || (this.process.exitCode === null ? undefined : 'gone'));
        if (this.process.exitCode === null) return this;
      } catch (error) {
        if (tries === 3) throw new Error(`${error.message}\n${this.log}`);
      }
      // Somebody took the port between the two.
      if (tries === 3) throw new Error(`Prometheus does not run:\n${this.log}`);
    }
  }

  // The samples of an instant query.
  async query(expression) {
    const response = await fetch(`${this.url}/api/v1/query?${new URLSearchParams({ query: expression })}`);
    const answer = await response.json();
    if (answer.status !== 'success') throw new Error(`${expression}: ${answer.error}`);
    return answer.data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  async ask(path) {
    return (await (await fetch(`${this.url}/api/v1/${path}`)).json()).data;
  }

  async stop() {
    if (this.process && this.process.exitCode === null) {
      this.process.kill('SIGTERM');
      await this.exited;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
