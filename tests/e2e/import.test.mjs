// SPDX-License-Identifier: Apache-2.0
// Row S12: `tenon migrate import` takes a bot's database over into a server that trades meanwhile.
import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, Server } from './server.mjs';
import { call, limitBuy } from './signed.mjs';

const open = [];

afterEach(async () => {
  while (open.length) await open.pop().stop();
});

const priced = (server) => eventually('a price', async () =>
  (await (await fetch(`${server.http}/api/v3/ticker/price?symbol=BTCUSDT`)).json()).price > 0);

// A bot's own table in a file of SQLite; Python has SQLite where node has not.
function botDatabase(file, rows) {
  const script = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("CREATE TABLE fills (id INTEGER PRIMARY KEY, pair TEXT, way TEXT, rate REAL, size REAL, at TEXT)")
for i in range(int(sys.argv[2])):
    db.execute("INSERT INTO fills VALUES (?, 'BTC/USDT', ?, ?, ?, '2024-01-01T00:00:00Z')",
               (i + 1, "long" if i % 2 else "short", (3000000 + i) / 100, (1 + i) / 100000))
db.commit()`;
  const run = spawnSync('python3', ['-c', script, file, String(rows)], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
}

const mapping = {
  import_version: 1,
  name: 'bot',
  users: ['bot'],
  accounts: { bot: 'bot' },
  tables: [{
    name: 'orders',
    target: 'orders',
    table: 'fills',
    key: ['id'],
    columns: {
      account: { constant: 'bot' },
      instrument: { from: 'pair', remove: '/' },
      side: { from: 'way', map: { long: 'buy', short: 'sell' } },
      type: { constant: 'limit' },
      status: { constant: 'canceled' },
      price: 'rate',
      quantity: 'size',
      created_real_ns: { from: 'at', unit: 'iso' },
      updated_real_ns: { from: 'at', unit: 'iso' },
    },
  }],
};

test('a bot\'s rows come over while the server trades, once, and its own orders stay its own [S12]', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tenon-import-'));
  open.push({ stop: () => rmSync(folder, { recursive: true }) });
  const file = join(folder, 'bot.sqlite');
  const map = join(folder, 'map.json');
  botDatabase(file, 2000);
  writeFileSync(map, JSON.stringify(mapping));
  const server = new Server();
  open.push(server);
  await server.start();
  await priced(server);
  const key = server.key();
  const own = 20;
  for (let i = 0; i < own; i += 1) assert.equal((await limitBuy(server, key, '30000', `o-${i}`)).status, 200);

  const run = (...words) => server.tenon('migrate', 'import', '--mapping', map, '--source', file, ...words);
  const rehearsed = run('--dry-run');
  assert.equal(rehearsed.ok, true);
  assert.equal(rehearsed.rows_imported, 2000);
  assert.throws(() => run('--verify'), /nothing was imported by the name bot/);
  const done = run();
  assert.deepEqual([done.ok, done.rows_imported, done.rows_present, done.rows_bad], [true, 2000, 0, 0]);
  const trades = limitBuy(server, key, '30000', 'meanwhile');
  const again = run();
  assert.equal((await trades).status, 200);
  assert.deepEqual([again.ok, again.rows_imported, again.rows_present], [true, 0, 2000]);
  assert.equal(run('--verify').ok, true);
  assert.equal(server.tenon('migrate', 'import', '--status').task, 'verify');
  const orders = await call(server, key, 'GET', '/api/v3/allOrders', { symbol: 'BTCUSDT', limit: 1000 });
  assert.equal(orders.body.length, own + 1);
  assert.ok(orders.body.every((order) => order.orderId < 2 ** 52));

  const report = join(folder, 'bad.jsonl');
  writeFileSync(map, JSON.stringify({ ...mapping, name: 'other' }).replace('"size"', '"at"'));
  const refused = run('--report', report);
  assert.equal(refused.ok, false);
  assert.equal(refused.refused, true);
  assert.equal(refused.rows_bad, 2000);
  const lines = readFileSync(report, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  assert.equal(lines.length, 2000);
  assert.match(lines[0].reason, /^quantity: found "2024-01-01T00:00:00Z", expected a decimal/);

  writeFileSync(map, JSON.stringify(mapping).replace('"rate"', '"rte"'));
  const problems = run();
  assert.equal(problems.ok, false);
  assert.match(JSON.stringify(problems.problems), /the source has no such column.*rate/);
});
