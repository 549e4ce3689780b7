// SPDX-License-Identifier: Apache-2.0
// Row S8: the master key is changed while the server works and is killed, and no secret is lost. The
// moments of the kills: TENON_ROTATION_SEED, printed.
import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { eventually, Server } from './server.mjs';
import { ask } from './native.mjs';

const open = [];

afterEach(async () => {
  while (open.length) await open.pop().stop();
});

// One command of the admin socket, as the tools send it.
async function admin(server, command, args = {}) {
  const socket = connect(join(server.dataDir, 'admin.sock'));
  try {
    socket.write(`${JSON.stringify({ command, args })}\n`);
    const [line] = await once(createInterface(socket), 'line');
    const answer = JSON.parse(line);
    if (answer.error) throw new Error(answer.error.message);
    return answer.ok;
  } finally {
    socket.destroy();
  }
}

async function withSecrets(keys, credentials, options = {}) {
  const server = new Server(options);
  open.push(server);
  await server.start();
  const made = [];
  for (let i = 0; i < keys; i += 1) made.push(server.key());
  await eventually('the account is in the database', async () =>
    (await ask(server, made[0], 'PUT', '/api/settings', { body: { leverage: 2 } })).status === 200);
  for (let i = 0; i < credentials; i += 1) {
    const body = { exchange: 'binance', label: `label-${i}`, api_key: `api-key-of-exchange-${i}`, secret: `secret-${i}` };
    const { status } = await ask(server, made[0], 'POST', '/api/exchange-credentials', { body });
    assert.equal(status, 201);
  }
  return { server, keys: made, credentials };
}

// What a server says that does not start.
function refusal(server) {
  const { status, stderr } = spawnSync(server.command, ['--deployment', server.deployment, '--data-dir', server.dataDir, '--no-listen'],
    { encoding: 'utf8', timeout: 30_000 });
  assert.notEqual(status, 0);
  return stderr;
}

// Every secret opens: keys by signing, credentials by the check.
async function allOpen({ server, keys, credentials }) {
  for (const key of keys) assert.equal((await ask(server, key, 'GET', '/api/settings')).status, 200);
  const told = await admin(server, 'credentials.check', { limit: 1000 });
  assert.deepEqual([told.checked, told.unreadable], [credentials, []]);
}

const remaining = async (server) => (await admin(server, 'keys.reseal', { limit: 0 })).remaining
  + (await admin(server, 'credentials.reseal', { limit: 0 })).remaining;

test('a rotation goes on after a kill between its batches [S8]', async () => {
  const all = await withSecrets(7, 9);
  const { server } = all;
  const old = readFileSync(join(server.dataDir, 'master.key'));
  const before = await admin(server, 'key.status');
  await assert.rejects(admin(server, 'key.finish'), /no rotation/);
  const begun = await admin(server, 'key.rotate');
  assert.equal(begun.previous, before.key);
  assert.notEqual(begun.key, before.key);
  assert.equal(await remaining(server), 16);
  for (const [command, limit, left] of [['keys.reseal', 3, 13], ['credentials.reseal', 4, 9], ['keys.reseal', 1000, 5]]) {
    await admin(server, command, { limit });
    await server.kill();
    await server.start();
    assert.equal(await remaining(server), left);
    assert.deepEqual(await admin(server, 'key.status'), begun);
    await allOpen(all);
    await assert.rejects(admin(server, 'key.finish'), /secrets under the old key, [0-9]+ in all/);
  }
  all.keys.push(server.key());
  assert.equal(await remaining(server), 5);
  const done = server.tenon('key', 'rotate', '--batch', '2');
  assert.deepEqual([done.ok, done.resealed, done.remaining, done.unreadable], [true, 5, 0, []]);
  const finished = server.tenon('key', 'rotate', '--finish');
  assert.deepEqual([finished.ok, finished.key, finished.rotating], [true, begun.key, false]);
  await allOpen(all);
  await server.kill();
  await server.start();
  await allOpen(all);
  await server.kill();
  writeFileSync(join(server.dataDir, 'master.key'), old);
  const told = refusal(server);
  assert.ok(told.includes(before.key) && told.includes('retired'), told);
});

