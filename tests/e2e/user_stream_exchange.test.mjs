// SPDX-License-Identifier: Apache-2.0
// Rows T4 and T9: the user stream of an exchange is cut in every state of an order. No fill is missed, none counted twice, no
// order denied that the exchange has; and what its balances do without us is told.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { eventually, Server } from './server.mjs';
import { ChaosProxy } from './chaos_proxy.mjs';
import { inFrontOf } from './exchange_pair.mjs';
import { call } from './signed.mjs';

const symbol = 'ETHBTC';
let there; // the exchange
let here; // ours, in front of it
let theirKey; // of the account that we trade with there
let otherKey; // of another account there
let ourKey;
let proxy; // between them, for the user stream alone

const order = (server, key, fields) => call(server, key, 'POST', '/api/v3/order', {
  symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: '0.1', price: '0.03', ...fields });
const hit = (quantity) => order(there, otherKey, { side: 'SELL', quantity });
const status = async (id) => (await call(here, ourKey, 'GET', '/api/v3/order', { symbol, origClientOrderId: id })).body;
const cancel = (id) => call(here, ourKey, 'DELETE', '/api/v3/order', { symbol, origClientOrderId: id });
const trades = async (server, key, orderId) => (await call(server, key, 'GET', '/api/v3/myTrades', { symbol, orderId })).body;
const health = async () => JSON.stringify(await (await fetch(`${here.http}/healthz`)).json());

async function metric(name) {
  const line = (await (await fetch(`${here.http}/metrics`)).text()).split('\n').find((one) => one.startsWith(`${name} `) || one.startsWith(`${name}{`));
  return line && Number(line.split(' ').pop());
}

function cut() {
  proxy.refusing = true;
  proxy.cutAll();
}

async function mend() {
  proxy.refusing = false;
  await eventually('the user stream is back', async () => !(await health()).includes('the user stream is away'), 60);
}

const away = () => eventually('the break is seen', async () => (await health()).includes('the user stream is away'));

// What the exchange has of an order of ours is what we have: state, quantity, every trade once.
async function agrees(id, wanted) {
  const ours = await eventually(`${id} is ${wanted}`, async () => {
    const now = await status(id);
    return now.status === wanted && now;
  }, 60);
  const all = (await call(there, theirKey, 'GET', '/api/v3/allOrders', { symbol, limit: 1000 })).body;
  const theirs = all.filter((one) => one.side === 'BUY').at(-1);
  assert.match(theirs.clientOrderId, /^tnne2e-/);
  assert.equal(ours.status, theirs.status);
  assert.equal(ours.executedQty, theirs.executedQty);
  const mine = await trades(here, ourKey, ours.orderId);
  const of = await trades(there, theirKey, theirs.orderId);
  assert.deepEqual(mine.map((t) => [t.price, t.qty, t.commission]), of.map((t) => [t.price, t.qty, t.commission]));
}

before(async () => {
  there = await new Server().start();
  theirKey = there.key();
  there.tenon('accounts', 'open', '--account', 'other');
  there.tenon('accounts', 'fund', '--account', 'other', '--asset', 'ETH', '--amount', '100');
  otherKey = there.key('other');
  proxy = await new ChaosProxy(there.address).start();
  here = await inFrontOf(there, theirKey, symbol, { api: proxy.address, config: { balances_s: 1 } }).start();
  ourKey = here.key();
  await eventually('orders are taken', async () => {
    const answer = await order(here, ourKey, { price: '0.01', newClientOrderId: `first-${Date.now()}` });
    return answer.status === 200;
  });
  await call(here, ourKey, 'DELETE', '/api/v3/openOrders', { symbol });
  await mend();
});

after(async () => {
  await here?.stop();
  await proxy?.close();
  await there?.stop();
});

test('the user stream tells of fills and ends [T4]', async () => {
  assert.equal((await order(here, ourKey, { newClientOrderId: 'told' })).body.status, 'NEW');
  await hit('0.04');
  await agrees('told', 'PARTIALLY_FILLED');
  await hit('0.06');
  await agrees('told', 'FILLED');
});

test('cut before an order: it is placed, filled and canceled all the same [T9]', async () => {
  cut();
  await away();
  assert.equal((await order(here, ourKey, { newClientOrderId: 'blind' })).body.status, 'NEW');
  await hit('0.04');
  assert.equal((await cancel('blind')).status, 200);
  await agrees('blind', 'CANCELED');
  await mend();
  await agrees('blind', 'CANCELED');
});

test('cut while an order rests: a part of it is filled meanwhile [T9]', async () => {
  assert.equal((await order(here, ourKey, { newClientOrderId: 'resting' })).body.status, 'NEW');
  cut();
  await hit('0.03');
  await mend();
  await agrees('resting', 'PARTIALLY_FILLED');
  cut();
  await hit('0.07');
  await mend();
  await agrees('resting', 'FILLED');
});

test('cut between two fills of an order, again and again [T9]', async () => {
  assert.equal((await order(here, ourKey, { newClientOrderId: 'parts' })).body.status, 'NEW');
  for (let part = 0; part < 5; part += 1) {
    proxy.cutAll();
    await hit('0.01');
    proxy.cutAll();
    await hit('0.01');
  }
  await mend();
  await agrees('parts', 'FILLED');
});

test('cut while a cancel is on its way [T9]', async () => {
  for (let n = 0; n < 5; n += 1) {
    assert.equal((await order(here, ourKey, { newClientOrderId: `cancel-${n}` })).body.status, 'NEW');
    await hit('0.02');
    const asked = cancel(`cancel-${n}`);
    proxy.cutAll();
    await asked;
    await agrees(`cancel-${n}`, 'CANCELED');
  }
  await mend();
});

test('cut while an order is on its way [T9]', async () => {
  for (let n = 0; n < 5; n += 1) {
    const asked = order(here, ourKey, { newClientOrderId: `placed-${n}` });
    proxy.cutAll();
    assert.equal((await asked).status, 200);
    await hit('0.1');
    await agrees(`placed-${n}`, 'FILLED');
  }
  await mend();
  assert.equal(await metric('tenon_exchange_order_alarms_total'), 0);
});

test('what the exchange account does without us is told, and what we did is not [T4]', async () => {
  const looks = async () => {
    const before = await metric('tenon_exchange_balances_compared_total');
    await eventually('three looks', async () => await metric('tenon_exchange_balances_compared_total') > before + 2, 60);
  };
  await looks();
  assert.equal(await metric('tenon_exchange_balance_differences'), 0, await health());
  there.tenon('accounts', 'debit', '--account', 'demo', '--asset', 'BTC', '--amount', '0.5');
  await eventually('the difference is told', async () => (await health()).includes('BTC -0.5'), 60);
  assert.equal(await metric('tenon_exchange_balance_differences'), 1);
  there.tenon('accounts', 'fund', '--account', 'demo', '--asset', 'BTC', '--amount', '0.5');
  await eventually('and that it is gone', async () => await metric('tenon_exchange_balance_differences') === 0, 60);
  assert.ok(!(await health()).includes('BTC -0.5'));
});
