// SPDX-License-Identifier: Apache-2.0
// Row S9: `tenon advise` against a server, on SQLite and on PostgreSQL: indexes are proposed, applied, measured, withdrawn and no
// drift of the schema; rewritings come with their evidence; what a killed server left is adopted.
import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { eventually, Server } from './server.mjs';
import { ask } from './native.mjs';
import { Postgres } from './postgres.mjs';

const open = [];
// A search may take its time on a slow machine.
const patience = '/plugins/advisor/config/trial_timeout_ms=600000';

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
  return server;
}

// News that nobody has an index for: asked by their external id alone, which is unique with the source only.
async function asked(server, times = 24) {
  const key = server.key('demo', 'trade,read,admin');
  await eventually('the account has reached the database', async () =>
    (await ask(server, key, 'PUT', '/api/settings', { body: { leverage: 3 } })).status === 200);
  for (let i = 0; i < 24; i += 1) {
    const { status, text } = await ask(server, key, 'POST', '/api/news', { body: { source: `s${i % 3}`, external_id: `x${i}`,
      title: `news ${i}`, published_us: 1767225600000000 + i } });
    assert.equal(status, 201, text);
  }
  for (let i = 0; i < times; i += 1) {
    assert.equal((await ask(server, key, 'GET', '/api/news', { query: { external_id: `x${i}` } })).status, 200);
  }
}

async function story(server) {
  const slow = server.tenon('advise', 'slow');
  assert.ok(slow.costliest.length > 0);
  const plans = await eventually('plans are looked up', () => {
    const told = server.tenon('advise', 'plans').plans;
    return told.length > 0 && told;
  });
  assert.ok(plans.every((one) => one.plan.nodes.length > 0));
  const indexes = server.tenon('advise', 'indexes');
  assert.equal(indexes.complete, true);
  assert.equal(indexes.applied, false);
  assert.ok(indexes.statements > 0);
  const applied = server.tenon('advise', 'indexes', '--apply');
  assert.equal(applied.applied, true);
  const rewrites = server.tenon('advise', 'rewrites');
  assert.equal(rewrites.complete, true, JSON.stringify(rewrites));
  assert.ok(rewrites.statements > 0);
  for (const one of rewrites.rewrites) assert.ok(one.work_after < one.work_before && one.evidence.data_sets >= 3);
  assert.throws(() => server.tenon('advise', 'rewrites', '--statement', 'nothing'), /nothing/);
  const drift = server.tenon('migrate', 'drift');
  assert.equal(drift.ok, true, JSON.stringify(drift));
  const kept = applied.proposals.map((one) => one.name).filter((name) => !applied.not_kept.includes(name));
  for (const name of kept) assert.deepEqual(server.tenon('advise', 'withdraw', '--name', name).withdrawn, [name]);
  assert.throws(() => server.tenon('advise', 'withdraw', '--name', 'nonsense'), /no applied index/);
  assert.deepEqual(server.tenon('advise', 'withdraw').withdrawn, []);
  return { indexes, applied, rewrites };
}

test('a server on SQLite is advised on its indexes and statements [S9]', async () => {
  const server = await started({ set: [patience] });
  await asked(server);
  await story(server);
});

test('a server on PostgreSQL is advised the same way, and what a dead one left is adopted or goes [S9]', async () => {
  const postgres = await withPostgres();
  const server = await started({ deployment: 'moderate', set: [...postgres.settings, patience] });
  await asked(server);
  await story(server);
  // Left between CREATE INDEX and its note: one that is whole and serves nobody, one that is not whole.
  postgres.query('CREATE INDEX tenon_advised_0123456789abcdef ON news_items (url)');
  postgres.query('CREATE INDEX tenon_advised_fedcba9876543210 ON news_items (summary)');
  postgres.query("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'tenon_advised_fedcba9876543210'::regclass");
  const again = server.tenon('advise', 'indexes', '--apply');
  assert.deepEqual(again.adopted, []);
  assert.ok(again.not_kept.includes('tenon_advised_0123456789abcdef'));
  assert.equal(postgres.query("SELECT count(*) FROM pg_class WHERE relname IN ('tenon_advised_0123456789abcdef', "
    + "'tenon_advised_fedcba9876543210')"), '0');
  assert.equal(server.tenon('migrate', 'drift').ok, true);
});