test('a rotation survives kills at any moment, and keys are made meanwhile [S8]', async () => {
  const seed = Number(process.env.TENON_ROTATION_SEED ?? Date.now() % 1_000_000);
  console.log(`TENON_ROTATION_SEED=${seed}`);
  let state = seed;
  const random = (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * below);
  };
  const all = await withSecrets(12, 30);
  const { server } = all;
  const first = (await admin(server, 'key.status')).key;
  for (let kill = 0; kill < 5; kill += 1) {
    const tool = spawn(join(server.command, '../tenon'), ['key', 'rotate', '--batch', '1', '--data-dir', server.dataDir], { stdio: 'ignore' });
    const ended = once(tool, 'exit');
    const wanted = random(12);
    const start = await remaining(server).catch(() => 0);
    // Whatever the moment is: the check below holds at each.
    await eventually('some secrets are sealed anew', async () => {
      const left = await remaining(server);
      return (await admin(server, 'key.status')).rotating && left <= Math.max(start, 42) - wanted;
    }).catch(() => {});
    await server.kill();
    tool.kill('SIGKILL');
    await ended;
    await server.start();
    await allOpen(all);
    all.keys.push(server.key());
  }
  const done = server.tenon('key', 'rotate', '--batch', '3');
  assert.deepEqual([done.ok, done.remaining], [true, 0]);
  assert.equal(done.previous, first);
  server.tenon('key', 'rotate', '--finish');
  await server.kill();
  await server.start();
  await allOpen(all);
  // And once more, without a server of its own: the command starts one.
  await server.kill();
  const again = server.tenon('key', 'rotate');
  assert.equal(again.remaining, 0);
  assert.equal(server.tenon('key', 'rotate', '--finish').rotating, false);
  await server.start();
  await allOpen(all);
});

test('a key file that others may read stops the start by its path and mode, never its content [S8]', async () => {
  const { server } = await withSecrets(1, 1);
  const file = join(server.dataDir, 'master.key');
  const content = readFileSync(file).toString('latin1');
  await server.kill();
  chmodSync(file, 0o644);
  const told = refusal(server);
  assert.ok(told.includes(file) && told.includes('0644') && told.includes('0400 or 0600'), told);
  assert.ok(!told.includes(content));
  chmodSync(file, 0o400);
  await server.start();
});

test('the key of a credential folder, as LoadCredential gives it, is rotated by a second one [S8]', async () => {
  const all = await withSecrets(3, 4);
  const { server } = all;
  const folder = join(server.dataDir, 'credentials');
  mkdirSync(folder, { mode: 0o700 });
  copyFileSync(join(server.dataDir, 'master.key'), join(folder, 'tenon-master-key'));
  chmodSync(join(folder, 'tenon-master-key'), 0o400);
  await server.kill();
  server.env.CREDENTIALS_DIRECTORY = folder;
  writeFileSync(join(server.dataDir, 'master.key'), Buffer.alloc(32, 7)); // not looked at
  await server.start();
  await allOpen(all);
  await assert.rejects(admin(server, 'key.rotate'), /tenon-master-key-next/);
  await server.kill();
  writeFileSync(join(folder, 'tenon-master-key-next'), Buffer.alloc(32, 9), { mode: 0o400 });
  await server.start();
  assert.equal((await admin(server, 'key.status')).rotating, true);
  assert.equal(server.tenon('key', 'rotate').remaining, 0);
  assert.match(server.tenon('key', 'rotate', '--finish').advice, /tenon-master-key/);
  await server.kill();
  await server.start();
  await allOpen(all);
  assert.equal(statSync(join(server.dataDir, 'master.key.retired')).mode & 0o777, 0o600);
});
