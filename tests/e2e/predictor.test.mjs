// SPDX-License-Identifier: Apache-2.0
// Row T7: predictions are kept 300 s, asked for in batches, and their success and cost counted, before a
// provider that this test plays.
import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { connect } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { spawn } from 'node:child_process';
import { eventually, Server } from './server.mjs';

const open = [];

afterEach(async () => {
  while (open.length) await open.pop()();
});

// A provider that keeps what it was asked.
async function provider(answer) {
  const asked = [];
  const http = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const batch = { authorization: request.headers.authorization, ...JSON.parse(text) };
    asked.push(batch);
    answer(batch, response);
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  open.push(() => { http.closeAllConnections(); http.close(); });
  return { asked, url: `http://127.0.0.1:${http.address().port}/predict` };
}

// A server with nothing but the predictor.
async function withPredictor(url, config = {}, env = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'tenon-e2e-'));
  const dataDir = join(folder, 'data');
  const file = join(folder, 'predictor.json');
  writeFileSync(file, JSON.stringify({ deployment_version: 1, name: 'predictor',
    plugins: { predictor: { id: 'tenon.trading.predictor', config: { url, model: 'm1', ...config } } } }));
  const child = spawn(new Server().command, ['--deployment', file, '--data-dir', dataDir, '--listen', '127.0.0.1:0'],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  const exited = once(child, 'exit');
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { log += chunk; });
  open.push(async () => {
    child.kill('SIGTERM');
    assert.deepEqual((await exited)[0], 0, log);
    rmSync(folder, { recursive: true, force: true });
  });
  const admin = async (command, args = {}) => {
    const socket = connect(join(dataDir, 'admin.sock'));
    try {
      await once(socket, 'connect');
      socket.write(`${JSON.stringify({ command, args })}\n`);
      const [line] = await once(createInterface(socket), 'line');
      const answer = JSON.parse(line);
      if (answer.error) throw new Error(answer.error.message);
      return answer.ok;
    } finally {
      socket.destroy();
    }
  };
  await eventually('the server is ready', async () => (await admin('status')).ready).catch((error) => {
    throw new Error(`${error.message}\n${log}`);
  });
  return { admin, log: () => log };
}

const good = ({ inputs }, response) => response.end(JSON.stringify({
  predictions: inputs.map(({ symbol, input }) => ({ symbol, up: 0.75, horizon: input.horizon })), cost: '0.0012' }));

test('questions of a moment are one request, and its answers are given again [T7]', async () => {
  const { asked, url } = await provider(good);
  const { admin, log } = await withPredictor(url, { batch_wait_ms: 300, api_key: 'env:TENON_TEST_PROVIDER_KEY' },
    { TENON_TEST_PROVIDER_KEY: 'hidden-key' });
  const symbols = ['BTCUSDT', 'ETHUSDT', 'BTCUSDT'];
  const ask = () => Promise.all(symbols.map((symbol) => admin('predictions.ask', { symbol, input: { horizon: 5 } })));
  const first = await ask();
  assert.deepEqual(first.map(({ symbol, prediction }) => [symbol, prediction.up, prediction.horizon]), symbols.map((symbol) => [symbol, 0.75, 5]));
  assert.equal(asked.length, 1);
  assert.deepEqual([asked[0].model, asked[0].inputs.length, asked[0].authorization], ['m1', 2, 'Bearer hidden-key']);
  const again = await ask();
  assert.ok(again.every(({ cached }) => cached));
  assert.equal(asked.length, 1);
  const stats = await admin('predictions.stats');
  assert.deepEqual([stats.asked, stats.good, stats.failed, stats.success_bp, stats.cost, stats.kept], [6, 2, 0, 10000, '0.0012', 2]);
  assert.equal(stats.cached + stats.joined, 4);
  assert.ok(!log().includes('hidden-key'));
});

test('a provider that refuses, lies or is silent is told and counted, and asked again [T7]', async () => {
  let mood;
  const { asked, url } = await provider((batch, response) => mood(batch, response));
  const { admin } = await withPredictor(url, { batch_wait_ms: 0, timeout_ms: 500, price: '0.01' });
  const ask = (symbol) => admin('predictions.ask', { symbol });
  const health = async () => JSON.stringify(await admin('status'));
  mood = (batch, response) => { response.statusCode = 429; response.end(); };
  await assert.rejects(ask('A'), /answered 429/);
  assert.match(await health(), /answered 429/);
  mood = (batch, response) => response.end('<html>');
  await assert.rejects(ask('A'), /provider's answer/);
  mood = () => {};
  await assert.rejects(ask('A'), /in time/);
  mood = (batch, response) => response.end(JSON.stringify({ predictions: batch.inputs.map(() => ({ error: 'no data' })) }));
  await assert.rejects(ask('A'), /no data/);
  mood = (batch, response) => response.end(JSON.stringify({ predictions: batch.inputs.map(() => ({ up: 1 })) }));
  assert.equal((await ask('A')).prediction.up, 1);
  assert.doesNotMatch(await health(), /in time|429/);
  assert.equal(asked.length, 5);
  const stats = await admin('predictions.stats');
  assert.deepEqual([stats.good, stats.failed, stats.success_bp, stats.cost, stats.batches_failed], [1, 4, 2000, '0.01', 3]);
  await assert.rejects(ask(''), /symbol/);
});

test('a provider that is down leaves the server whole, and its stop does not wait for it [T7]', async () => {
  const { admin } = await withPredictor('http://127.0.0.1:1/', { timeout_ms: 60000 });
  await assert.rejects(admin('predictions.ask', { symbol: 'A' }), /provider/);
  assert.equal((await admin('predictions.stats')).failed, 1);
});
