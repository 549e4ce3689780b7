// SPDX-License-Identifier: Apache-2.0
// Row C2: public trades and their aggregates can be paged through by the same ids after a restart.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { eventually, Server } from './server.mjs';

const symbol = 'BTCUSDT';
let peer;
let live;

after(async () => {
  await live?.stop();
  await peer?.stop();
});

async function get(path) {
  const answer = await fetch(`${live.http}${path}`);
  assert.equal(answer.status, 200, path);
  return answer.json();
}

async function metric(name) {
  const text = await (await fetch(`${live.http}/metrics`)).text();
  return Number(text.match(new RegExp(`^${name}(?:{[^}]*})? (\\d+)`, 'm'))?.[1] ?? 0);
}

// All from an id on, by pages as clients read them.
async function pages(path, id, idOf) {
  const rows = [];
  for (let next = id; ;) {
    const page = await get(`/api/v3/${path}?symbol=${symbol}&fromId=${next}&limit=50`);
    if (page.length === 0) return rows;
    rows.push(...page);
    next = idOf(page.at(-1)) + 1;
  }
}

test('trades of before a restart are served by their ids after it [C2]', async () => {
  peer = await new Server({ deployment: 'benchmark' }).start();
  live = new Server({
    deployment: 'live',
    set: [`/plugins/exchange/config/rest_url=${peer.http}`, `/plugins/exchange/config/stream_url=ws://${peer.address}`,
      '/plugins/market-data/config/history_every_s=1'],
  });
  await live.start();
  const first = await eventually('trades come', async () => (await get(`/api/v3/trades?symbol=${symbol}&limit=1000`)).at(0)?.id, 60);
  await eventually('some of them', async () => (await pages('historicalTrades', first, ({ id }) => id)).length >= 20, 60);
  const trades = await pages('historicalTrades', first, ({ id }) => id);
  // The newest aggregate may still grow.
  const aggregates = (await pages('aggTrades', 1, ({ a }) => a)).slice(0, -1);
  await live.child.kill('SIGTERM');
  await live.exited;

  await live.start();
  await eventually('trades are restored', async () => (await metric('tenon_market_data_trades_restored_total')) >= trades.length, 60);
  const again = await pages('historicalTrades', first, ({ id }) => id);
  assert.deepEqual(again.slice(0, trades.length), trades);
  assert.ok(again.every(({ id }, i) => i === 0 || id > again[i - 1].id), 'ids rise');
  const same = (await pages('aggTrades', aggregates[0].a, ({ a }) => a)).slice(0, aggregates.length);
  assert.deepEqual(same, aggregates);
  await eventually('newer ones follow', async () => (await pages('aggTrades', aggregates.at(-1).a, ({ a }) => a)).length > 5, 60);
});
