// SPDX-License-Identifier: Apache-2.0
// Starts a tenond on a free port with a data folder of its own, for tests with real clients.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';

const source = process.env.TENON_SOURCE_DIR ?? new URL('../..', import.meta.url).pathname;
const build = process.env.TENON_BUILD_DIR ?? join(source, 'build/release');
const tenond = join(build, 'bin/tenond');
const tenon = join(build, 'bin/tenon');

// Asks until `probe` gives a value, at most `seconds`; the server tells no other way that it is up.
export async function eventually(what, probe, seconds = 30) {
  const deadline = Date.now() + seconds * 1000;
  let last;
  while (Date.now() < deadline) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${what} did not happen within ${seconds} s${last ? `: ${last.message}` : ''}`);
}

export class Server {
  constructor({ deployment = 'conservative', set = [], env = {} } = {}) {
    this.deployment = join(source, `etc/deployments/${deployment}.json`);
    this.set = set;
    this.env = env;
    this.within = []; // a program, with its words, that runs another
    this.dataDir = mkdtempSync(join(tmpdir(), 'tenon-e2e-'));
    this.log = '';
  }

  async start() {
    rmSync(join(this.dataDir, 'listen'), { force: true });
    const set = [...this.set];
    // Nobody else's Redis: a test that wants one says which.
    if (this.deployment.endsWith('/moderate.json') && !set.some((each) => each.startsWith('/plugins/cache-redis/'))) {
      set.push(...['cache-redis', 'throttle'].map((name) => `/plugins/${name}/config/url="unix://${this.dataDir}/none.sock"`));
    }
    const options = set.flatMap((value) => ['--set', value]);
    const [program, ...words] = [...this.within, tenond];
    this.child = spawn(program, [...words, '--deployment', this.deployment, '--data-dir', this.dataDir,
      '--listen', '127.0.0.1:0', ...options],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...this.env } });
    this.exited = once(this.child, 'exit');
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.on('data', (chunk) => { this.log = (this.log + chunk).slice(-200_000); });
    }
    const file = join(this.dataDir, 'listen');
    const state = await eventually('the server is ready', async () => {
      if (this.child.exitCode !== null || this.child.signalCode !== null) return 'ended';
      if (!existsSync(file)) return undefined;
      this.address = readFileSync(file, 'utf8').trim();
      return (await fetch(`http://${this.address}/readyz`)).ok;
    }).catch(async (error) => {
      await this.kill(); // or it would keep the test waiting
      throw new Error(`${error.message}\n${this.log}`);
    });
    if (state === 'ended') throw new Error(`tenond exited with ${this.child.exitCode ?? this.child.signalCode}\n${this.log}`);
    return this;
  }

  get command() { return tenond; }
  get http() { return `http://${this.address}`; }
  get ws() { return `ws://${this.address}`; }

  // Runs a `tenon` command against this server's data folder and gives its JSON. Exit 1 with an
  // answer means that a check found something wrong, which is what the answer says.
  tenon(...words) {
    const run = spawnSync(tenon, [...words, '--data-dir', this.dataDir, '--json'], { encoding: 'utf8' });
    const answer = run.stdout ? JSON.parse(run.stdout) : undefined;
    if (run.status !== 0 && (answer === undefined || answer.error)) {
      throw new Error(`tenon ${words.join(' ')}: exit ${run.status}: ${run.stdout}${run.stderr}`);
    }
    return answer;
  }

  key(account = 'demo', permissions = 'trade,read') {
    return this.tenon('keys', 'create', '--account', account, '--permissions', permissions);
  }

  async kill() {
    this.child.kill('SIGKILL');
    await this.exited;
  }

  async stop() {
    if (this.child && this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGTERM');
      await this.exited;
    }
    if (!this.keep) rmSync(this.dataDir, { recursive: true, force: true });
  }
}
