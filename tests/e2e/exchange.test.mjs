// SPDX-License-Identifier: Apache-2.0
// Rows T4 and T9: orders at an exchange over the network. The exchange is a second server with its
// own book and user stream.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { eventually, Server } from './server.mjs';
import { call } from './signed.mjs';
import { inFrontOf } from './exchange_pair.mjs';

const symbol = 'ETHBTC';
let there; // the exchange
let here; // ours, in front of it
let theirKey;
let ourKey;

const order = (server, key, { timeInForce = 'GTC', ...fields }) => call(server, key, 'POST', '/api/v3/order', {
  symbol, side: 'BUY', type: 'LIMIT', quantity: '0.1', price: '0.05', ...(timeInForce ? { timeInForce } : {}), ...fields });
const status = (server, key, id) => call(server, key, 'GET', '/api/v3/order', { symbol, origClientOrderId: id });
const open = async (server, key) => (await call(server, key, 'GET', '/api/v3/openOrders', { symbol })).body;

before(async () => {
  there = await new Server().start();
  theirKey = there.key();
  here = await inFrontOf(there, theirKey, symbol).start();
  ourKey = here.key();
  await eventually('orders are taken', async () => {
    const answer = await order(here, ourKey, { newClientOrderId: `first-${Date.now()}` });
    return answer.status === 200;
  });
  await call(here, ourKey, 'DELETE', '/api/v3/openOrders', { symbol });
});

after(async () => {
  await here?.stop();
  await there?.stop();
});

test('an order is answered when the exchange has it, under an id of ours [T4, T9]', async () => {
  const answer = await order(here, ourKey, { newClientOrderId: 'mine-1' });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  assert.equal(answer.body.clientOrderId, 'mine-1');
  assert.equal(answer.body.status, 'NEW');
  const rows = await open(there, theirKey);
  assert.equal(rows.length, 1);
  assert.match(rows[0].clientOrderId, /^tnne2e-/);
  const gone = await call(here, ourKey, 'DELETE', '/api/v3/order', { symbol, origClientOrderId: 'mine-1' });
  assert.equal(gone.status, 200, JSON.stringify(gone.body));
  assert.equal(gone.body.status, 'CANCELED');
  assert.deepEqual(await open(there, theirKey), []);
  assert.deepEqual(await open(here, ourKey), []);
});

test('the exchange\'s refusal is the answer [T9]', async () => {
  const resting = await order(there, theirKey, { side: 'SELL', price: '0.06', newClientOrderId: 'ask' });
  assert.equal(resting.status, 200);
  const answer = await order(here, ourKey, { type: 'LIMIT_MAKER', timeInForce: '', price: '0.07', newClientOrderId: 'maker' });
  assert.equal(answer.status, 400);
  assert.deepEqual(answer.body, { code: -2010, msg: 'Order would immediately match and take.' });
  await call(there, theirKey, 'DELETE', '/api/v3/order', { symbol, origClientOrderId: 'ask' });
});

test('a fill is booked once, with the commission that the exchange charged [T4, T9]', async () => {
  const resting = await order(there, theirKey, { side: 'SELL', price: '0.04', quantity: '0.03', newClientOrderId: 'ask-2' });
  assert.equal(resting.status, 200);
  const answer = await order(here, ourKey, { newClientOrderId: 'taker' });
  assert.equal(answer.body.status, 'PARTIALLY_FILLED', JSON.stringify(answer.body));
  assert.equal(answer.body.fills.length, 1);
  assert.equal(answer.body.fills[0].commission, '0.00003000');
  assert.equal(answer.body.fills[0].commissionAsset, 'ETH');
  // The rest trades while nobody tells us.
  await order(there, theirKey, { side: 'SELL', price: '0.05', quantity: '0.07', newClientOrderId: 'hit' });
  const filled = await eventually('the fill is known', async () => {
    const now = (await status(here, ourKey, 'taker')).body;
    return now.status === 'FILLED' && now;
  });
  assert.equal(filled.executedQty, '0.10000000');
  const ours = (await call(here, ourKey, 'GET', '/api/v3/myTrades', { symbol, orderId: filled.orderId })).body;
  assert.deepEqual(ours.map((trade) => trade.qty), ['0.03000000', '0.07000000']);
});

