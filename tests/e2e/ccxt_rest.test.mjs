// SPDX-License-Identifier: Apache-2.0
// Rows T2, T6: ccxt's REST client trades on the conservative deployment.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { eventually, Server } from './server.mjs';
import { ccxt, exchange } from './ccxt.mjs';

const symbol = 'BTC/USDT';
let server;
let client;

before(async () => {
  server = await new Server().start();
  client = await exchange(server, server.key());
  await eventually('the replay has a book and a trade', async () => {
    const ticker = await client.fetchTicker(symbol);
    return ticker.last > 0 && ticker.bid > 0;
  });
});

after(async () => {
  await client?.close?.();
  await server?.stop();
});

test('markets list the instruments with their precision and limits [T6]', async () => {
  const markets = await client.fetchMarkets();
  const market = markets.find((m) => m.symbol === symbol);
  assert.equal(market.id, 'BTCUSDT');
  assert.equal(market.spot, true);
  assert.equal(market.active, true);
  assert.equal(market.precision.price, 0.01);
  assert.equal(market.precision.amount, 0.00001);
  assert.ok(market.limits.cost.min > 0);
});

test('time, ticker, tickers, book, trades and candles answer with real data [T6]', async () => {
  assert.ok(Math.abs((await client.fetchTime()) - Date.now()) < 5000);
  const ticker = await client.fetchTicker(symbol);
  assert.ok(ticker.bid < ticker.ask);
  const tickers = await client.fetchTickers();
  assert.ok(tickers[symbol].last > 0 && tickers['ETH/USDT'].last > 0);
  const book = await client.fetchOrderBook(symbol, 20);
  assert.equal(book.bids.length, 20);
  assert.equal(book.asks.length, 20);
  assert.ok(book.bids[0][0] < book.asks[0][0]);
  assert.ok(book.bids.every((level, i) => i === 0 || level[0] < book.bids[i - 1][0]));
  const trades = await client.fetchTrades(symbol, undefined, 10);
  assert.ok(trades.length > 0 && trades.every((t) => t.price > 0 && t.amount > 0));
  const candles = await client.fetchOHLCV(symbol, '1m', undefined, 5);
  const [, open, high, low, close] = candles.at(-1);
  assert.ok(low <= open && open <= high && low <= close && close <= high);
});

test('the demo account is funded [T13]', async () => {
  const balance = await client.fetchBalance();
  assert.ok(balance.USDT.free > 0);
  assert.equal(balance.USDT.used, 0);
});

test('a limit order rests, is found by either id, and is cancelled [T2]', async () => {
  const bid = (await client.fetchTicker(symbol)).bid;
  const price = client.priceToPrecision(symbol, bid * 0.8);
  const before_ = await client.fetchBalance();
  const order = await client.createOrder(symbol, 'limit', 'buy', 0.001, price, { newClientOrderId: 'e2e-rest-1' });
  assert.equal(order.status, 'open');
  assert.equal(order.clientOrderId, 'e2e-rest-1');

  const held = await client.fetchBalance();
  assert.equal(
    ccxt.Precise.stringSub(String(before_.USDT.free), String(held.USDT.free)),
    ccxt.Precise.stringMul('0.001', price),
  );
  assert.equal((await client.fetchOrder(order.id, symbol)).price, Number(price));
  assert.equal((await client.fetchOrder(undefined, symbol, { origClientOrderId: 'e2e-rest-1' })).id, order.id);
  assert.ok((await client.fetchOpenOrders(symbol)).some((o) => o.id === order.id));

  const edited = await client.editOrder(order.id, symbol, 'limit', 'buy', 0.002, price);
  assert.notEqual(edited.id, order.id);
  assert.equal(edited.amount, 0.002);
  assert.equal((await client.fetchOrder(order.id, symbol)).status, 'canceled');
  const cancelled = await client.cancelOrder(edited.id, symbol);
  assert.equal(cancelled.status, 'canceled');
  assert.equal((await client.fetchOpenOrders(symbol)).length, 0);
  assert.equal((await client.fetchBalance()).USDT.free, before_.USDT.free);
  assert.equal((await client.fetchOrder(order.id, symbol)).status, 'canceled');
});

