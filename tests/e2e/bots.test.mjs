// SPDX-License-Identifier: Apache-2.0
// Row H7: fifty unmodified ccxt bots and one address's limits at an exchange. The exchange is a second server with Binance's
// limits and bans. Behind one connector the bots are never refused there; alone they are banned. TENON_E2E_BOTS_S: for how long.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ChaosProxy } from './chaos_proxy.mjs';
import { Server, eventually } from './server.mjs';
import { call } from './signed.mjs';

const seconds = Number(process.env.TENON_E2E_BOTS_S ?? 22);
const seed = Number(process.env.TENON_SEED ?? Date.now() % 1_000_000);
const source = process.env.TENON_SOURCE_DIR ?? new URL('../..', import.meta.url).pathname;
const fleet = { bots: 50, processes: 5, traders: 12 };
const symbol = 'ETHUSDT';
const folder = mkdtempSync(join(tmpdir(), 'tenon-e2e-bots-'));
console.log(`seed ${seed} (TENON_SEED)`);

after(() => rmSync(folder, { recursive: true, force: true }));

async function metric(server, name) {
  const lines = (await (await fetch(`${server.http}/metrics`)).text()).split('\n').filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').pop()), 0);
}

// Binance's own limits, but for a smaller weight: the test lasts for less than a minute, and machines differ.
const weightPerMinute = 1500;
const ordersPer10Seconds = 100;
const share = 0.75; // of it that the connector uses, level moderate

function startPeer() {
  const limits = { weight_per_minute: weightPerMinute, requests_per_5_minutes: 300000,
    orders_per_10_seconds: ordersPer10Seconds, orders_per_day: 200000 };
  return new Server({ deployment: 'benchmark',
    set: Object.entries(limits).map(([name, value]) => `/plugins/binance/config/${name}=${value}`) }).start();
}

// live.json with orders that go to the exchange. What bots may ask of it is not this test's matter.
function connectorDeployment() {
  const instruments = JSON.parse(readFileSync(join(source, 'etc/instruments.json'), 'utf8'));
  instruments.instruments.find((one) => one.symbol === symbol).venue = 'exchange';
  writeFileSync(join(folder, 'instruments.json'), JSON.stringify(instruments));
  const deployment = JSON.parse(readFileSync(join(source, 'etc/deployments/live.json'), 'utf8'));
  const { plugins } = deployment;
  plugins.instruments.config.file = join(folder, 'instruments.json');
  plugins.migrations.config = { folder: join(source, 'migrations') };
  plugins.binance.config = { weight_per_minute: 4294967295, requests_per_5_minutes: 4294967295,
    orders_per_10_seconds: 4294967295, orders_per_day: 4294967295 };
  plugins.engine.config.demo_account.funds.USDT = '1000000000';
  plugins.exchange.config.weights_file = join(source, 'etc/venues/binance-weights.json');
  writeFileSync(join(folder, 'bots.json'), JSON.stringify(deployment));
  return relative(join(source, 'etc/deployments'), join(folder, 'bots')).replace(/\.json$/, '');
}

class Fleet {
  constructor(server, key) {
    const each = fleet.bots / fleet.processes;
    this.banned = false;
    this.processes = Array.from({ length: fleet.processes }, (_, i) => {
      const given = { http: server.http, ws: server.ws, key, pair: 'ETH/USDT', traders: fleet.traders, seed, from: i * each,
        to: (i + 1) * each };
      const child = spawn(process.execPath, [fileURLToPath(new URL('bots.mjs', import.meta.url)), JSON.stringify(given)],
        { stdio: ['pipe', 'pipe', 'inherit'] });
      const one = { child, exited: once(child, 'exit') };
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line === 'banned') this.banned = true;
        else one.report = JSON.parse(line);
      });
      return one;
    });
  }

  // What all were answered.
  async stop() {
    for (const { child } of this.processes) child.stdin.end('stop\n');
    await Promise.all(this.processes.map(({ exited }) => exited));
    const sum = { errors: {}, waits: { order: [], cancel: [] } };
    for (const { report } of this.processes) {
      for (const [name, value] of Object.entries(report.counts)) sum[name] = (sum[name] ?? 0) + value;
      for (const [text, times] of Object.entries(report.errors)) sum.errors[text] = (sum.errors[text] ?? 0) + times;
      for (const name of ['order', 'cancel']) sum.waits[name].push(...report.waits[name]);
    }
    return sum;
  }

  kill() {
    for (const { child } of this.processes) child.kill('SIGKILL');
  }
}