test('orders in flight when we are killed end as the exchange has them [T9]', async () => {
  const ids = Array.from({ length: 20 }, (_, i) => `flight-${i}`);
  const asked = ids.map((id) => order(here, ourKey, { newClientOrderId: id, quantity: '0.01' }).catch(() => undefined));
  await asked[0];
  await here.kill();
  await Promise.all(asked);
  await here.start();
  // An order that never left is known to be absent when it could no longer arrive: that takes its
  // window, and the exchange is asked again and again meanwhile. It counts our questions as its.
  const settled = await eventually('every order is known', async () => {
    const metrics = await (await fetch(`${here.http}/metrics`)).text();
    const unknown = /^tenon_exchange_orders_unknown\{?[^}\n]*\}? (\d+)/m.exec(metrics);
    if (!unknown || Number(unknown[1]) !== 0) return false;
    const theirs = (await open(there, theirKey)).length;
    const ours = (await open(here, ourKey)).length;
    return theirs === ours && { theirs };
  }, 90);
  assert.ok(settled.theirs >= 1);
  const all = await call(here, ourKey, 'DELETE', '/api/v3/openOrders', { symbol });
  assert.equal(all.status, 200, JSON.stringify(all.body));
  assert.equal(all.body.length, settled.theirs);
  assert.deepEqual(await open(there, theirKey), []);
});

test('a stop-loss waits at the exchange, and is told to work and to fill [T2, T9]', async () => {
  for (const side of ['SELL', 'BUY']) await order(there, theirKey, { side, price: '0.05', quantity: '0.01' });
  const late = await order(here, ourKey, { type: 'STOP_LOSS_LIMIT', stopPrice: '0.04', newClientOrderId: 'late' });
  assert.deepEqual([late.status, late.body.msg], [400, 'Order would trigger immediately.']);
  const stop = await order(here, ourKey, { type: 'STOP_LOSS_LIMIT', stopPrice: '0.06', price: '0.061', newClientOrderId: 'stop' });
  assert.equal(stop.status, 200, JSON.stringify(stop.body));
  assert.equal((await status(here, ourKey, 'stop')).body.isWorking, false);
  const [waits] = await open(there, theirKey);
  assert.deepEqual([waits.type, waits.stopPrice, waits.isWorking], ['STOP_LOSS_LIMIT', '0.06000000', false]);
  const unbounded = await call(here, ourKey, 'POST', '/api/v3/order',
    { symbol, side: 'BUY', type: 'STOP_LOSS', quantity: '0.1', stopPrice: '0.06' });
  assert.equal(unbounded.body.code, -1020, JSON.stringify(unbounded.body));
  for (const side of ['SELL', 'BUY']) await order(there, theirKey, { side, price: '0.06', quantity: '0.01' });
  await eventually('it works here too', async () => (await status(here, ourKey, 'stop')).body.isWorking);
  await order(there, theirKey, { side: 'SELL', price: '0.061', quantity: '0.1' });
  const filled = await eventually('the fill is known', async () => {
    const now = (await status(here, ourKey, 'stop')).body;
    return now.status === 'FILLED' && now;
  });
  assert.equal(filled.stopPrice, '0.06000000');
});

test('an iceberg, a trailing stop and prevention of self-trades are the exchange\'s [T2, T9]', async () => {
  const iceberg = await order(here, ourKey, { side: 'SELL', price: '0.065', quantity: '0.5', icebergQty: '0.1', newClientOrderId: 'ice' });
  assert.equal(iceberg.status, 200, JSON.stringify(iceberg.body));
  const trail = await order(here, ourKey, { side: 'SELL', type: 'STOP_LOSS_LIMIT', price: '0.055', trailingDelta: '1000', newClientOrderId: 'trail' });
  assert.equal(trail.status, 200, JSON.stringify(trail.body));
  const theirs = (await open(there, theirKey)).map((o) => [o.type, o.icebergQty, o.trailingDelta]);
  assert.deepEqual(theirs, [['LIMIT', '0.10000000', undefined], ['STOP_LOSS_LIMIT', '0.00000000', 1000]]);
  const taker = await order(here, ourKey, { side: 'BUY', price: '0.065', quantity: '0.1', newClientOrderId: 'own-taker', selfTradePreventionMode: 'EXPIRE_TAKER' });
  assert.equal(taker.status, 200, JSON.stringify(taker.body));
  await eventually('it is known to have expired', async () => (await status(here, ourKey, 'own-taker')).body.status === 'EXPIRED');
  const less = await order(here, ourKey, { side: 'BUY', price: '0.065', quantity: '0.1', selfTradePreventionMode: 'DECREMENT' });
  assert.equal(less.body.code, -1020, JSON.stringify(less.body));
  for (const id of ['ice', 'trail']) await call(here, ourKey, 'DELETE', '/api/v3/order', { symbol, origClientOrderId: id });
  await eventually('both are gone', async () => (await open(there, theirKey)).length === 0);
});

test('without the exchange an order is never made up [T9]', async () => {
  await there.kill();
  const answer = await order(here, ourKey, { newClientOrderId: 'lost' });
  assert.ok(answer.status >= 500, JSON.stringify(answer.body));
  assert.ok([-1001, -1007].includes(answer.body.code), JSON.stringify(answer.body));
});
