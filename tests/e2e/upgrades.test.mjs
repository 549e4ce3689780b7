// SPDX-License-Identifier: Apache-2.0
// Row K7: data folders of earlier versions (old-folders/make.mjs made them) are gone on from, twice killed: what was open, what it
// locks and what is on record is what the earlier server said, and old orders take part in what is new.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Server } from './server.mjs';
import { call } from './signed.mjs';

const folders = join(import.meta.dirname, 'old-folders');
const names = readdirSync(folders).filter((file) => file.endsWith('.tar.zst'));
assert.ok(names.length > 0);

for (const name of names) {
  test(`the folder of ${name.replace('.tar.zst', '')} is gone on from [K7, T5]`, async () => {
    const server = new Server();
    try {
      const unpacked = spawnSync('tar', ['-C', server.dataDir, '--zstd', '-xf', join(folders, name)], { encoding: 'utf8' });
      assert.equal(unpacked.status, 0, unpacked.stderr);
      const was = JSON.parse(readFileSync(join(server.dataDir, 'state.json'), 'utf8'));
      await server.start();
      const ask = async (method, path, fields = {}) => (await call(server, was.key, method, path, fields)).body;
      const orders = async (symbol) => (await ask('GET', '/api/v3/allOrders', { symbol })).map((o) => [o.clientOrderId, o.status, o.origQty, o.executedQty]);
      const isAsItWas = async () => {
        assert.deepEqual(await orders('ETHBTC'), was.ETHBTC);
        assert.deepEqual(await orders('BTCUSDT'), was.BTCUSDT);
        assert.deepEqual((await ask('GET', '/api/v3/account')).balances.map((b) => [b.asset, b.free, b.locked]), was.balances);
        assert.deepEqual((await ask('GET', '/api/v3/openOrderList')).map((l) => l.listClientOrderId), ['before', 'after']);
      };
      await isAsItWas();
      await server.kill();
      await server.start();
      await isAsItWas();

      const sell = (price, quantity, more = {}) => ask('POST', '/api/v3/order', { symbol: 'ETHBTC', side: 'SELL', type: 'LIMIT', timeInForce: 'GTC', price,
        quantity, newOrderRespType: 'FULL', ...more });
      const state = async (id) => (await ask('GET', '/api/v3/order', { symbol: 'ETHBTC', origClientOrderId: id })).status;
      // Whose an order is that the earlier version's book held.
      const taker = await sell('0.04', '0.5', { selfTradePreventionMode: 'EXPIRE_TAKER' });
      assert.equal(taker.status, 'EXPIRED_IN_MATCH', JSON.stringify(taker));
      assert.deepEqual([await state('last'), await state('resting')], ['NEW', 'NEW']);
      const amended = await ask('PUT', '/api/v3/order/amend/keepPriority', { symbol: 'ETHBTC', origClientOrderId: 'resting', newQty: '0.9' });
      assert.equal(amended.amendedOrder?.qty, '0.90000000', JSON.stringify(amended));
      // The price falls: both pairs' stops sell, and their targets end.
      await sell('0.041', '0.1');
      for (const pair of ['before', 'after']) {
        assert.deepEqual([await state(`${pair}-stop`), await state(`${pair}-target`)], ['FILLED', 'EXPIRED']);
      }
      const after = [await orders('ETHBTC'), (await ask('GET', '/api/v3/account')).balances];
      await server.kill();
      await server.start();
      assert.deepEqual([await orders('ETHBTC'), (await ask('GET', '/api/v3/account')).balances], after);
    } finally {
      await server.stop();
    }
  });
}
