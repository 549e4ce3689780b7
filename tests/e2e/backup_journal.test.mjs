// SPDX-License-Identifier: Apache-2.0
// The data folder is lost while orders are placed; what the backups hold starts as a server that
// knows the orders, their numbers and the balances. The oracle is this process.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, Server } from './server.mjs';
import { call, health } from './signed.mjs';

const symbol = 'ETHBTC'; // of the internal venue: nobody else trades it
const key = '5a'.repeat(32);
const folders = [];
const servers = [];

after(async () => {
  for (const server of servers) await server.stop();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function folder() {
  const made = mkdtempSync(join(tmpdir(), 'tenon-e2e-backup-'));
  folders.push(made);
  return made;
}

function configured(place, config) {
  const all = { folder: `"${place}"`, key: '"env:BACKUP_KEY"', ...config };
  const server = new Server({
    set: [...Object.entries(all).map(([name, value]) => `/plugins/backup/config/${name}=${value}`),
      '/plugins/engine/config/snapshot_commands=100',
      ...['weight_per_minute', 'requests_per_5_minutes', 'orders_per_10_seconds', 'orders_per_day']
        .map((limit) => `/plugins/binance/config/${limit}=1000000`)],
    env: { BACKUP_KEY: key },
  });
  servers.push(server);
  return server;
}

async function place(server, keys, id, price, timeInForce = 'IOC') {
  const { status, body } = await call(server, keys, 'POST', '/api/v3/order',
    { symbol, side: 'BUY', type: 'LIMIT', timeInForce, price, quantity: '0.02', newClientOrderId: id });
  assert.equal(status, 200, JSON.stringify(body));
  return { id, orderId: body.orderId, at: Date.now() };
}

// By a server that was made for it, as after a loss: it must not back up itself.
async function restore(from, to, words = []) {
  const rescue = configured(from, { every_s: 0, ship_ms: 0 });
  await rescue.start();
  try {
    return rescue.tenon('backup', 'restore', '--folder', to, ...words);
  } finally {
    await rescue.stop();
  }
}

async function started(data, masterKey, from) {
  const server = configured(from, { every_s: 0, ship_ms: 0 });
  rmSync(server.dataDir, { recursive: true });
  server.dataDir = data;
  copyFileSync(masterKey, join(data, 'master.key'));
  await server.start();
  return server;
}

async function orders(server, keys) {
  const known = new Map();
  for (let from = 1, size = 1000; size === 1000;) {
    const { status, body } = await call(server, keys, 'GET', '/api/v3/allOrders', { symbol, limit: 1000, orderId: from });
    assert.equal(status, 200, JSON.stringify(body));
    for (const each of body) known.set(each.clientOrderId, each);
    size = body.length;
    from = (body.at(-1)?.orderId ?? 0) + 1;
  }
  return known;
}

const state = ({ sequence, state_hash: hash }) => ({ sequence, hash });

test('a lost data folder comes back with every order that was shipped, and as it was then [S14]', async (t) => {
  const stored = folder();
  const kept = folder();
  const masterKey = join(kept, 'master.key');
  const server = configured(stored, { ship_ms: 500 });
  await server.start();
  copyFileSync(join(server.dataDir, 'master.key'), masterKey);
  const keys = server.key();
  const told = [];
  for (let i = 0; i < 120; i += 1) told.push(await place(server, keys, `before-${i}`, '0.01', i % 10 === 0 ? 'GTC' : 'IOC'));
  await eventually('the first backup is proven', () => server.tenon('backup', 'list').some((one) => one.journal && one.proven_at));
  await eventually('and whole', () => server.tenon('backup', 'verify').verified.length === 1);

  // A moment between two orders.
  const last = await place(server, keys, 'last-before', '0.011');
  told.push(last);
  const then = state(server.tenon('trading', 'status'));
  const moment = Date.now() + 1;
  await eventually('the next millisecond', () => Date.now() > moment);
  const countThen = told.length;

  // Two traders until the machine is gone.
  let gone = false;
  const seconds = Number(process.env.TENON_E2E_BACKUP_S ?? 4);
  const trader = async (lane) => {
    for (let i = 0; !gone; i += 1) {
      try {
        told.push(await place(server, keys, `lane${lane}-${i}`, '0.012'));
      } catch (error) {
        if (!gone) throw error;
      }
    }
  };
  const begun = Date.now();
  const ended = eventually('the end', () => Date.now() - begun > seconds * 1000)
    .then(() => { gone = true; return server.kill(); });
  await Promise.all([trader(0), trader(1), ended]);
  const lost = Date.now();
  rmSync(server.dataDir, { recursive: true });

  const data = join(kept, 'restored');
  const answer = await restore(stored, data);
  assert.ok(answer.journal.sequence > then.sequence, JSON.stringify(answer));
  assert.ok(existsSync(join(data, 'journal')));
  const back = await started(data, masterKey, stored);
  const known = await orders(back, keys);
  const missing = told.slice(countThen).filter(({ id }) => !known.has(id));
  const window = missing.length === 0 ? 0 : Math.max(...missing.map(({ at }) => lost - at));
  t.diagnostic(`${told.length} orders acknowledged, the newest ${missing.length} of ${window} ms lost`);
  assert.ok(window <= 1000, `${window} ms of acknowledged orders are lost`);
  for (const { id, orderId } of told) {
    if (known.has(id)) assert.equal(known.get(id).orderId, orderId, id);
  }
  // What is there is there from its beginning to one point: no order of a lane is left out.
  for (const lane of [0, 1]) {
    const first = told.filter(({ id }) => id.startsWith(`lane${lane}-`)).findIndex(({ id }) => !known.has(id));
    if (first >= 0) {
      assert.ok(told.filter(({ id }) => id.startsWith(`lane${lane}-`)).slice(first).every(({ id }) => !known.has(id)));
    }
  }
  // It goes on: numbers are not given twice, and the database catches up.
  const next = await place(back, keys, 'after', '0.013');
  assert.ok(next.orderId > Math.max(...told.filter(({ id }) => known.has(id)).map((each) => each.orderId)));
  await eventually('the database has it', () => {
    const { sequence, projected_sequence: projected } = back.tenon('trading', 'status');
    return projected === sequence;
  });
  await back.stop();

  const before = join(kept, 'before');
  await restore(stored, before, ['--to-time', new Date(moment).toISOString()]);
  const old = await started(before, masterKey, stored);
  assert.deepEqual(state(old.tenon('trading', 'status')), then);
  const olds = await orders(old, keys);
  assert.equal(olds.size, countThen);
  assert.equal(olds.get(last.id).orderId, last.orderId);
  await old.stop();

  // A database without its journal is told, and not taken for a whole one.
  const half = join(kept, 'half');
  await restore(stored, half);
  for (const part of ['journal', 'snapshots']) rmSync(join(half, part), { recursive: true });
  const alone = await started(half, masterKey, stored);
  const said = await eventually('the health says it', async () => {
    const text = JSON.stringify(await health(alone));
    return text.includes('the database has commands to') && text;
  });
  assert.match(said, /the journal ends with \d+: .*restore both from one backup/);
});