// Orders in each whole window of ten seconds, by the exchange's clock.
function windowsOf(times) {
  const counts = new Map();
  for (const time of times) counts.set(Math.floor(time / 10_000), (counts.get(Math.floor(time / 10_000)) ?? 0) + 1);
  return [...counts.entries()].sort(([a], [b]) => a - b).slice(1, -1).map(([, count]) => count);
}

const middle = (values) => Math.round(values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0);

test('fifty bots behind one connector are never refused by the exchange [H7]', async (t) => {
  const peer = await startPeer();
  t.after(() => peer.stop());
  const proxy = await new ChaosProxy(peer.address).start();
  t.after(() => proxy.close());
  const theirs = peer.key();
  const at = '/plugins/exchange/config';
  const live = await new Server({ deployment: connectorDeployment(),
    env: { TENON_E2E_KEY: theirs.api_key, TENON_E2E_SECRET: theirs.secret },
    set: [`${at}/rest_url=http://${proxy.address}`, `${at}/stream_url=ws://${proxy.address}`,
      `${at}/api_url=ws://${proxy.address}/ws-api/v3`, `${at}/symbols=["${symbol}"]`,
      `${at}/api_key="env:TENON_E2E_KEY"`, `${at}/secret="env:TENON_E2E_SECRET"`] }).start();
  t.after(() => live.stop());
  const key = live.key();
  await eventually('orders reach the exchange', async () => {
    const placed = await call(live, key, 'POST', '/api/v3/order', { symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC',
      quantity: '0.01', price: '1000', newClientOrderId: `first-${Date.now()}` });
    return placed.status === 200;
  }, 60);
  const bots = new Fleet(live, key);
  t.after(() => bots.kill());
  const until = Date.now() + seconds * 1000;
  let weight = 0;
  let asked = await metric(live, 'tenon_exchange_requests_total');
  await eventually('the time is over', async () => {
    weight = Math.max(weight, await metric(live, 'tenon_exchange_used_weight'));
    return Date.now() > until;
  }, seconds + 60);
  const sum = await bots.stop();
  asked = await metric(live, 'tenon_exchange_requests_total') - asked;
  const newest = await call(peer, theirs, 'GET', '/api/v3/allOrders', { symbol, limit: 1000 });
  const windows = windowsOf(newest.body.map(({ time }) => time));
  console.log(`${seconds} s: ${sum.answered} answers to the bots for ${asked} requests to the exchange; weight at most ${weight} `
    + `of ${weightPerMinute} in a minute; orders in ten seconds, of ${share * ordersPer10Seconds}: ${windows}; median of an order `
    + `${middle(sum.waits.order)} ms, of a cancel ${middle(sum.waits.cancel)} ms; errors ${JSON.stringify(sum.errors)}`);
  assert.equal(await metric(peer, 'tenon_binance_refused_total'), 0);
  assert.equal(await metric(live, 'tenon_exchange_limited_total'), 0);
  assert.equal(sum.limited, 0);
  assert.equal(sum.banned, 0);
  assert.equal(sum.cancelsFailed, 0, JSON.stringify(sum.errors));
  assert.ok(sum.orders > 0 && sum.cancels > 0 && sum.answered > sum.orders, JSON.stringify(sum));
  assert.ok(weight <= weightPerMinute);
  for (const count of windows) assert.ok(count <= ordersPer10Seconds, JSON.stringify(windows));
  assert.ok(asked < sum.answered, `${asked} requests for ${sum.answered} answers`);
});

test('the same bots are banned when each of them asks the exchange itself [H7]', async (t) => {
  const peer = await startPeer();
  t.after(() => peer.stop());
  const bots = new Fleet(peer, peer.key());
  t.after(() => bots.kill());
  await eventually('a bot is banned', () => bots.banned, 400);
  const sum = await bots.stop();
  console.log(`alone: ${sum.answered} answers, ${sum.limited} refused, ${sum.banned} of them by the ban`);
  assert.ok(sum.banned > 0);
});
