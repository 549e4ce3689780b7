// SPDX-License-Identifier: Apache-2.0
// Rows C2, T9, S8: Redis, the database and the exchange go away under load, in turn and all together. What needs none of
// them is answered all the time, the rest says what is missing, and everything comes back by itself. TENON_E2E_RECOVERY_S: how
// long coming back may take; generous by default, since machines differ.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { eventually, Server } from './server.mjs';
import { ChaosProxy } from './chaos_proxy.mjs';
import { ask } from './native.mjs';
import { Postgres } from './postgres.mjs';
import { Redis } from './redis.mjs';
import { call, limitBuy } from './signed.mjs';

const recovery = Number(process.env.TENON_E2E_RECOVERY_S ?? 60);
const outage = Number(process.env.TENON_E2E_OUTAGE_S ?? 4);
const keptMs = 3000; // answers of the native API; their time is over at the latest then
const requestMs = 1000; // request_timeout_ms of the native API
const bookMs = 5000; // stale_book_ms
const youngMs = 1000;
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const open = [];
let peer;
let proxy;
let redis;
let postgres;
let live;
let key;
let orders = 0; // sent
let cancelled = 0; // acknowledged

const json = async (path) => (await fetch(`${live.http}${path}`)).json();
const component = async (plugin, name) => (await json('/healthz')).components.find(
  (each) => each.plugin === plugin && each.component === name)?.state;

const redisIs = async (state) => await component('cache-redis', 'redis') === state && await component('throttle', 'redis') === state;

// Something that can be taken away and given back, and how to see both.
const parts = {
  redis: {
    lose: () => redis.kill(),
    restore: () => redis.start(),
    gone: () => redisIs('degraded'),
    back: () => redisIs('healthy'),
  },
  database: {
    lose: () => postgres.kill(),
    restore: () => postgres.start(),
    gone: async () => (await ask(live, key, 'GET', '/api/licenses/check', { query: { license_type: 'basic' } })).status === 503,
    back: async () => (await ask(live, key, 'GET', '/api/licenses/check', { query: { license_type: 'basic' } })).status === 200,
  },
  exchange: {
    lose: () => { proxy.refusing = true; proxy.cutAll(); },
    restore: () => { proxy.refusing = false; },
    gone: async () => await component('exchange', 'streams') === 'degraded',
    back: async () => {
      if (await component('exchange', 'streams') !== 'healthy') return false;
      const first = await json('/api/v3/depth?symbol=BTCUSDT&limit=5');
      await pause(150);
      const then = await json('/api/v3/depth?symbol=BTCUSDT&limit=5');
      return first.lastUpdateId > 0 && then.lastUpdateId > first.lastUpdateId;
    },
  },
};

// Asks all the time until stopped; what is not `allowed` is kept.
class Load {
  constructor() {
    this.missing = new Set();
    this.answers = {};
    this.wrong = [];
    this.work = Promise.all([
      this.#repeat('trades', () => fetch(`${live.http}/api/v3/trades?symbol=BTCUSDT&limit=10`)),
      this.#repeat('ticker', () => fetch(`${live.http}/api/v3/ticker/24hr?symbol=BTCUSDT`)),
      this.#repeat('klines', () => fetch(`${live.http}/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=5`)),
      this.#repeat('exchangeInfo', () => fetch(`${live.http}/api/v3/exchangeInfo?symbol=BTCUSDT`)),
      this.#repeat('cache statistics', () => fetch(`${live.http}/api/stats/cache`)),
      this.#repeat('depth', () => fetch(`${live.http}/api/v3/depth?symbol=BTCUSDT&limit=10`), 'exchange'),
      this.#repeat('signals', () => ask(live, key, 'GET', '/api/signals'), 'database'),
      this.#repeat('licence', () => ask(live, key, 'GET', '/api/licenses/check', { query: { license_type: 'basic' } }), 'database'),
      this.#repeat('account', () => call(live, key, 'GET', '/api/v3/account')),
      // On paper an order meets the exchange's book, so a new one is refused without it.
      this.#repeat('order', () => this.#order(), 'exchange', (status, body) => status === 400 && /"code":-1112/.test(body)),
    ]);
  }

