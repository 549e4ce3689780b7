// SPDX-License-Identifier: Apache-2.0
// Row K8: each optimisation of a running server is switched off and on under traffic, by the API and by `tenon flags`:
// nobody gets an error or another answer, and what the server does shows that the switch took effect.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { ask } from './native.mjs';
import { call, limitBuy } from './signed.mjs';
import { Postgres } from './postgres.mjs';
import { Redis } from './redis.mjs';
import { eventually, Server } from './server.mjs';

const WebSocket = createRequire(import.meta.url)('ws');
const open = [];
after(async () => { for (const one of open.reverse()) await (one.stop ?? one.kill).call(one); });

// The market stands still, so that equal questions have equal answers; everybody's answers are compressed.
const settings = ['/plugins/replay/config/paused=true', '/plugins/records/config/cache_ms=600000',
  '/plugins/http/config/gzip=always', '/plugins/http/config/gzip_min_bytes=1', '/plugins/http/config/ws_deflate=always',
  '/plugins/http/config/ws_deflate_min_bytes=1', '/plugins/binance/config/orders_per_10_seconds=100000',
  '/plugins/binance/config/weight_per_minute=10000000', '/plugins/records/config/receive_window_ms=60000'];
const book = '/api/v3/depth?symbol=BTCUSDT&limit=50';
// What answers are compared of, and what makes no use of what is measured below.
const compared = [book, '/api/v3/ticker/bookTicker?symbol=BTCUSDT', '/api/v3/trades?symbol=BTCUSDT&limit=5',
  '/api/v3/depth?symbol=ETHUSDT&limit=20'];

async function metric(server, name) {
  const text = await (await fetch(`${server.http}/metrics`)).text();
  return text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .reduce((sum, line) => sum + Number(line.split(' ').pop()), 0);
}

class Story {
  constructor(server) { this.server = server; }

  async begin() {
    this.server.tenon('accounts', 'open', '--account', 'ops');
    this.ops = this.server.key('ops', 'trade,read,admin');
    this.demo = this.server.key();
    await eventually('the account is in the database', async () =>
      (await ask(this.server, this.ops, 'PUT', '/api/settings', { body: { leverage: 5 } })).status === 200);
    this.wrong = [];
    this.passed = 0;
    this.goes = true;
    this.traffic = this.run().catch((error) => { this.wrong.push(error.message); });
    // A list of subscriptions that is long enough to be shorter when it is compressed.
    const streams = ['1m', '3m', '5m', '15m', '30m', '1h', '2h', '4h', '6h', '8h'].map((each) => `btcusdt@kline_${each}`);
    this.client = new WebSocket(`ws://${this.server.address}/stream?streams=${streams.join('/')}`, { perMessageDeflate: true });
    await new Promise((resolve, reject) => { this.client.once('open', resolve).once('error', reject); });
  }

  // Orders, reads of the market and of the database, one after the other, as long as the story goes.
  async run() {
    for (let i = 0; this.goes; i += 1) {
      const answers = {
        placed: await limitBuy(this.server, this.demo, '30000', `flag-${i}`),
        trades: await fetch(`${this.server.http}/api/v3/trades?symbol=BTCUSDT&limit=5`),
        own: await ask(this.server, this.ops, 'GET', '/api/settings'),
        cancelled: await call(this.server, this.demo, 'DELETE', '/api/v3/order',
          { symbol: 'BTCUSDT', origClientOrderId: `flag-${i}` }),
      };
      await answers.trades.arrayBuffer();
      for (const [what, { status, body }] of Object.entries(answers)) {
        if (status !== 200) this.wrong.push(`${what}: ${status} ${JSON.stringify(body)}`);
      }
      this.passed += 1;
    }
  }

  // Also of a story that failed.
  async stop() {
    this.goes = false;
    this.client?.terminate();
    await this.traffic;
    await this.server.stop();
  }

  async end() {
    this.goes = false;
    await this.traffic;
    assert.deepEqual(this.wrong, []);
    assert.ok(this.passed > 0);
  }

  async flags() {
    const { status, body } = await ask(this.server, this.ops, 'GET', '/api/flags');
    assert.equal(status, 200, JSON.stringify(body));
    return body.data;
  }

  async set(name, on) {
    const { status, body } = await ask(this.server, this.ops, 'PUT', `/api/flags/${name}`, { body: { on, reason: 'a test' } });
    assert.equal(status, 200, `${name}: ${JSON.stringify(body)}`);
    assert.deepEqual([body.name, body.on], [name, on]);
  }

