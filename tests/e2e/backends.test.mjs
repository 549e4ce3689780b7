// SPDX-License-Identifier: Apache-2.0
// Rows S2, S8, T5: with PostgreSQL in place of SQLite every answer is the same, and the database may be killed.
import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { eventually, Server } from './server.mjs';
import { call, limitBuy } from './signed.mjs';
import { Postgres } from './postgres.mjs';

const open = [];

afterEach(async () => {
  while (open.length) await open.pop().stop();
});

async function withPostgres() {
  const postgres = new Postgres();
  open.push(postgres);
  await postgres.start();
  postgres.run('createdb', '-h', postgres.folder, '-U', 'tenon', 'tenon');
  return postgres;
}

async function started(options) {
  const server = new Server(options);
  open.push(server);
  await server.start();
  await eventually('a price', async () =>
    (await (await fetch(`${server.http}/api/v3/ticker/price?symbol=BTCUSDT`)).json()).price > 0);
  return server;
}

const caughtUp = (server) => eventually('the projection has caught up', () => {
  const status = server.tenon('trading', 'status');
  return status.projected_sequence >= status.durable_sequence;
}, 60);

// What differs from run to run: clocks, and the price at which a market order meets the market.
const volatile = new Set(['time', 'updateTime', 'transactTime', 'workingTime', 'price', 'cummulativeQuoteQty', 'commission',
  'quoteQty', 'free', 'fills']);

function stable(value) {
  if (Array.isArray(value)) return value.map(stable);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) =>
    [name, volatile.has(name) ? typeof inner : stable(inner)]));
}

// Everything a client can ask about its past, after the same orders and a restart that forgets the memory.
async function story(server) {
  const key = server.key();
  const ask = (method, path, query) => call(server, key, method, path, query);
  const answers = [];
  const told = async (method, path, query = {}) => {
    const { status, body } = await ask(method, path, query);
    answers.push({ method, path, query, status, body: stable(body) });
  };
  for (let i = 0; i < 12; i += 1) {
    await told('POST', '/api/v3/order', { symbol: i % 3 ? 'BTCUSDT' : 'ETHUSDT', side: 'BUY', type: 'LIMIT', timeInForce: 'GTC',
      quantity: i % 3 ? '0.001' : '0.01', price: i % 3 ? '30000' : '1000', newClientOrderId: `rest-${i}` });
  }
  await told('POST', '/api/v3/order', { symbol: 'BTCUSDT', side: 'BUY', type: 'MARKET', quantity: '0.001', newClientOrderId: 'taken' });
  await told('POST', '/api/v3/order', { symbol: 'BTCUSDT', side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: '0.001',
    price: '30000', newClientOrderId: "it's; DROP TABLE orders" });
  await told('POST', '/api/v3/order', { symbol: 'BTCUSDT', side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: '0',
    price: '30000', newClientOrderId: 'nothing' });
  await told('DELETE', '/api/v3/order', { symbol: 'BTCUSDT', origClientOrderId: 'rest-1' });
  await told('DELETE', '/api/v3/order', { symbol: 'BTCUSDT', origClientOrderId: 'rest-1' });
  await told('DELETE', '/api/v3/openOrders', { symbol: 'ETHUSDT' });
  await caughtUp(server);
  await server.kill();
  await server.start();
  await caughtUp(server);
  for (const symbol of ['BTCUSDT', 'ETHUSDT']) {
    await told('GET', '/api/v3/allOrders', { symbol, limit: 1000 });
    await told('GET', '/api/v3/allOrders', { symbol, limit: 3, orderId: 1 });
    await told('GET', '/api/v3/openOrders', { symbol });
    await told('GET', '/api/v3/myTrades', { symbol });
  }
  await told('GET', '/api/v3/order', { symbol: 'BTCUSDT', origClientOrderId: 'taken' });
  await told('GET', '/api/v3/order', { symbol: 'BTCUSDT', origClientOrderId: 'never' });
  await told('GET', '/api/v3/account');
  return answers;
}

test('the same orders give the same answers on SQLite and on PostgreSQL [S2, S8]', async () => {
  const postgres = await withPostgres();
  const [onSqlite, onPostgres] = [await story(await started()),
    await story(await started({ deployment: 'moderate', set: postgres.settings }))];
  assert.equal(onPostgres.length, onSqlite.length);
  for (const [i, answer] of onPostgres.entries()) assert.deepEqual(answer, onSqlite[i]);
  // 12 that rest and one taken; the one of nothing and the one whose name is SQL were refused.
  assert.equal(postgres.query('SELECT count(*) FROM orders'), '13');
});

test('PostgreSQL is killed under load: orders go on, and all of them reach it once [T5, S2]', async () => {
  const postgres = await withPostgres();
  const server = await started({ deployment: 'moderate', set: postgres.settings });
  const key = server.key();
  const told = [];
  const trade = async (from, to) => {
    for (let i = from; i < to; i += 1) {
      assert.equal((await limitBuy(server, key, '30000', `order-${i}`)).status, 200);
      told.push(`order-${i}`);
    }
  };
  await trade(0, 20);
  await postgres.kill();
  await trade(20, 40);
  await postgres.start();
  await trade(40, 60);
  await caughtUp(server);
  const stored = postgres.query("SELECT client_id FROM orders WHERE client_id LIKE 'order-%' ORDER BY order_id").split('\n');
  assert.deepEqual(stored, told);
  await server.kill();
  await server.start();
  const { body } = await call(server, key, 'GET', '/api/v3/openOrders', { symbol: 'BTCUSDT' });
  assert.deepEqual(body.map((order) => order.clientOrderId).sort(), [...told].sort());
});