  // An order, found again and taken back.
  async #order() {
    const id = `held-${orders += 1}`;
    const placed = await limitBuy(live, key, '20000', id);
    if (placed.status !== 200) return placed;
    const found = await call(live, key, 'GET', '/api/v3/order', { symbol: 'BTCUSDT', origClientOrderId: id });
    if (found.status !== 200) return found;
    if (found.body.status !== 'NEW') return { ...found, status: 'not NEW' };
    const gone = await call(live, key, 'DELETE', '/api/v3/order', { symbol: 'BTCUSDT', origClientOrderId: id });
    cancelled += gone.status === 200 ? 1 : 0;
    return gone;
  }

  async #repeat(what, request, needs, excused = (status) => status === 503) {
    while (!this.over) {
      const missing = new Set(this.missing);
      const answer = await request().catch((error) => ({ status: error.message }));
      const body = answer instanceof Response ? await answer.text() : JSON.stringify(answer.body);
      this.answers[what] = (this.answers[what] ?? 0) + 1;
      const allowed = needs && (missing.has(needs) || this.missing.has(needs)) && excused(answer.status, body);
      if (answer.status !== 200 && !allowed) this.wrong.push({ what, missing: [...missing], status: answer.status, body });
      await pause(10);
    }
  }

  // `names` may be missed from now on, or no longer.
  allow(...names) { for (const name of names) this.missing.add(name); }
  expect(...names) { for (const name of names) this.missing.delete(name); }

  async stop() {
    this.over = true;
    await this.work;
    return this;
  }
}

before(async () => {
  postgres = new Postgres();
  open.push(postgres);
  await postgres.start();
  postgres.run('createdb', '-h', postgres.folder, '-U', 'tenon', 'tenon');
  redis = new Redis();
  open.push(redis);
  await redis.start();
  peer = new Server({ deployment: 'benchmark', set: ['/plugins/binance/config/weight_per_minute=6000'] });
  open.push(peer);
  await peer.start();
  proxy = await new ChaosProxy(peer.address).start();
  open.push({ stop: () => proxy.close() });
  const address = JSON.stringify(redis.url);
  live = new Server({ deployment: 'live-redis', set: [...postgres.settings,
    `/plugins/cache-redis/config/url=${address}`, `/plugins/throttle/config/url=${address}`,
    `/plugins/exchange/config/rest_url=http://${proxy.address}`, `/plugins/exchange/config/stream_url=ws://${proxy.address}`,
    '/plugins/exchange/config/poll_ms=500', '/plugins/binance/config/weight_per_minute=4294967295',
    '/plugins/binance/config/orders_per_10_seconds=4294967295', `/plugins/records/config/request_timeout_ms=${requestMs}`, `/plugins/records/config/cache_ms=${keptMs}`] });
  open.push(live);
  await live.start();
  key = live.key();
  for (const part of Object.values(parts)) await eventually('everything is there', part.back);
});

after(async () => {
  while (open.length) await open.pop().stop();
});

async function loseAndRestore(names) {
  const load = new Load();
  const recovered = {};
  try {
    load.allow(...names);
    await Promise.all(names.map((name) => parts[name].lose()));
    await Promise.all(names.map((name) => eventually(`${name} is said to be gone`, parts[name].gone)));
    const seen = { ...load.answers };
    await pause(outage * 1000);
    await eventually('everything was asked meanwhile', () =>
      Object.keys(seen).every((what) => load.answers[what] > seen[what]));
    await Promise.all(names.map(async (name) => {
      await parts[name].restore();
      const since = Date.now();
      await eventually(`${name} is back`, parts[name].back, recovery);
      recovered[name] = (Date.now() - since) / 1000;
      load.expect(name);
    }));
    const then = { ...load.answers };
    await eventually('everything is asked once more', () =>
      Object.keys(then).every((what) => load.answers[what] > then[what] + 3));
  } finally {
    await load.stop();
  }
  console.log(`without ${names.join(', ')}: ${JSON.stringify(load.answers)}; back after s: ${JSON.stringify(recovered)}`);
  assert.deepEqual(load.wrong.slice(0, 5), [], `${load.wrong.length} answers`);
}

