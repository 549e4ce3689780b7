// SPDX-License-Identifier: Apache-2.0
// Row T2: self-trade prevention, icebergs, trailing stops and amendments, by REST, ccxt and @binance/spot; over kills.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { Spot } from '@binance/spot';
import { exchange } from './ccxt.mjs';
import { eventually, Server } from './server.mjs';
import { call } from './signed.mjs';

const symbol = 'ETHBTC';
let server;
let key;
let socket;
const events = [];

const send = (fields) => call(server, key, 'POST', '/api/v3/order', { symbol, newOrderRespType: 'FULL',
  ...(fields.type ? {} : { type: 'LIMIT', timeInForce: 'GTC' }), ...fields });
const place = async (fields) => {
  const answer = await send(fields);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body;
};
const tradeAt = async (price) => {
  await place({ side: 'SELL', price, quantity: '0.01' });
  await place({ side: 'BUY', price, quantity: '0.01' });
};
const found = async (id) => (await call(server, key, 'GET', '/api/v3/order', { symbol, origClientOrderId: id })).body;
const shown = async (side) => (await (await fetch(`${server.http}/api/v3/depth?symbol=${symbol}`)).json())[side];
const listen = async () => {
  const made = await fetch(`${server.http}/api/v3/userDataStream`, { method: 'POST', headers: { 'X-MBX-APIKEY': key.api_key } });
  const { listenKey } = await made.json();
  socket = new WebSocket(`${server.ws}/ws/${listenKey}`);
  socket.on('message', (text) => events.push(JSON.parse(text)));
  await new Promise((resolve) => { socket.on('open', resolve); });
};
const told = (id, type) => eventually(`${type} of ${id} is told`, () => events.find((e) => e.e === 'executionReport' && e.c === id && e.x === type));
const restart = async () => {
  await server.kill();
  await server.start();
};

before(async () => {
  server = await new Server().start();
  key = server.key();
  await tradeAt('0.05');
});

after(async () => { socket?.close(); await server?.stop(); });

test('own orders are kept from each other in every mode, and what was prevented is on record [T2, T6]', async () => {
  await listen();
  const meet = async (mode) => {
    await place({ side: 'BUY', price: '0.05', quantity: '0.6', newClientOrderId: `maker-${mode}` });
    const taker = await place({ side: 'SELL', price: '0.05', quantity: '0.2', newClientOrderId: `taker-${mode}`, selfTradePreventionMode: mode });
    const outcome = [taker.status, taker.preventedMatches?.length ?? 0, (await found(`maker-${mode}`)).status];
    await call(server, key, 'DELETE', '/api/v3/openOrders', { symbol });
    return outcome;
  };
  assert.deepEqual(await meet('NONE'), ['FILLED', 0, 'PARTIALLY_FILLED']);
  assert.deepEqual(await meet('EXPIRE_TAKER'), ['EXPIRED_IN_MATCH', 1, 'NEW']);
  assert.deepEqual(await meet('EXPIRE_MAKER'), ['NEW', 1, 'EXPIRED_IN_MATCH']);
  assert.deepEqual(await meet('EXPIRE_BOTH'), ['EXPIRED_IN_MATCH', 1, 'EXPIRED_IN_MATCH']);
  assert.deepEqual(await meet('DECREMENT'), ['EXPIRED_IN_MATCH', 1, 'NEW']);
  assert.deepEqual(await meet('TRANSFER'), ['EXPIRED_IN_MATCH', 1, 'NEW']);
  assert.equal((await found('maker-DECREMENT')).preventedQuantity, '0.20000000');
  const event = await told('taker-DECREMENT', 'TRADE_PREVENTION');
  assert.deepEqual([event.X, event.A, event.B, event.V], ['EXPIRED_IN_MATCH', '0.20000000', '0.20000000', 'DECREMENT']);
  const query = { symbol, orderId: (await found('taker-EXPIRE_BOTH')).orderId };
  const before_ = (await call(server, key, 'GET', '/api/v3/myPreventedMatches', query)).body;
  assert.deepEqual([before_.length, before_[0].takerPreventedQuantity, before_[0].makerPreventedQuantity], [1, '0.20000000', '0.60000000']);
  await restart();
  assert.deepEqual((await call(server, key, 'GET', '/api/v3/myPreventedMatches', query)).body, before_);
  assert.equal((await found('taker-EXPIRE_BOTH')).status, 'EXPIRED_IN_MATCH');
});