  async reset(name) {
    const { status, body } = await ask(this.server, this.ops, 'DELETE', `/api/flags/${name}`);
    assert.equal(status, 200, `${name}: ${JSON.stringify(body)}`);
  }

  async answers() {
    const out = [];
    for (const path of compared) {
      const answer = await fetch(`${this.server.http}${path}`);
      out.push([path, answer.status, await answer.text()]);
    }
    const models = await ask(this.server, this.ops, 'GET', '/api/models');
    out.push(['/api/models', models.status, models.text]);
    return out;
  }

  async cache() { return (await (await fetch(`${this.server.http}/api/stats/cache`)).json()).api_response; }

  async head(name) {
    const answer = await fetch(`${this.server.http}${book}`);
    await answer.arrayBuffer();
    return answer.headers.get(name);
  }
}

// What shows that a flag is on or off. Those without are shown where what they are about can be made to happen:
// tests/unit/{cache,sdk,throttle,predictor,gateway}.
const effects = {
  async 'http.etags'(story, on) { assert.equal(await story.head('etag') !== null, on); },
  async 'http.answer_compression'(story, on) { assert.equal(await story.head('content-encoding') === 'gzip', on); },
  // On a connection that was open before.
  async 'http.message_compression'(story, on) {
    const before = await metric(story.server, 'tenon_ws_compressed_total');
    const told = new Promise((resolve) => {
      story.client.on('message', (data) => { if ('result' in JSON.parse(data)) resolve(); });
    });
    story.client.send(JSON.stringify({ method: 'LIST_SUBSCRIPTIONS', id: 1 }));
    await told;
    assert.equal(await metric(story.server, 'tenon_ws_compressed_total') > before, on);
  },
  async 'binance.hot_answers'(story, on) {
    const name = 'tenon_binance_hot_answers_total';
    if (on) {
      const before = await metric(story.server, name);
      await eventually('an answer that was hot', async () => {
        await story.head('etag');
        return await metric(story.server, name) > before;
      });
    } else {
      // What was counted last is published by the time that the next one is.
      const settled = await eventually('the metric stands still', async () => {
        const one = await metric(story.server, name);
        for (let i = 0; i < 20; i += 1) await story.head('etag');
        return await metric(story.server, name) === one;
      });
      assert.ok(settled);
    }
  },
  async 'cache.memory_tiers'(story, on) {
    const read = () => ask(story.server, story.ops, 'GET', '/api/models');
    await read();
    const before = await story.cache();
    for (let i = 0; i < 3; i += 1) assert.equal((await read()).status, 200);
    const now = await story.cache();
    // With a shared tier they come from there.
    const fromMemory = now.tier_hits['cache-memory'] - before.tier_hits['cache-memory'];
    assert.equal(fromMemory, on ? 3 : 0);
    if (!on && !('cache-redis' in now.tier_hits)) assert.equal(now.loads - before.loads, 3);
  },
};

// Redis' entries are reached where memory has none.
async function withoutMemory(story, on) {
  await story.set('cache.memory_tiers', false);
  const read = () => ask(story.server, story.ops, 'GET', '/api/models');
  await read();
  const before = await story.cache();
  for (let i = 0; i < 3; i += 1) assert.equal((await read()).status, 200);
  const now = await story.cache();
  assert.equal(now.tier_hits['cache-redis'] - before.tier_hits['cache-redis'], on ? 3 : 0);
  assert.equal(now.loads - before.loads, on ? 0 : 3);
  await story.reset('cache.memory_tiers');
}

async function switchEach(story, shown, which = /./) {
  const first = await story.answers();
  for (const [path, status] of first) assert.equal(status, 200, path);
  const flags = await story.flags();
  for (const flag of flags.filter(({ name }) => which.test(name))) {
    assert.ok(flag.title && flag.description, flag.name);
    for (const on of [false, true]) {
      await story.set(flag.name, on);
      assert.deepEqual(await story.answers(), first, `${flag.name} ${on}`);
      await shown[flag.name]?.(story, on);
    }
    await story.reset(flag.name);
  }
  assert.ok((await story.flags()).every(({ on, deployment, overridden }) => on === deployment && !overridden));
  for (const name of Object.keys(shown)) assert.ok(flags.some((flag) => flag.name === name), `${name} is a flag`);
  return flags.map(({ name }) => name);
}

test('each flag is switched off and on under traffic, and nobody gets another answer [K8]', async () => {
  const server = await new Server({ set: settings }).start();
  const story = new Story(server);
  open.push(story);
  await story.begin();
  const names = await switchEach(story, effects);
  for (const name of ['storage.query_cache', 'storage.statement_capture', 'cache.prefetch', 'cache.negative_entries',
    'binance.conflation', 'engine.projection_gathering', 'market-data.history_from_database', 'alerts.grouping']) {
    assert.ok(names.includes(name), name);
  }
  await story.end();
});

