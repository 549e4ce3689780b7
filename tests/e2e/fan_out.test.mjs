// SPDX-License-Identifier: Apache-2.0
// Rows P4 and C2: compressed frames are understood by the clients that offer it, and a client that stops reading gets the
// newest state when it goes on, with nothing missing unseen.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { eventually, Server } from './server.mjs';
import { exchange } from './ccxt.mjs';

const WebSocket = createRequire(import.meta.url)('ws');
let server;

before(async () => {
  server = await new Server({
    deployment: 'benchmark',
    set: ['/plugins/http/config/ws_deflate=always', '/plugins/http/config/ws_deflate_min_bytes=1',
      '/plugins/binance/config/conflate_above_bytes=4096'],
  }).start();
});
after(async () => { await server?.stop(); });

async function metric(name) {
  const lines = (await (await fetch(`${server.http}/metrics`)).text()).split('\n').filter((line) => line.startsWith(`${name} `));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').pop()), 0);
}

// A client that keeps every message, parsed.
async function listen(streams, options) {
  const client = new WebSocket(`ws://${server.address}/stream?streams=${streams.join('/')}`, options);
  client.seen = [];
  client.on('message', (data) => client.seen.push(JSON.parse(data)));
  await new Promise((resolve, reject) => { client.once('open', resolve).once('error', reject); });
  return client;
}

test('clients with and without compression hear the same [P4]', async () => {
  const streams = ['btcusdt@depth20@100ms', 'btcusdt@trade', '!ticker@arr'];
  const packed = await listen(streams, { perMessageDeflate: true });
  const small = await listen(streams, { perMessageDeflate: { serverMaxWindowBits: 12, clientMaxWindowBits: 9 } });
  const plain = await listen(streams, { perMessageDeflate: false });
  assert.match(packed.extensions, /permessage-deflate/);
  assert.match(small.extensions, /permessage-deflate/);
  assert.equal(plain.extensions, '');
  const books = (client) => new Map(client.seen.filter(({ stream }) => stream === streams[0])
    .map(({ data }) => [data.lastUpdateId, JSON.stringify(data)]));
  await eventually('ten books that all three have', () => {
    const [a, b, c] = [packed, small, plain].map(books);
    const common = [...a].filter(([id]) => b.has(id) && c.has(id));
    for (const [id, text] of common) {
      assert.equal(b.get(id), text);
      assert.equal(c.get(id), text);
    }
    return common.length >= 10;
  });
  assert.ok(await metric('tenon_ws_compressed_total') > 20);
  // A control message that the client compresses.
  packed.send(JSON.stringify({ method: 'LIST_SUBSCRIPTIONS', id: 7, padding: 'x'.repeat(2000) }), { compress: true });
  await eventually('the answer', () => packed.seen.some(({ id, result }) => id === 7 && result.length === 3));
  for (const client of [packed, small, plain]) client.terminate();
});

test('ccxt pro follows a book over compressed frames [P4]', async () => {
  const client = await exchange(server, undefined, true);
  try {
    let last = 0;
    for (let i = 0; i < 10; i += 1) {
      const book = await client.watchOrderBook('BTC/USDT');
      assert.ok(book.bids[0][0] < book.asks[0][0]);
      assert.ok(book.nonce >= last);
      last = book.nonce;
    }
  } finally {
    await client.close();
  }
});

test('a client that stops reading gets the newest state when it goes on [C2]', { timeout: 150_000 }, async () => {
  const symbols = ['btcusdt', 'ethusdt'];
  const streams = symbols.flatMap((s) => ['depth@100ms', 'depth20@100ms', 'depth10@100ms', 'depth5@100ms', 'bookTicker', 'ticker',
    'miniTicker'].map((kind) => `${s}@${kind}`));
  const client = await listen(streams, { perMessageDeflate: false });
  await eventually('it hears of books', () => client.seen.some(({ stream }) => stream === 'btcusdt@depth@100ms'));
  client.pause();
  await eventually('it is slow, and much has been joined for it', async () => await metric('tenon_binance_slow_connections') === 1
    && await metric('tenon_binance_conflated_total') > 300, 120);
  const { lastUpdateId } = await (await fetch(`${server.http}/api/v3/depth?symbol=BTCUSDT&limit=5`)).json();
  client.resume();
  await eventually('it has caught up', async () => client.seen.some(({ stream, data }) => stream === 'btcusdt@depth20@100ms'
    && data.lastUpdateId >= lastUpdateId) && await metric('tenon_binance_slow_connections') === 0, 60);
  assert.equal(await metric('tenon_binance_depth_gaps_total'), 0);
  assert.equal(client.readyState, WebSocket.OPEN);
  for (const symbol of symbols) {
    let last = 0;
    for (const { data } of client.seen.filter(({ stream }) => stream === `${symbol}@depth@100ms`)) {
      assert.ok(last === 0 || data.U === last + 1, `${symbol}: ${data.U} after ${last}`);
      last = data.u;
    }
    for (const kind of ['depth20@100ms', 'depth5@100ms', 'bookTicker']) {
      const ids = client.seen.filter(({ stream }) => stream === `${symbol}@${kind}`).map(({ data }) => data.u ?? data.lastUpdateId);
      assert.ok(ids.length > 1);
      assert.ok(ids.every((id, i) => i === 0 || id >= ids[i - 1]), `${symbol}@${kind}`);
    }
  }
  client.terminate();
});
