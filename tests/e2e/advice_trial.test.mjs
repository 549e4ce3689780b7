// SPDX-License-Identifier: Apache-2.0
// Row M4 on a real server under real load: a change that hurts takes itself back, what a killed server was trying is
// taken back by the next one, and the record says why.
import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { Worker } from 'node:worker_threads';
import { eventually, Server } from './server.mjs';

let server;
let load;

afterEach(async () => {
  await load?.terminate();
  load = undefined;
  await server?.stop();
});

async function started(...set) {
  server = new Server({ set: ['/plugins/advice/config/window_s=2', ...set] });
  await server.start();
}

function setting(plugin, pointer) {
  return server.tenon('settings', 'list', '--plugin', plugin).settings.find((one) => one.pointer === pointer);
}

// Thirty requests a second, from a thread of their own: this one stands still while `tenon` runs. Tells how many have been refused.
const requester = `
  const { parentPort, workerData } = require('node:worker_threads');
  let refused = 0;
  setInterval(() => fetch(workerData).then(async (answer) => {
    await answer.arrayBuffer();
    if (answer.status === 429) parentPort.postMessage(++refused);
  }, () => {}), 30);`;

const trial = () => server.tenon('advice', 'list').experiment;
const newest = () => server.tenon('advice', 'history', '--limit', '1').entries[0];

test('a level that refuses what came through before is taken back within a minute', async () => {
  await started('/plugins/http/config/address_limit="default"', '/plugins/throttle/config/level="aggressive"');
  let refused = 0;
  load = new Worker(requester, { eval: true, workerData: `${server.http}/api/v3/time` });
  load.on('message', (count) => { refused = count; });
  const begun = server.tenon('advice', 'drill', '--plugin', 'throttle', '--pointer', '/level', '--value', 'conservative',
    '--by', 'user:anna');
  assert.equal(begun.begun, true);
  assert.throws(() => server.tenon('advice', 'drill', '--plugin', 'cache-memory', '--pointer', '/bytes_max', '--value', '9000000'),
    /a trial is under way/);
  await eventually('the bad level is in force', () => setting('throttle', '/level').value === 'conservative', 60);
  const from = Date.now();
  await eventually('it is taken back', () => trial() === null, 60);
  assert.ok(Date.now() - from <= 60_000);
  const level = setting('throttle', '/level');
  assert.equal(level.value, 'aggressive');
  assert.equal(level.overridden, false);
  assert.ok(refused > 0, 'it was really in force');
  const entry = newest();
  assert.equal(entry.event, 'rolled_back');
  assert.equal(entry.by, 'user:anna');
  assert.match(entry.reason, /guard http_refused_ratio broke|throttle_limited_ratio got worse/);
  const page = await (await fetch(`${server.http}/api/advice`)).json();
  assert.equal(page.experiment, null);
  assert.match(await (await fetch(`${server.http}/metrics`)).text(), /tenon_advice_trials_total\{outcome="rolled_back"\} 1/);
});

test('a server that was killed amid a trial comes back with the value of before', async () => {
  await started();
  const before = setting('cache-memory', '/bytes_max');
  server.tenon('advice', 'drill', '--plugin', 'cache-memory', '--pointer', '/bytes_max', '--value', '8388608');
  await eventually('the value is in force', () => setting('cache-memory', '/bytes_max').value === 8388608, 60);
  await server.kill();
  await server.start();
  await eventually('it is taken back', () => newest().event === 'recovered', 60);
  const after = setting('cache-memory', '/bytes_max');
  assert.equal(after.value, before.value);
  assert.equal(after.overridden, false);
  assert.match(newest().reason, /the server ended amid the trial/);
  assert.equal(trial(), null);
});