test('with PostgreSQL and Redis too [K8]', async () => {
  const postgres = new Postgres();
  open.push(postgres);
  await postgres.start();
  postgres.run('createdb', '-h', postgres.folder, '-U', 'tenon', 'tenon');
  const redis = new Redis();
  open.push(redis);
  await redis.start();
  const server = await new Server({
    deployment: 'moderate',
    set: [...settings, ...postgres.settings,
      ...['cache-redis', 'throttle'].map((name) => `/plugins/${name}/config/url="${redis.url}"`)],
  }).start();
  const story = new Story(server);
  open.push(story);
  await story.begin();
  const names = await switchEach(story, { ...effects, 'cache.shared_tiers': withoutMemory }, /^(cache|storage|engine)\./);
  assert.ok(names.includes('storage.replica_reads'));
  await story.end();
});

test('flags by the API and by tenon flags: refused precisely, on the record, kept over a restart [K8]', async () => {
  const server = await new Server({ set: settings }).start();
  open.push(server);
  server.tenon('accounts', 'open', '--account', 'ops');
  const ops = server.key('ops', 'trade,read,admin');
  const demo = server.key();
  const told = async (key, method, path, body) => {
    const answer = await ask(server, key, method, path, { body });
    return [answer.status, answer.body.error?.code ?? answer.body, answer.body.error?.pointer];
  };
  assert.equal((await fetch(`${server.http}/api/flags`)).status, 401);
  assert.deepEqual((await told(demo, 'GET', '/api/flags')).slice(0, 2), [403, 'forbidden']);
  assert.deepEqual((await told(demo, 'PUT', '/api/flags/http.etags', { on: false })).slice(0, 2), [403, 'forbidden']);
  for (const name of ['http.nothing', 'http.gzip', 'nothing.etags', 'x', '..etags', 'storage.slow_query_ms']) {
    assert.equal((await told(ops, 'PUT', `/api/flags/${name}`, { on: false }))[0], 404, name);
  }
  for (const [body, pointer] of [[{}, '/on'], [{ on: 'off' }, '/on'], [{ on: false, why: 'x' }, '/why'],
    [{ on: false, reason: 7 }, '/reason'], [{ on: false, reason: 'x'.repeat(501) }, '/reason']]) {
    const [status, , at] = await told(ops, 'PUT', '/api/flags/http.etags', body);
    assert.deepEqual([status, at], [400, pointer], JSON.stringify(body));
  }
  assert.equal((await told(ops, 'PUT', '/api/flags/http.etags?now=1', { on: false }))[0], 401, 'the query is signed apart');
  const story = new Story(server);
  await effects['http.etags'](story, true);
  const [status, answer] = await told(ops, 'PUT', '/api/flags/http.etags', { on: false, reason: '<b>why</b>' });
  assert.deepEqual([status, answer.on, answer.before], [200, false, true]);
  await effects['http.etags'](story, false);

  const flag = (name) => server.tenon('flags', 'list').find((one) => one.name === name);
  assert.deepEqual([flag('http.etags').on, flag('http.etags').overridden, flag('http.etags').reason], [false, true, '<b>why</b>']);
  const off = server.tenon('flags', 'off', 'binance.hot_answers', '--reason', 'a test');
  assert.deepEqual([off.name, off.on, off.before], ['binance.hot_answers', false, true]);
  assert.throws(() => server.tenon('flags', 'off', 'http.gzip'), /there is no flag http.gzip/);
  assert.throws(() => server.tenon('flags', 'toggle', 'http.etags'), /usage: tenon flags/);

  server.keep = true;
  await server.stop();
  server.keep = false;
  await server.start();
  await effects['http.etags'](story, false);
  assert.equal(flag('binance.hot_answers').on, false);
  assert.equal(server.tenon('flags', 'reset', 'http.etags').on, true);
  await effects['http.etags'](story, true);
  assert.equal((await told(ops, 'DELETE', '/api/flags/binance.hot_answers'))[0], 200);
  assert.ok(server.tenon('flags', 'list').every(({ overridden }) => !overridden));

  const deeds = JSON.stringify(server.tenon('audit', 'list', '--count', '50'));
  for (const part of ['settings.set', 'settings.unset', `key:${ops.api_key}`, 'cli:', 'http/etags', 'why']) {
    assert.ok(deeds.includes(part), part);
  }
});
