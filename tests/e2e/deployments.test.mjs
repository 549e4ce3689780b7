// SPDX-License-Identifier: Apache-2.0
// Row K8: the deployments that ship start on real servers, are well, and are what they say: storage, cache, throttle. What
// the larger one needs may be away at its start and come later. What SQLite holds is backed up by itself (S14).
import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, Server } from './server.mjs';
import { Postgres } from './postgres.mjs';
import { Redis } from './redis.mjs';
import { health, limitBuy } from './signed.mjs';

const open = [];

afterEach(async () => {
  while (open.length) await open.pop().stop();
});

function kept(one) {
  open.push(one);
  return one;
}

const json = async (server, path) => (await fetch(`${server.http}${path}`)).json();
const notWell = async (server) => (await health(server)).components.filter((each) => each.state !== 'healthy');
const isWell = (server) => eventually('all is well', async () => {
  const ill = await notWell(server);
  if (ill.length) throw new Error(JSON.stringify(ill));
  return true;
}, 60);

// One order, from the gateway to the database.
async function trades(server) {
  const key = server.key();
  await eventually('a price', async () => (await json(server, '/api/v3/ticker/price?symbol=BTCUSDT')).price > 0);
  const { status, body } = await limitBuy(server, key, '30000', 'deployed');
  assert.equal(status, 200, JSON.stringify(body));
  await eventually('the projection has caught up', () => {
    const told = server.tenon('trading', 'status');
    return told.projected_sequence >= told.durable_sequence;
  }, 60);
  return body.orderId;
}

// Made by itself, and a restore of it was tried.
const isBackedUp = (server) => eventually('a backup is proven',
  () => server.tenon('backup', 'list').some((each) => each.proven_at), 60);

test('conservative: SQLite, a cache in memory, the lowest level [K8]', async () => {
  const server = await kept(new Server()).start();
  await isWell(server);
  const order = await trades(server);
  await isBackedUp(server);
  const restored = join(server.dataDir, 'restored');
  await eventually('the order is in the store', () => {
    if (existsSync(restored)) throw new Error('a refused restore left its folder');
    return server.tenon('backup', 'restore', '--folder', restored, '--to-order', String(order)).ok;
  }, 60);
  assert.ok(existsSync(join(restored, 'tenon.db')));
  assert.match(server.log, /id=tenon\.storage\.sqlite/);
  assert.doesNotMatch(server.log, /id=tenon\.(storage\.postgres|cache\.redis|throttle\.redis)/);
  const limits = server.tenon('throttle', 'stats');
  assert.equal(limits.default.level, 'conservative');
  assert.equal(limits.default.rate_per_second, 5);
  assert.equal(limits.default.burst, 10);
});

test('live: backed up by itself, also while the exchange is away [K8] [S14]', async () => {
  const nobody = ['rest_url="http', 'stream_url="ws', 'api_url="ws'].map((each) => `/plugins/exchange/config/${each}://127.0.0.1:1"`);
  const server = await kept(new Server({ deployment: 'live', set: nobody })).start();
  await isBackedUp(server);
  await eventually('only the exchange is away', async () => {
    const ill = (await notWell(server)).map((each) => each.plugin);
    if (ill.includes('backup') || ill.includes('storage')) throw new Error(ill.join());
    return true;
  }, 60);
});

test('staging: beside production, on paper, with more told and let through [K8]', async () => {
  const production = await kept(new Server()).start();
  const staging = await kept(new Server({ deployment: 'staging' })).start();
  assert.notEqual(staging.address, production.address);
  await isWell(staging);
  await trades(staging);
  assert.equal(staging.tenon('log', 'level').engine, 'debug');
  assert.doesNotMatch(staging.log, /id=tenon\.venue\.binance/);
  assert.equal(staging.tenon('throttle', 'stats').default.level, 'aggressive');
  assert.equal((await fetch(`${production.http}/readyz`)).status, 200);
  const sequence = staging.tenon('trading', 'status').durable_sequence;
  assert.ok(sequence > production.tenon('trading', 'status').durable_sequence, 'production saw nothing of it');
});

test('moderate: PostgreSQL, caches and limits in Redis, the next level [K8]', async () => {
  const postgres = await kept(new Postgres()).start();
  postgres.run('createdb', '-h', postgres.folder, '-U', 'tenon', 'tenon');
  const [entries, budgets] = [kept(new Redis()), kept(new Redis())];
  const set = [...postgres.settings, `/plugins/cache-redis/config/url="${entries.url}"`,
    `/plugins/throttle/config/url="${budgets.url}"`];
  const server = await kept(new Server({ deployment: 'moderate', set })).start();
  // Without Redis it serves and says what is away.
  await trades(server);
  assert.equal(postgres.query("SELECT count(*) FROM orders WHERE client_id = 'deployed'"), '1');
  await eventually('both are missed', async () => {
    const ill = (await notWell(server)).map((each) => each.plugin).sort();
    return ill.includes('cache-redis') && ill.includes('throttle');
  }, 60);
  await entries.start();
  await budgets.start();
  await isWell(server);
  const limits = server.tenon('throttle', 'stats');
  assert.equal(limits.default.level, 'moderate');
  assert.equal(limits.default.rate_per_second, 20);
  assert.equal(limits.default.burst, 40);
});
