// SPDX-License-Identifier: Apache-2.0
// Row T2: one-cancels-the-other pairs, by REST, the WebSocket API, binance-api-node and @binance/spot; over a kill.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { Spot } from '@binance/spot';
import { eventually, Server } from './server.mjs';
import { call } from './signed.mjs';

const symbol = 'ETHBTC';
let server;
let key;

const limit = async (side, price, quantity) => {
  const answer = await call(server, key, 'POST', '/api/v3/order', { symbol, side, type: 'LIMIT', timeInForce: 'GTC', price, quantity });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
};
const tradeAt = async (price) => {
  await limit('SELL', price, '0.01');
  await limit('BUY', price, '0.01');
};
const found = async (id) => (await call(server, key, 'GET', '/api/v3/order', { symbol, origClientOrderId: id })).body;
const listOf = (name) => call(server, key, 'GET', '/api/v3/orderList', { origClientOrderId: name });
const pair = (name, fields = {}) => call(server, key, 'POST', '/api/v3/orderList/oco', {
  symbol, side: 'SELL', quantity: '0.1', listClientOrderId: name,
  aboveType: 'LIMIT_MAKER', abovePrice: '0.055', aboveClientOrderId: `${name}-target`,
  belowType: 'STOP_LOSS', belowStopPrice: '0.045', belowClientOrderId: `${name}-stop`, ...fields });
const lockedEth = async () => {
  const { body } = await call(server, key, 'GET', '/api/v3/account');
  return Number(body.balances.find(({ asset }) => asset === 'ETH').locked);
};

before(async () => {
  server = await new Server().start();
  key = server.key();
  await tradeAt('0.05');
});

after(async () => { await server?.stop(); });

test('a pair locks once, survives a kill, and its target ends its stop [T2, T5]', async () => {
  const placed = await pair('one');
  assert.equal(placed.status, 200, JSON.stringify(placed.body));
  assert.deepEqual([placed.body.contingencyType, placed.body.listOrderStatus, placed.body.orders.length], ['OCO', 'EXECUTING', 2]);
  assert.deepEqual(placed.body.orderReports.map((r) => [r.clientOrderId, r.type, r.status, r.orderListId]), [
    ['one-stop', 'STOP_LOSS', 'NEW', placed.body.orderListId], ['one-target', 'LIMIT_MAKER', 'NEW', placed.body.orderListId]]);
  assert.equal(await lockedEth(), 0.1);
  const twice = await pair('one', { aboveClientOrderId: 'x', belowClientOrderId: 'y' });
  assert.deepEqual(twice.body, { code: -2010, msg: 'Duplicate order sent.' });
  const wrong = await pair('wrong', { abovePrice: '0.049' });
  assert.deepEqual(wrong.body, { code: -2010, msg: 'The relationship of the prices for the orders is not correct.' });

  await server.kill();
  await server.start();
  assert.equal((await listOf('one')).body.listOrderStatus, 'EXECUTING');
  assert.equal(await lockedEth(), 0.1);
  await limit('BUY', '0.055', '0.04');
  assert.equal((await found('one-stop')).status, 'EXPIRED');
  assert.deepEqual([(await found('one-target')).status, (await found('one-target')).executedQty], ['PARTIALLY_FILLED', '0.04000000']);
  await limit('BUY', '0.055', '0.06');
  const done = (await listOf('one')).body;
  assert.deepEqual([done.listStatusType, done.listOrderStatus], ['ALL_DONE', 'ALL_DONE']);
  assert.equal(await lockedEth(), 0);
});

test('a stop that is triggered ends the target and sells; the events tell the list [T2, T6]', async () => {
  await tradeAt('0.05');
  const made = await fetch(`${server.http}/api/v3/userDataStream`, { method: 'POST', headers: { 'X-MBX-APIKEY': key.api_key } });
  const { listenKey } = await made.json();
  const socket = new WebSocket(`${server.ws}/ws/${listenKey}`);
  const events = [];
  socket.on('message', (text) => events.push(JSON.parse(text)));
  await new Promise((resolve) => { socket.on('open', resolve); });
  const placed = (await pair('two')).body;
  await limit('BUY', '0.044', '0.3');
  await limit('BUY', '0.045', '0.01');
  await limit('SELL', '0.045', '0.01');
  await eventually('the list is told as done', () => events.some((e) => e.e === 'listStatus' && e.L === 'ALL_DONE'));
  socket.close();
  const told = events.filter((e) => e.e === 'listStatus');
  assert.deepEqual(told.map((e) => [e.g, e.c, e.l, e.L, e.C, e.O.length]), [
    [placed.orderListId, 'OCO', 'EXEC_STARTED', 'EXECUTING', 'two', 2], [placed.orderListId, 'OCO', 'ALL_DONE', 'ALL_DONE', 'two', 2]]);
  const stop = events.filter((e) => e.e === 'executionReport' && e.c === 'two-stop');
  assert.deepEqual(stop.map((e) => [e.x, e.X, e.g]), [['NEW', 'NEW', placed.orderListId], ['NEW', 'NEW', placed.orderListId],
    ['TRADE', 'FILLED', placed.orderListId]]);
  const target = events.filter((e) => e.e === 'executionReport' && e.c === 'two-target');
  assert.deepEqual(target.map((e) => [e.x, e.X]), [['NEW', 'NEW'], ['EXPIRED', 'EXPIRED']]);
  assert.equal((await found('two-stop')).cummulativeQuoteQty, '0.00440000');
});