test('an iceberg shows a part at a time, also after a kill, and trades as a whole [T2]', async () => {
  await place({ side: 'SELL', price: '0.06', quantity: '1', icebergQty: '0.3', newClientOrderId: 'iceberg' });
  assert.deepEqual(await shown('asks'), [['0.06000000', '0.30000000']]);
  await restart();
  assert.deepEqual(await shown('asks'), [['0.06000000', '0.30000000']]);
  await place({ side: 'BUY', price: '0.06', quantity: '0.5' });
  assert.deepEqual(await shown('asks'), [['0.06000000', '0.10000000']]);
  await place({ side: 'BUY', price: '0.06', quantity: '0.5' });
  const order = await found('iceberg');
  assert.deepEqual([order.status, order.icebergQty], ['FILLED', '0.30000000']);
  const parts = await send({ side: 'SELL', price: '0.06', quantity: '1', icebergQty: '0.009' });
  assert.deepEqual(parts.body, { code: -1013, msg: 'Filter failure: ICEBERG_PARTS' });
});

test('a trailing stop keeps its highest price over a kill and sells when the price falls from there [T2, T5]', async () => {
  await tradeAt('0.05');
  await place({ side: 'BUY', price: '0.04', quantity: '1', newClientOrderId: 'support' });
  const stop = await place({ side: 'SELL', type: 'STOP_LOSS', quantity: '0.2', trailingDelta: 1000, newClientOrderId: 'trail' });
  assert.equal(stop.trailingDelta, 1000);
  await tradeAt('0.06');
  await restart();
  await tradeAt('0.0541');
  assert.deepEqual([(await found('trail')).status, (await found('trail')).isWorking], ['NEW', false]);
  await tradeAt('0.054');
  const sold = await found('trail');
  assert.deepEqual([sold.status, sold.executedQty, sold.cummulativeQuoteQty], ['FILLED', '0.20000000', '0.00800000']);
  await call(server, key, 'DELETE', '/api/v3/openOrders', { symbol });
});

test('the official connector amends an order, which keeps its place; the record survives a kill [T2, T6]', async () => {
  socket.close();
  await listen();
  const first = await place({ side: 'BUY', price: '0.04', quantity: '0.5', newClientOrderId: 'first' });
  await place({ side: 'BUY', price: '0.04', quantity: '0.5', newClientOrderId: 'second' });
  const client = new Spot({ configurationRestAPI: { apiKey: key.api_key, apiSecret: key.secret, basePath: server.http } });
  const answer = await (await client.restAPI.orderAmendKeepPriority({ symbol, orderId: first.orderId, newQty: 0.3, newClientOrderId: 'less' })).data();
  assert.deepEqual([answer.amendedOrder.origClientOrderId, answer.amendedOrder.clientOrderId, answer.amendedOrder.qty], ['first', 'less', '0.30000000']);
  const event = await told('less', 'REPLACED');
  assert.deepEqual([event.C, event.X, event.q, Number(event.I)], ['first', 'NEW', '0.30000000', Number(answer.executionId)]);
  const more = await call(server, key, 'PUT', '/api/v3/order/amend/keepPriority', { symbol, origClientOrderId: 'less', newQty: '0.4' });
  assert.deepEqual(more.body, { code: -2038, msg: 'Order amend (quantity increase) is not supported.' });
  await restart();
  await place({ side: 'SELL', price: '0.04', quantity: '0.3' });
  assert.deepEqual([(await found('less')).status, (await found('second')).status], ['FILLED', 'NEW']);
  const history = await call(server, key, 'GET', '/api/v3/order/amendments', { symbol, orderId: first.orderId });
  assert.deepEqual(history.body.map((a) => [a.origClientOrderId, a.newClientOrderId, a.origQty, a.newQty]), [['first', 'less', '0.50000000', '0.30000000']]);
  await call(server, key, 'DELETE', '/api/v3/openOrders', { symbol });
});