for (const names of [['redis'], ['database'], ['exchange'], ['redis', 'database', 'exchange']]) {
  test(`without ${names.join(', ')} the rest answers, and it comes back by itself [C2, T9]`, () => loseAndRestore(names));
}

// What a public answer says of itself.
async function market(path) {
  const answer = await fetch(`${live.http}${path}`);
  await answer.text();
  const age = answer.headers.get('x-tenon-age-ms');
  return { status: answer.status, source: answer.headers.get('x-tenon-source'), ageMs: age === null ? undefined : Number(age) };
}

test('with nothing left an answer tells its age and source, and a kept one ends with its time [C2]', async () => {
  const news = () => ask(live, key, 'GET', '/api/news');
  const names = ['redis', 'database', 'exchange'];
  // So that the answer is kept, and a young one when everything goes.
  await eventually('a young answer', async () => (await news()).ageMs < youngMs);
  assert.equal((await news()).status, 200);
  await Promise.all(names.map((name) => parts[name].lose()));
  const seen = [];
  const began = Date.now();
  await eventually('its time is over', async () => {
    seen.push(await news());
    return seen.at(-1).status === 503;
  });
  await Promise.all(names.map((name) => eventually(`${name} is said to be gone`, parts[name].gone)));
  for (let i = 0; i < 5; i += 1) seen.push(await news());
  // Writers that wait for the database hold the threads that would answer; who asks knows in time nevertheless.
  const asked = seen.filter(({ status }) => status === 503).length;
  assert.ok(Date.now() - began < keptMs + (asked + 10) * 2 * requestMs, `${seen.length} answers in ${Date.now() - began} ms`);
  const given = seen.filter(({ status }) => status === 200);
  assert.ok(given.length > 0);
  // The time that the load took, a second at most, is of its age too.
  for (const { ageMs } of given) assert.ok(ageMs <= keptMs + 1000, `${ageMs} ms old`);
  assert.deepEqual(seen.slice(given.length).filter(({ status }) => status !== 503), []);
  for (const path of ['/api/v3/ticker/24hr?symbol=BTCUSDT', '/api/v3/trades?symbol=BTCUSDT']) {
    const answer = await market(path);
    assert.equal(answer.status, 200, path);
    assert.equal(answer.source, 'stale', path);
    assert.ok(answer.ageMs > 0, path);
  }
  // A book that has lost its place is given no longer than so.
  await eventually('the book is too old', async () => {
    const answer = await market('/api/v3/depth?symbol=BTCUSDT');
    assert.ok(answer.status === 503 || (answer.source === 'stale' && answer.ageMs < bookMs), JSON.stringify(answer));
    return answer.status === 503;
  });
  await Promise.all(names.map((name) => parts[name].restore()));
  for (const name of names) await eventually(`${name} is back`, parts[name].back, recovery);
  await eventually('a young answer', async () => (await news()).ageMs < youngMs);
});

test('every order that was acknowledged meanwhile is in the database in the end [T5]', async () => {
  await eventually('the projection has caught up', () => {
    const status = live.tenon('trading', 'status');
    return status.projected_sequence >= status.durable_sequence;
  }, 60);
  const rows = Number(postgres.query("SELECT count(*) FROM orders WHERE status = 5"));
  assert.ok(cancelled > 0);
  assert.equal(rows, cancelled);
});
