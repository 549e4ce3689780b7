// SPDX-License-Identifier: Apache-2.0
// Row T6: candles and the day's statistics go on over a restart, and over kill -9.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { eventually, Server } from './server.mjs';

const symbol = 'BTCUSDT';
let server;

after(() => server?.stop());

async function get(path) {
  const answer = await fetch(`${server.http}${path}`);
  assert.equal(answer.status, 200, path);
  return answer.json();
}

// The oldest candle of a minute that had trades.
async function oldest() {
  const rows = await get(`/api/v3/klines?symbol=${symbol}&interval=1m&limit=1000`);
  return rows.find((row) => row[8] > 0);
}

async function metric(name) {
  const text = await (await fetch(`${server.http}/metrics`)).text();
  return Number(text.match(new RegExp(`^${name}(?:{[^}]*})? (\\d+)`, 'm'))?.[1] ?? 0);
}

const written = () => metric('tenon_market_data_candles_written_total');
// The minute and the hour of an instrument at least.
const restored = () => eventually('candles are restored', async () =>
  (await metric('tenon_market_data_candles_restored_total')) >= 2);

test('a candle of before the restart is there after it, with its trades [T6]', async () => {
  server = new Server({ set: ['/plugins/market-data/config/history_every_s=1'] });
  await server.start();
  const first = await eventually('a candle with trades', oldest);
  await server.child.kill('SIGTERM');
  await server.exited;

  await server.start();
  await restored();
  const again = await eventually('trades since the start are counted too', async () => {
    const row = await oldest();
    return row[8] > first[8] ? row : undefined;
  });
  assert.equal(again[0], first[0], 'its minute');
  assert.equal(again[1], first[1], 'its open');
  assert.ok(Number(again[5]) > Number(first[5]), 'its volume');
  assert.ok(Number(again[9]) >= Number(first[9]), 'its volume of takers who bought');
  const day = await get(`/api/v3/ticker/24hr?symbol=${symbol}`);
  assert.equal(Number(day.openPrice), Number(first[1]), 'the day begins with it');

  // Killed: what had been written is there.
  const before = await written();
  await eventually('newer trades are written', async () => (await written()) >= before + 4);
  await server.kill();
  await server.start();
  await restored();
  const last = await oldest();
  assert.equal(last[0], first[0]);
  assert.equal(last[1], first[1]);
  assert.ok(last[8] >= again[8], `${last[8]} trades after ${again[8]}`);
});
