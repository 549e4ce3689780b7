// SPDX-License-Identifier: Apache-2.0
// Row T5: what ccxt was told survives kill -9 of the server, once.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { eventually, Server } from './server.mjs';
import { exchange } from './ccxt.mjs';

const symbol = 'BTC/USDT';
const kills = Number(process.env.TENON_E2E_KILLS ?? 3);
const seed = Number(process.env.TENON_SEED ?? Date.now() % 1_000_000);
let server;

after(() => server?.stop());

// mulberry32: small, seeded
function random(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

test(`acknowledged orders, fills and balances survive ${kills} kills, seed ${seed} [T5]`, async () => {
  const next = random(seed);
  server = new Server();
  await server.start();
  const key = server.key();
  const acknowledged = new Map();
  let client = await exchange(server, key);
  for (let kill = 0; kill < kills; kill += 1) {
    const bid = await eventually('a price', async () => (await client.fetchTicker(symbol)).bid);
    const stopAfter = 5 + Math.floor(next() * 40);
    let count = 0;
    let killed;
    const trader = async (lane) => {
      for (let i = 0; !killed; i += 1) {
        const id = `k${kill}-${lane}-${i}`;
        try {
          const market = next() < 0.3;
          const price = client.priceToPrecision(symbol, bid * (0.6 + next() * 0.3));
          const order = market
            ? await client.createOrder(symbol, 'market', 'buy', 0.0002, undefined, { newClientOrderId: id })
            : await client.createOrder(symbol, 'limit', 'buy', 0.0002, price, { newClientOrderId: id });
          acknowledged.set(id, order);
          count += 1;
          if (count >= stopAfter && !killed) killed = server.kill();
        } catch (error) {
          if (!killed) throw error;
        }
      }
    };
    await Promise.all([0, 1, 2, 3].map(trader));
    await killed;
    await server.start();
    client = await exchange(server, key);
    const orders = new Map((await client.fetchOrders(symbol, undefined, 1000)).map((o) => [o.clientOrderId, o]));
    const trades = await client.fetchMyTrades(symbol, undefined, 1000);
    for (const [id, told] of acknowledged) {
      const now = orders.get(id);
      assert.ok(now, `order ${id} (${told.id}) is lost`);
      assert.equal(now.id, told.id);
      assert.ok(now.filled >= told.filled, `${id} filled ${now.filled}, told ${told.filled}`);
      const filled = trades.filter((t) => t.order === now.id).reduce((sum, t) => sum + t.amount, 0);
      assert.equal(filled.toFixed(8), now.filled.toFixed(8), `${id}: trades against the order`);
    }
    assert.equal(new Set(trades.map((t) => t.id)).size, trades.length);
  }
});
