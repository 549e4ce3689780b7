// SPDX-License-Identifier: Apache-2.0
// Row T3: risk limits are set while trading goes on, refuse by name, bind over a kill, and are audited.
import { createHmac } from 'node:crypto';
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { exchange } from './ccxt.mjs';
import WebSocket from 'ws';
import { eventually, Server } from './server.mjs';
import { call } from './signed.mjs';

const symbol = 'ETHBTC';
let server;
let key;
let other;

const send = (whose, fields) => call(server, whose, 'POST', '/api/v3/order', { symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', ...fields });
const outcome = async (fields, whose = key) => {
  const { status, body } = await send(whose, fields);
  return status === 200 ? body.status : [status, body.code, body.msg];
};
const risk = (...words) => server.tenon('risk', ...words);

before(async () => {
  server = await new Server().start();
  for (const account of ['ann', 'other']) {
    server.tenon('accounts', 'open', '--account', account);
    server.tenon('accounts', 'fund', '--account', account, '--asset', 'BTC', '--amount', '10');
    server.tenon('accounts', 'fund', '--account', account, '--asset', 'ETH', '--amount', '10');
  }
  key = server.key('ann');
  other = server.key('other');
  assert.equal(await outcome({ side: 'SELL', price: '0.05', quantity: '0.1' }), 'NEW');
  assert.equal(await outcome({ price: '0.05', quantity: '0.1' }, other), 'FILLED');
});

after(async () => { await server?.stop(); });

test('each limit refuses by its name, and only whom it is for [T3]', async () => {
  assert.deepEqual(risk('show'), []);
  risk('set', '--account', 'ann', '--symbol', symbol, '--price-band-ppm', '100000', '--order-notional', '0.02', '--open-orders', '2');
  assert.deepEqual(await outcome({ price: '0.0449', quantity: '0.1' }), [400, -2010, 'Risk limit: price band.']);
  assert.deepEqual(await outcome({ price: '0.045', quantity: '0.5' }), [400, -2010, 'Risk limit: order notional.']);
  assert.equal(await outcome({ price: '0.045', quantity: '0.5' }, other), 'NEW');
  assert.equal(await outcome({ price: '0.045', quantity: '0.1' }), 'NEW');
  assert.equal(await outcome({ price: '0.045', quantity: '0.1' }), 'NEW');
  assert.deepEqual(await outcome({ price: '0.045', quantity: '0.1' }), [400, -2010, 'Risk limit: open orders.']);
  assert.equal((await call(server, key, 'DELETE', '/api/v3/openOrders', { symbol })).body.length, 2);
  // Held are 10 less the 0.1 sold.
  risk('set', '--symbol', symbol, '--position', '10.05');
  assert.deepEqual(await outcome({ price: '0.05', quantity: '0.16' }), [400, -2010, 'Risk limit: position.']);
  risk('set', '--symbol', symbol, '--position', '0');
  risk('set', '--account', 'ann', '--symbol', symbol, '--exposure', '0.5');
  assert.deepEqual(await outcome({ price: '0.045', quantity: '0.101' }), [400, -2010, 'Risk limit: exposure.']);
  assert.equal(await outcome({ price: '0.045', quantity: '0.1' }), 'NEW');
});

test('limits and what a rate has used are there after a kill [T3]', async () => {
  risk('set', '--order-rate', '3', '--order-rate-ms', '3600000');
  for (let i = 0; i < 3; ++i) assert.equal(await outcome({ price: '0.04', quantity: '0.1' }, other), 'NEW');
  const shown = risk('show');
  const hash = server.tenon('trading', 'status').state_hash;
  await server.kill();
  await server.start();
  assert.equal(server.tenon('trading', 'status').state_hash, hash);
  assert.deepEqual(risk('show'), shown);
  assert.deepEqual(shown, [
    { account: null, symbol: null, order_rate: '3', order_rate_ms: '3600000' },
    { account: 'ann', symbol, price_band_ppm: '100000', order_notional: '0.02', exposure: '0.5', open_orders: '2' },
  ]);
  const { status, headers, body } = await send(other, { price: '0.04', quantity: '0.1' });
  assert.deepEqual([status, body.code], [429, -1015]);
  assert.ok(Number(headers.get('retry-after')) >= 1);
  const ccxt = await exchange(server, other);
  await assert.rejects(ccxt.createOrder('ETH/BTC', 'limit', 'buy', 0.1, 0.04), { name: 'DDoSProtection' });
  const metrics = await (await fetch(`${server.http}/metrics`)).text();
  assert.match(metrics, /tenon_trading_rejects_total\{[^}]*reason="risk_order_rate"[^}]*\} 2/);
  risk('clear');
  assert.equal(await outcome({ price: '0.04', quantity: '0.1' }, other), 'NEW');
});

test('orders end with the connection that asked for it, and stay over a stop of the server [T3]', async () => {
  const open = async () => (await call(server, other, 'GET', '/api/v3/openOrders')).body.length;
  const connect = async () => {
    const socket = new WebSocket(`${server.ws}/ws-api/v3`);
    await new Promise((resolve) => { socket.on('open', resolve); });
    const params = { apiKey: other.api_key, enabled: true, timestamp: Date.now() };
    const payload = Object.entries(params).map(([name, value]) => `${name}=${value}`).sort().join('&');
    params.signature = createHmac('sha256', other.secret).update(payload).digest('hex');
    const answer = new Promise((resolve) => { socket.on('message', (text) => resolve(JSON.parse(text))); });
    socket.send(JSON.stringify({ id: 1, method: 'session.cancelOnDisconnect', params }));
    assert.deepEqual((await answer).result, { cancelOnDisconnect: true });
    return socket;
  };
  assert.ok(await open() > 0);
  (await connect()).terminate();
  await eventually('the orders are cancelled', async () => await open() === 0);
  assert.equal(await outcome({ price: '0.04', quantity: '0.1' }, other), 'NEW');
  await connect();
  server.child.kill('SIGTERM');
  await server.exited;
  await server.start();
  assert.equal(await open(), 1);
});

test('what makes no sense is refused and changes nothing; what was done is in the audit log [T3]', async () => {
  const before = risk('show');
  assert.throws(() => risk('set', '--account', 'ann'), /no limit is named/);
  assert.throws(() => risk('set', '--position', '1'), /an amount is for one symbol/);
  assert.throws(() => risk('set', '--symbol', symbol, '--exposure', '0.123456789'), /at most 8 decimals/);
  assert.throws(() => risk('set', '--symbol', symbol, '--open-orders', '-1'), /0 \(no limit\) or above/);
  assert.throws(() => risk('set', '--symbol', 'NOPE', '--open-orders', '1'), /no symbol .*NOPE/);
  assert.throws(() => risk('set', '--account', 'nobody', '--open-orders', '1'), /no account .*nobody/);
  assert.throws(() => risk('set', '--account', 'fees', '--open-orders', '1'), /system's own/);
  assert.throws(() => risk('set', '--order-rate', '2000000'), /at most 1000000 orders/);
  assert.throws(() => risk('set', '--order-rate-ms', '5'), /invalid/);
  assert.throws(() => risk('set', '--frobnicate', '5'), /frobnicate: not known/);
  assert.throws(() => risk('clear', '--account', 'other'), /no limits are set/);
  assert.deepEqual(risk('show'), before);
  assert.match(JSON.stringify(server.tenon('audit', 'list')), /risk\.set.*ann.*price_band_ppm.*risk\.clear/);
});