test('a market order fills at the book and pays its fee [T2]', async () => {
  const order = await client.createOrder(symbol, 'market', 'buy', 0.01);
  assert.equal(order.status, 'closed');
  assert.equal(order.filled, 0.01);
  const fills = await client.fetchMyTrades(symbol);
  const mine = fills.filter((t) => t.order === order.id);
  assert.equal(mine.reduce((sum, t) => sum + t.amount, 0).toFixed(8), '0.01000000');
  assert.ok(mine.every((t) => t.takerOrMaker === 'taker' && t.fee.cost > 0 && t.fee.currency === 'BTC'));
});

test('a market order by cost spends what was asked at most [T2]', async () => {
  const order = await client.createMarketBuyOrderWithCost(symbol, 500);
  assert.equal(order.status, 'closed');
  assert.ok(order.cost <= 500 && order.cost > 490, `cost ${order.cost}`);
});

test('IOC, FOK and post-only do what they say [T2]', async () => {
  const { bid, ask } = await client.fetchTicker(symbol);
  const far = client.priceToPrecision(symbol, bid * 0.9);
  const ioc = await client.createOrder(symbol, 'limit', 'buy', 0.001, far, { timeInForce: 'IOC' });
  assert.equal((await client.fetchOrder(ioc.id, symbol)).status, 'expired');
  const fok = await client.createOrder(symbol, 'limit', 'buy', 0.001, far, { timeInForce: 'FOK' });
  assert.equal((await client.fetchOrder(fok.id, symbol)).status, 'expired');
  const through = client.priceToPrecision(symbol, ask * 1.01);
  const taken = await client.createOrder(symbol, 'limit', 'buy', 0.001, through, { timeInForce: 'IOC' });
  assert.equal((await client.fetchOrder(taken.id, symbol)).status, 'closed');
  await assert.rejects(
    client.createOrder(symbol, 'limit', 'buy', 0.001, through, { postOnly: true }),
    ccxt.OrderImmediatelyFillable,
  );
  const maker = await client.createOrder(symbol, 'limit', 'buy', 0.001, far, { postOnly: true });
  assert.equal(maker.status, 'open');
  await client.cancelOrder(maker.id, symbol);
});

test('cancel all closes every open order; all orders list them [T2]', async () => {
  const bid = (await client.fetchTicker(symbol)).bid;
  const ids = [];
  for (const factor of [0.7, 0.75, 0.8]) {
    const price = client.priceToPrecision(symbol, bid * factor);
    ids.push((await client.createOrder(symbol, 'limit', 'buy', 0.001, price)).id);
  }
  await client.cancelAllOrders(symbol);
  assert.equal((await client.fetchOpenOrders(symbol)).length, 0);
  const all = await client.fetchOrders(symbol);
  for (const id of ids) assert.equal(all.find((o) => o.id === id).status, 'canceled');
});

test('refusals become the exceptions that ccxt users catch [T3, T6]', async () => {
  const bid = (await client.fetchTicker(symbol)).bid;
  const price = client.priceToPrecision(symbol, bid * 0.8);
  await assert.rejects(client.createOrder(symbol, 'limit', 'buy', 100, price), ccxt.InsufficientFunds);
  await assert.rejects(client.cancelOrder('999999999', symbol), ccxt.OrderNotFound);
  await assert.rejects(client.fetchOrder('999999999', symbol), ccxt.OrderNotFound);
  await client.createOrder(symbol, 'limit', 'buy', 0.001, price, { newClientOrderId: 'e2e-twice' });
  await assert.rejects(
    client.createOrder(symbol, 'limit', 'buy', 0.001, price, { newClientOrderId: 'e2e-twice' }),
    ccxt.ExchangeError,
  );
  await client.cancelAllOrders(symbol);
  const stranger = await exchange(server, { api_key: 'x'.repeat(64), secret: 'y' });
  await assert.rejects(stranger.fetchBalance(), ccxt.AuthenticationError);
  await assert.rejects(client.publicGetTicker24hr({ symbol: 'NOPE' }), ccxt.BadSymbol);
});