test('an order that is good till a date expires then, also while the server is down [T2, T5]', async () => {
  const till = (ms, id) => place({ side: 'BUY', type: 'LIMIT', timeInForce: 'GTD', goodTillDate: Date.now() + ms, price: '0.03', quantity: '0.5', newClientOrderId: id });
  socket.close();
  await listen();
  const order = await till(1200, 'soon');
  assert.deepEqual([order.status, order.timeInForce, order.goodTillDate > Date.now()], ['NEW', 'GTD', true]);
  const far = await till(3_600_000, 'far');
  await eventually('its time is over', async () => (await found('soon')).status === 'EXPIRED');
  assert.equal((await told('soon', 'EXPIRED')).f, 'GTD');
  await till(300, 'down');
  await server.kill();
  await eventually('its time is over', () => Date.now() > far.transactTime + 400);
  await server.start();
  await eventually('it is told as expired', async () => (await found('down')).status === 'EXPIRED');
  assert.deepEqual([(await found('far')).status, (await found('far')).goodTillDate], ['NEW', far.goodTillDate]);
  await call(server, key, 'DELETE', '/api/v3/openOrders', { symbol });
});

test('ccxt places a trailing stop; a symbol tells what it takes; the paper market amends [T2, T6]', async () => {
  const info = (await (await fetch(`${server.http}/api/v3/exchangeInfo?symbols=["${symbol}","BTCUSDT"]`)).json()).symbols;
  const flags = Object.fromEntries(info.map((s) => [s.symbol, [s.icebergAllowed, s.allowTrailingStop, s.amendAllowed, s.allowedSelfTradePreventionModes.length]]));
  assert.deepEqual(flags, { ETHBTC: [true, true, true, 6], BTCUSDT: [false, true, true, 6] });
  await tradeAt('0.05');
  const client = await exchange(server, key);
  try {
    const order = await client.createOrder('ETH/BTC', 'STOP_LOSS_LIMIT', 'sell', 0.1, 0.03, { trailingDelta: 500, timeInForce: 'GTC' });
    assert.equal((await client.fetchOrder(order.id, 'ETH/BTC')).status, 'open');
    await client.cancelOrder(order.id, 'ETH/BTC');
  } finally {
    await client.close();
  }
  const paper = { symbol: 'BTCUSDT', side: 'BUY', price: '1000', quantity: '0.01' };
  await eventually('the paper market has a price', async () => (await send({ ...paper, price: '20000', newClientOrderId: 'paper' })).status === 200);
  const amended = await call(server, key, 'PUT', '/api/v3/order/amend/keepPriority', { symbol: 'BTCUSDT', origClientOrderId: 'paper', newQty: '0.005' });
  assert.equal(amended.body.amendedOrder?.qty, '0.00500000', JSON.stringify(amended.body));
  const bought = await send({ symbol: 'BTCUSDT', side: 'BUY', type: 'MARKET', quantity: '0.01' });
  assert.equal(bought.status, 200, JSON.stringify(bought.body));
  const trail = await send({ symbol: 'BTCUSDT', side: 'SELL', type: 'STOP_LOSS', quantity: '0.01', trailingDelta: 2000, newClientOrderId: 'paper-trail' });
  assert.equal(trail.status, 200, JSON.stringify(trail.body));
  await restart();
  const state = async () => (await call(server, key, 'GET', '/api/v3/order', { symbol: 'BTCUSDT', origClientOrderId: 'paper-trail' })).body;
  assert.deepEqual([(await state()).status, (await state()).isWorking, (await state()).trailingDelta], ['NEW', false, 2000]);
  assert.equal((await call(server, key, 'DELETE', '/api/v3/order', { symbol: 'BTCUSDT', origClientOrderId: 'paper-trail' })).body.status, 'CANCELED');
  const iceberg = await send({ ...paper, icebergQty: '0.001' });
  assert.deepEqual(iceberg.body, { code: -2010, msg: 'Iceberg orders are not supported for this symbol.' });
});
