// SPDX-License-Identifier: Apache-2.0
// Row S12: a server that trades on SQLite moves to PostgreSQL by `tenon migrate copy`, and forgets nothing.
import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { eventually, Server } from './server.mjs';
import { call, limitBuy } from './signed.mjs';
import { Postgres } from './postgres.mjs';

const open = [];

afterEach(async () => {
  while (open.length) await open.pop().stop();
});

const priced = (server) => eventually('a price', async () =>
  (await (await fetch(`${server.http}/api/v3/ticker/price?symbol=BTCUSDT`)).json()).price > 0);

const deployment = (server, name, settings) => {
  server.deployment = join(server.deployment, '..', `${name}.json`);
  server.set = settings;
};

test('SQLite to PostgreSQL while orders come, killed in between, and the new server goes on [S12]', async () => {
  const postgres = new Postgres();
  open.push(postgres);
  await postgres.start();
  postgres.run('createdb', '-h', postgres.folder, '-U', 'tenon', 'tenon');
  const server = new Server();
  open.push(server);
  await server.start();
  await priced(server);
  const key = server.key();
  const told = [];
  const trade = async (count) => {
    for (let i = 0; i < count; i += 1) {
      const id = `order-${told.length}`;
      assert.equal((await limitBuy(server, key, '30000', id)).status, 200);
      told.push(id);
    }
  };
  await trade(20);
  await server.kill();

  deployment(server, 'moving', postgres.settings.map((set) => set.replace('/storage/', '/target/')));
  await server.start();
  await priced(server);
  assert.equal(server.tenon('migrate', 'copy').all_tables_copied, true);
  await trade(20);
  await server.kill();
  await server.start();
  await priced(server);
  await trade(10);
  await eventually('the copy went on by itself', () => {
    const status = server.tenon('migrate', 'copy', '--status');
    return status.running && status.changes_waiting === 0;
  });
  const verified = server.tenon('migrate', 'copy', '--verify');
  assert.equal(verified.ok, true);
  const finished = server.tenon('migrate', 'copy', '--finish');
  assert.equal(finished.phase, 'finished');
  assert.equal(finished.source_closed, true);
  // Orders are taken by the journal; their rows wait for the new database.
  await trade(10);
  await server.kill();

  deployment(server, 'moderate', postgres.settings);
  await server.start();
  await priced(server);
  await trade(5);
  await eventually('the projection has caught up', () => {
    const status = server.tenon('trading', 'status');
    return status.projected_sequence >= status.durable_sequence;
  }, 60);
  const stored = postgres.query("SELECT client_id FROM orders WHERE client_id LIKE 'order-%' ORDER BY order_id").split('\n');
  assert.deepEqual(stored, told);
  const { body } = await call(server, key, 'GET', '/api/v3/openOrders', { symbol: 'BTCUSDT' });
  assert.deepEqual(body.map((order) => order.clientOrderId).sort(), [...told].sort());
  const drift = server.tenon('migrate', 'drift');
  assert.equal(drift.ok, true, JSON.stringify(drift));
});
