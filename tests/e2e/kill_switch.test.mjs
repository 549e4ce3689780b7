// SPDX-License-Identifier: Apache-2.0
// Row T3: an account, or all trading, is stopped by one command that also cancels what is open; it stays so over a kill.
import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { eventually, Server } from './server.mjs';
import { call, limitBuy } from './signed.mjs';

const open = [];
afterEach(async () => {
  while (open.length) await open.pop().stop();
});

test('an account is stopped and goes on, and so is all trading [T3]', async () => {
  const server = await new Server().start();
  open.push(server);
  server.tenon('accounts', 'open', '--account', 'other');
  server.tenon('accounts', 'fund', '--account', 'other', '--asset', 'USDT', '--amount', '1000');
  const demo = server.key(), other = server.key('other');
  const last = await eventually('there is a price', async () => {
    const { price } = await (await fetch(`${server.http}/api/v3/ticker/price?symbol=BTCUSDT`)).json();
    return Number(price) > 0 && price;
  });
  const price = String(Math.floor(Number(last) * 0.9));
  const place = async (key, id) => {
    const { status, body } = await limitBuy(server, key, price, id);
    return status === 200 ? body.status : [status, body.code, body.msg];
  };
  const openOrders = async (key) => (await call(server, key, 'GET', '/api/v3/openOrders')).body.map((one) => one.clientOrderId);
  const disabled = [400, -2010, 'This action is disabled on this account.'], closed = [400, -1013, 'Market is closed.'];

  assert.equal(await place(demo, 'a'), 'NEW');
  assert.equal(await place(other, 'b'), 'NEW');
  const told = server.tenon('accounts', 'disable', '--account', 'demo');
  assert.deepEqual([told.account, told.enabled, told.orders_cancelled], ['demo', false, 1]);
  assert.deepEqual(await place(demo, 'c'), disabled);
  assert.deepEqual([await openOrders(demo), await openOrders(other)], [[], ['b']]);
  await server.kill();
  await server.start();
  assert.deepEqual(await place(demo, 'd'), disabled);
  assert.equal(server.tenon('accounts', 'list').find((one) => one.name === 'demo').enabled, false);
  server.tenon('accounts', 'enable', '--account', 'demo');
  assert.equal(await place(demo, 'e'), 'NEW');

  assert.equal(server.tenon('trading', 'halt', '--keep-orders').orders_cancelled, 0);
  const refusal = await place(demo, 'f');
  assert.deepEqual(refusal.slice(2), closed.slice(2));
  assert.deepEqual(await place(other, 'g'), refusal);
  await server.kill();
  await server.start();
  assert.deepEqual(await place(demo, 'h'), refusal);
  assert.equal(server.tenon('trading', 'status').halted, true);
  assert.deepEqual([await openOrders(demo), await openOrders(other)], [['e'], ['b']]);
  assert.equal((await call(server, demo, 'DELETE', '/api/v3/order', { symbol: 'BTCUSDT', origClientOrderId: 'e' })).body.status, 'CANCELED');
  assert.equal(server.tenon('trading', 'halt').orders_cancelled, 1);
  assert.deepEqual(await openOrders(other), []);
  server.tenon('trading', 'resume');
  assert.equal(await place(other, 'i'), 'NEW');
  assert.match(JSON.stringify(server.tenon('audit', 'list')), /accounts\.disable.*trading\.halt.*trading\.resume/);
  assert.throws(() => server.tenon('accounts', 'disable', '--account', 'fees'), /system's own/);
  assert.throws(() => server.tenon('accounts', 'disable', '--account', 'nobody'), /no account/);
});

test('one instrument is halted, delisted and goes on, and the others do not notice [T13]', async () => {
  const server = await new Server().start();
  open.push(server);
  const demo = server.key();
  const place = async (symbol, price, quantity) => {
    const { status, body } = await call(server, demo, 'POST', '/api/v3/order', { symbol, side: 'SELL', type: 'LIMIT', timeInForce: 'GTC', price, quantity });
    return status === 200 ? body.status : [status, body.code, body.msg];
  };
  const status = async (symbol) => (await (await fetch(`${server.http}/api/v3/exchangeInfo?symbol=${symbol}`)).json()).symbols[0].status;
  const openOrders = async (symbol) => (await call(server, demo, 'GET', '/api/v3/openOrders', { symbol })).body.length;
  const listed = (symbol) => server.tenon('instruments', 'list').find((one) => one.symbol === symbol);
  const closed = [400, -2010, 'Market is closed.'];
  assert.equal(await place('ETHBTC', '0.05', '1'), 'NEW');
  assert.equal(await place('ETHBTC', '0.06', '1'), 'NEW');
  assert.deepEqual([listed('ETHBTC').status, listed('ETHBTC').open_orders, listed('ETHBTC').venue], ['trading', 2, 'internal']);
  const kept = server.tenon('instruments', 'halt', '--symbol', 'ETHBTC', '--keep-orders');
  assert.deepEqual([kept.status, kept.orders_cancelled], ['halt', 0]);
  assert.deepEqual(await place('ETHBTC', '0.05', '1'), closed);
  assert.deepEqual([await status('ETHBTC'), await status('BTCUSDT'), await openOrders('ETHBTC')], ['HALT', 'TRADING', 2]);
  await server.kill();
  await server.start();
  assert.deepEqual(await place('ETHBTC', '0.05', '1'), closed);
  const gone = server.tenon('instruments', 'delist', '--symbol', 'ETHBTC');
  assert.deepEqual([gone.status, gone.orders_cancelled], ['break', 2]);
  assert.deepEqual([await status('ETHBTC'), await openOrders('ETHBTC')], ['BREAK', 0]);
  await server.kill();
  await server.start();
  assert.equal(listed('ETHBTC').status, 'break');
  server.tenon('instruments', 'resume', '--symbol', 'ETHBTC');
  assert.equal(await place('ETHBTC', '0.05', '1'), 'NEW');
  assert.throws(() => server.tenon('instruments', 'halt', '--symbol', 'NOPE'), /args\/symbol: there is no symbol \\?"NOPE/);
  assert.throws(() => server.tenon('instruments', 'resume', '--symbol', 'ETHBTC', '--keep-orders'), /keep_orders/);
  assert.match(JSON.stringify(server.tenon('audit', 'list')), /instruments\.halt.*instruments\.delist.*instruments\.resume/);
});
