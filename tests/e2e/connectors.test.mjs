// SPDX-License-Identifier: Apache-2.0
// Row T6: the official connector and binance-api-node, unmodified, by their base URLs.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Spot } from '@binance/spot';
import binanceApiNode from 'binance-api-node';
import { eventually, Server } from './server.mjs';

let server;
let key;

before(async () => {
  server = await new Server().start();
  key = server.key();
  await eventually('a price', async () =>
    (await (await fetch(`${server.http}/api/v3/ticker/price?symbol=BTCUSDT`)).json()).price > 0);
});

after(() => server?.stop());

test('@binance/spot: REST market data, an order and its cancel [T6]', async () => {
  const { restAPI } = new Spot({
    configurationRestAPI: { apiKey: key.api_key, apiSecret: key.secret, basePath: server.http },
  });
  const info = await (await restAPI.exchangeInfo({ symbol: 'BTCUSDT' })).data();
  assert.equal(info.symbols[0].symbol, 'BTCUSDT');
  const book = await (await restAPI.depth({ symbol: 'BTCUSDT', limit: 5 })).data();
  const price = (Number(book.bids[0][0]) * 0.8).toFixed(2);
  const order = await (await restAPI.newOrder({
    symbol: 'BTCUSDT', side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.001, price,
  })).data();
  assert.equal(order.status, 'NEW');
  const cancelled = await (await restAPI.deleteOrder({ symbol: 'BTCUSDT', orderId: order.orderId })).data();
  assert.equal(cancelled.status, 'CANCELED');
  const account = await (await restAPI.getAccount()).data();
  assert.ok(account.balances.some((b) => b.asset === 'USDT' && Number(b.free) > 0));
});

test('@binance/spot: market streams [T6]', async () => {
  const { websocketStreams } = new Spot({ configurationWebsocketStreams: { wsURL: server.ws } });
  const connection = await websocketStreams.connect();
  const trade = await new Promise((resolve) => {
    connection.trade({ symbol: 'btcusdt' }).on('message', resolve);
  });
  assert.equal(trade.s, 'BTCUSDT');
  await connection.disconnect();
});

test('binance-api-node: prices, candles, book, an order, and raw streams [T6]', async () => {
  const make = binanceApiNode.default ?? binanceApiNode;
  const client = make({
    apiKey: key.api_key, apiSecret: key.secret, httpBase: server.http, wsBase: `${server.ws}/ws`,
  });
  assert.ok(Number((await client.prices()).BTCUSDT) > 0);
  assert.ok((await client.candles({ symbol: 'BTCUSDT', interval: '1m', limit: 2 })).length > 0);
  const book = await client.book({ symbol: 'BTCUSDT' });
  const order = await client.order({
    symbol: 'BTCUSDT', side: 'BUY', type: 'LIMIT', quantity: '0.001',
    price: (Number(book.bids[0].price) * 0.8).toFixed(2),
  });
  assert.equal(order.status, 'NEW');
  assert.equal((await client.cancelOrder({ symbol: 'BTCUSDT', orderId: order.orderId })).status, 'CANCELED');
  let close;
  const tickers = await new Promise((resolve) => { close = client.ws.allTickers(resolve); });
  assert.ok(tickers.some((t) => t.symbol === 'BTCUSDT'));
  close();
});
