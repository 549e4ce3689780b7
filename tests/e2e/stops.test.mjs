// SPDX-License-Identifier: Apache-2.0
// Row T2: stop-loss and take-profit orders, on the own book over a kill, and of ccxt on the paper market.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { eventually, Server } from './server.mjs';
import { call } from './signed.mjs';
import { exchange } from './ccxt.mjs';

const symbol = 'ETHBTC';
let server;
let key;

const send = (fields) => call(server, key, 'POST', '/api/v3/order', { symbol, newOrderRespType: 'RESULT', ...fields });
const limit = async (side, price, quantity) => {
  const answer = await send({ side, type: 'LIMIT', timeInForce: 'GTC', price, quantity });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
};
const tradeAt = async (price) => {
  await limit('SELL', price, '0.01');
  await limit('BUY', price, '0.01');
};
const found = async (id) => (await call(server, key, 'GET', '/api/v3/order', { symbol, origClientOrderId: id })).body;

before(async () => {
  server = await new Server().start();
  key = server.key();
});

after(async () => { await server?.stop(); });

test('a stop-loss waits over a kill, and sells when a trade is at its price [T2, T5]', async () => {
  await tradeAt('0.05');
  const tooLate = await send({ side: 'SELL', type: 'STOP_LOSS', quantity: '0.1', stopPrice: '0.05' });
  assert.deepEqual([tooLate.status, tooLate.body], [400, { code: -2010, msg: 'Order would trigger immediately.' }]);
  const stop = await send({ side: 'SELL', type: 'STOP_LOSS', quantity: '0.1', stopPrice: '0.045', newClientOrderId: 'stop' });
  assert.deepEqual([stop.status, stop.body.status, stop.body.workingTime], [200, 'NEW', -1], JSON.stringify(stop.body));
  const take = await send({ side: 'BUY', type: 'TAKE_PROFIT_LIMIT', timeInForce: 'GTC', quantity: '0.1', price: '0.043', stopPrice: '0.044',
    newClientOrderId: 'take' });
  assert.equal(take.status, 200, JSON.stringify(take.body));
  await limit('BUY', '0.044', '0.3');
  await server.kill();
  await server.start();
  assert.equal((await found('stop')).isWorking, false);

  await tradeAt('0.0451');
  assert.equal((await found('stop')).isWorking, false);
  await limit('BUY', '0.045', '0.01');
  await limit('SELL', '0.045', '0.01');
  // Its trade at 0.044 triggers the other one, which rests.
  const sold = await found('stop');
  assert.deepEqual([sold.status, sold.isWorking, sold.stopPrice, sold.executedQty, sold.cummulativeQuoteQty],
    ['FILLED', true, '0.04500000', '0.10000000', '0.00440000']);
  const rests = await found('take');
  assert.deepEqual([rests.status, rests.isWorking, rests.type, rests.stopPrice], ['NEW', true, 'TAKE_PROFIT_LIMIT', '0.04400000']);
  assert.ok(rests.workingTime > rests.time);
  const book = await (await fetch(`${server.http}/api/v3/depth?symbol=${symbol}`)).json();
  assert.ok(book.bids.some(([price]) => Number(price) === 0.043));
  const known = (await call(server, key, 'GET', '/api/v3/allOrders', { symbol })).body;
  assert.equal(known.find((one) => one.clientOrderId === 'stop').stopPrice, '0.04500000');
});

test('ccxt\'s stop-loss and take-profit meet the market that moves [T2, T4]', async () => {
  const client = await exchange(server, key);
  try {
    const last = await eventually('there is a price', async () => (await client.fetchTicker('BTC/USDT')).last);
    await client.createOrder('BTC/USDT', 'market', 'buy', 0.01);
    const far = await client.createOrder('BTC/USDT', 'limit', 'sell', 0.001, last * 0.5, { stopLossPrice: last * 0.51 });
    assert.equal((await client.fetchOrder(far.id, 'BTC/USDT')).triggerPrice, Number(client.priceToPrecision('BTC/USDT', last * 0.51)));
    // Whichever way it moves, one of the two is triggered; it may have moved before they are there.
    const either = [];
    for (const name of ['stopLossPrice', 'takeProfitPrice']) {
      await eventually(`${name} is taken`, async () => {
        const now = (await client.fetchTicker('BTC/USDT')).last;
        const price = name === 'stopLossPrice' ? now - 0.01 : now + 0.01;
        try {
          either.push(await client.createOrder('BTC/USDT', 'market', 'sell', 0.001, undefined, { [name]: price }));
          return true;
        } catch (error) {
          assert.match(error.message, /would trigger immediately/);
          return false;
        }
      });
    }
    const closed = await eventually('one of them is triggered and filled', async () => {
      const all = await Promise.all(either.map(({ id }) => client.fetchOrder(id, 'BTC/USDT')));
      return all.find(({ status }) => status === 'closed');
    });
    assert.equal(closed.filled, 0.001);
    assert.equal(closed.info.isWorking, true);
    await client.cancelAllOrders('BTC/USDT');
    assert.deepEqual(await client.fetchOpenOrders('BTC/USDT'), []);
  } finally {
    await client.close?.();
  }
});
