// SPDX-License-Identifier: Apache-2.0
// Row T6: ccxt pro follows the market streams.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { eventually, Server } from './server.mjs';
import { exchange } from './ccxt.mjs';

const symbol = 'BTC/USDT';
let server;
let client;

before(async () => {
  server = await new Server().start();
  client = await exchange(server, undefined, true);
  await eventually('the replay has a trade of each symbol', async () => {
    const tickers = await client.fetchTickers(['BTC/USDT', 'ETH/USDT']);
    return tickers['BTC/USDT'].last > 0 && tickers['ETH/USDT'].last > 0;
  });
});

after(async () => {
  await client?.close();
  await server?.stop();
});

test('watchOrderBook stays in step with the diffs [T6]', async () => {
  let last = 0;
  for (let i = 0; i < 15; i += 1) {
    const book = await client.watchOrderBook(symbol);
    assert.ok(book.bids[0][0] < book.asks[0][0]);
    assert.ok(book.nonce >= last);
    last = book.nonce;
  }
});

test('watchTrades gives trades with rising ids [T6]', async () => {
  const seen = [];
  while (seen.length < 5) seen.push(...await client.watchTrades(symbol));
  assert.ok(seen.every((t) => t.price > 0 && t.amount > 0));
  const ids = seen.map((t) => Number(t.id));
  assert.ok(ids.every((id, i) => i === 0 || id >= ids[i - 1]));
});

test('watchTicker and watchTickers give the day [T6]', async () => {
  const mini = await client.watchTicker(symbol);
  assert.ok(mini.low <= mini.last && mini.last <= mini.high);
  const ticker = await client.watchTicker(symbol, { name: 'ticker' });
  assert.ok(ticker.last > 0 && ticker.bid < ticker.ask);
  const tickers = await client.watchTickers([symbol, 'ETH/USDT']);
  assert.ok(Object.values(tickers).every((t) => t.last > 0));
});

test('watchOHLCV gives the candle in progress [T6]', async () => {
  const candles = await client.watchOHLCV(symbol, '1m');
  const [, open, high, low, close] = candles.at(-1);
  assert.ok(low <= open && open <= high && low <= close && close <= high);
});

test('watchBidsAsks follows the best prices [T6]', async () => {
  const tickers = await client.watchBidsAsks([symbol]);
  assert.ok(tickers[symbol].bid < tickers[symbol].ask);
});