test('a cancel of one order or of the list cancels both; all lists are found again after a restart [T2]', async () => {
  await tradeAt('0.05');
  await pair('three');
  const byOrder = await call(server, key, 'DELETE', '/api/v3/order', { symbol, origClientOrderId: 'three-target' });
  assert.deepEqual([byOrder.status, byOrder.body.listOrderStatus, byOrder.body.orderReports.map((r) => r.status)],
    [200, 'ALL_DONE', ['CANCELED', 'CANCELED']], JSON.stringify(byOrder.body));
  await pair('four');
  assert.equal((await call(server, key, 'GET', '/api/v3/openOrderList')).body.length, 1);
  const byList = await call(server, key, 'DELETE', '/api/v3/orderList', { symbol, listClientOrderId: 'four' });
  assert.deepEqual([byList.status, byList.body.listClientOrderId], [200, 'four']);
  await pair('five');
  const everything = await call(server, key, 'DELETE', '/api/v3/openOrders', { symbol });
  assert.ok(everything.body.some((one) => one.listClientOrderId === 'five' && one.orderReports.length === 2), JSON.stringify(everything.body));
  const again = await call(server, key, 'DELETE', '/api/v3/orderList', { symbol, listClientOrderId: 'five' });
  assert.deepEqual(again.body, { code: -2011, msg: 'Unknown order list sent.' });
  await server.kill();
  await server.start();
  const all = (await call(server, key, 'GET', '/api/v3/allOrderList')).body;
  assert.deepEqual(all.map((one) => [one.listClientOrderId, one.listOrderStatus, one.orders.length]),
    ['one', 'two', 'three', 'four', 'five'].map((name) => [name, 'ALL_DONE', 2]));
  assert.equal((await listOf('nobody')).body.code, -2013);
});

test('the official connector and the older form place a pair on the paper market [T2, T4]', async () => {
  const client = new Spot({ configurationRestAPI: { apiKey: key.api_key, apiSecret: key.secret, basePath: server.http } });
  const last = await eventually('there is a price', async () => {
    const ticker = await (await fetch(`${server.http}/api/v3/ticker/price?symbol=BTCUSDT`)).json();
    return Number(ticker.price) > 0 && Number(ticker.price);
  });
  const bought = await call(server, key, 'POST', '/api/v3/order', { symbol: 'BTCUSDT', side: 'BUY', type: 'MARKET', quantity: '0.01' });
  assert.equal(bought.status, 200, JSON.stringify(bought.body));
  const far = { up: (last * 1.5).toFixed(2), down: (last * 0.5).toFixed(2) };
  const response = await client.restAPI.orderListOco({ symbol: 'BTCUSDT', side: 'SELL', quantity: 0.001, aboveType: 'TAKE_PROFIT',
    aboveStopPrice: Number(far.up), belowType: 'STOP_LOSS', belowStopPrice: Number(far.down), listClientOrderId: 'connector' });
  const placed = await response.data();
  assert.equal(placed.listOrderStatus, 'EXECUTING');
  const older = await call(server, key, 'POST', '/api/v3/order/oco', { symbol: 'BTCUSDT', side: 'SELL', quantity: '0.001', price: far.up,
    stopPrice: far.down, stopLimitPrice: far.down, stopLimitTimeInForce: 'GTC' });
  assert.equal(older.status, 200, JSON.stringify(older.body));
  const canceled = await (await client.restAPI.deleteOrderList({ symbol: 'BTCUSDT', listClientOrderId: 'connector' })).data();
  assert.equal(canceled.listOrderStatus, 'ALL_DONE');
  const rest = await call(server, key, 'DELETE', '/api/v3/openOrders', { symbol: 'BTCUSDT' });
  assert.equal(rest.body[0].orderListId, older.body.orderListId);
});
