// SPDX-License-Identifier: Apache-2.0
// One Tenon is the exchange of another, over a network that fails: after whatever happens the books and the trades behind are
// those in front, and the exchange never had to refuse a request.
import test from 'node:test';
import assert from 'node:assert/strict';
import { Server, eventually } from './server.mjs';
import { ChaosProxy } from './chaos_proxy.mjs';

const seed = Number(process.env.TENON_SEED ?? Date.now() % 1_000_000);
console.log(`seed ${seed} (TENON_SEED)`);
let state = seed >>> 0;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const get = async (server, path) => (await fetch(`${server.http}${path}`)).json();

async function metric(server, name) {
  const lines = (await (await fetch(`${server.http}/metrics`)).text()).split('\n').filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').pop()), 0);
}

// Books change ten times a second: compared when both are at the same update.
async function sameBooks(peer, live, seconds = 60) {
  for (const symbol of ['BTCUSDT', 'ETHUSDT']) {
    await eventually(`${symbol}: the books are equal`, async () => {
      const [theirs, ours] = await Promise.all([peer, live].map((s) => get(s, `/api/v3/depth?symbol=${symbol}&limit=100`)));
      if (theirs.lastUpdateId === undefined || theirs.lastUpdateId !== ours.lastUpdateId) {
        await pause(250); // the test has a budget at the exchange too
        return false;
      }
      assert.deepEqual(ours, theirs);
      return true;
    }, seconds);
  }
}

// Of the trades that both still have, every one is the same.
async function sameTrades(peer, live) {
  for (const symbol of ['BTCUSDT', 'ETHUSDT']) {
    await eventually(`${symbol}: the trades are equal`, async () => {
      const [theirs, ours] = await Promise.all([peer, live].map((s) => get(s, `/api/v3/trades?symbol=${symbol}&limit=1000`)));
      const first = Math.max(theirs[0].id, ours[0].id);
      const last = Math.min(theirs.at(-1).id, ours.at(-1).id);
      const within = (list) => list.filter(({ id }) => id >= first && id <= last);
      if (within(theirs).length > 0 && JSON.stringify(within(ours)) === JSON.stringify(within(theirs))) return true;
      await pause(1000); // 25 of the test's budget at the exchange for each list
      return false;
    }, 30);
  }
}

async function startPair(t, limits = {}) {
  const peer = await new Server({
    deployment: 'benchmark',
    set: [`/plugins/binance/config/weight_per_minute=${limits.weight ?? 6000}`, '/plugins/binance/config/requests_per_5_minutes=61000'],
  }).start();
  const proxy = await new ChaosProxy(peer.address).start();
  proxy.random = random;
  const live = await new Server({
    deployment: 'live',
    set: [`/plugins/exchange/config/rest_url=http://${proxy.address}`, `/plugins/exchange/config/stream_url=ws://${proxy.address}`,
      '/plugins/exchange/config/poll_ms=500', ...(limits.set ?? [])],
  }).start();
  t.after(async () => {
    if (!t.passed) console.log((await (await fetch(`${live.http}/metrics`)).text()).match(/^tenon_exchange_[^#]*? [0-9.e+-]+$/gm)?.join('\n'));
    await live.stop();
    await proxy.close();
    await peer.stop();
  });
  return { peer, proxy, live };
}

test('books and trades are those of the exchange after whatever the network does', async (t) => {
  const { peer, proxy, live } = await startPair(t);
  await sameBooks(peer, live);
  const faults = {
    cut: async () => proxy.cutAll(),
    refuse: async () => {
      proxy.refusing = true;
      proxy.cutAll();
      await pause(500 + random() * 1500);
      proxy.refusing = false;
    },
    silence: async () => {
      proxy.goSilent();
      await pause(500 + random() * 1500);
      proxy.speak();
    },
    garble: async () => {
      proxy.garble = 0.3;
      await pause(1000);
      proxy.garble = 0;
      proxy.cutAll(); // a changed digit is seen by nobody: without TLS a new beginning is the only cure
    },
  };
  for (let round = 0; round < 8; round += 1) {
    const name = Object.keys(faults)[Math.floor(random() * 4)];
    console.log(`round ${round}: ${name}`);
    await faults[name]();
    if (random() < 0.5) await pause(random() * 1000);
  }
  for (const [name, fault] of Object.entries(faults)) {
    console.log(`last: ${name}`);
    await fault();
    await sameBooks(peer, live);
  }
  assert.ok(await metric(live, 'tenon_exchange_feed_gaps_total') > 0);
  assert.equal(await metric(live, 'tenon_exchange_limited_total'), 0);
  assert.equal(await metric(peer, 'tenon_binance_refused_total'), 0);
});

test('trades that a break has swallowed are got and put in their place', async (t) => {
  const { peer, proxy, live } = await startPair(t);
  await sameBooks(peer, live);
  await eventually('trades come', async () => (await get(live, '/api/v3/trades?symbol=BTCUSDT&limit=5')).length === 5);
  for (let i = 0; i < 3; i += 1) {
    proxy.refusing = true;
    proxy.cutAll();
    await pause(2500);
    proxy.refusing = false;
    // The requests for what is missing fail as well.
    for (let cut = 0; cut < 10; cut += 1) {
      await pause(random() * 200);
      proxy.cutAll();
    }
    await sameBooks(peer, live);
  }
  await sameTrades(peer, live);
  assert.equal(await metric(live, 'tenon_exchange_trades_missed_total'), 0);
});

test('the exchange is never asked for more than it allows, however often its streams break', async (t) => {
  const { peer, proxy, live } = await startPair(t, { weight: 400, set: ['/plugins/exchange/config/level="unlimited"'] });
  await sameBooks(peer, live, 90);
  for (let i = 0; i < 12; i += 1) {
    proxy.cutAll();
    await pause(700);
  }
  assert.equal(await metric(live, 'tenon_exchange_limited_total'), 0);
  assert.equal(await metric(peer, 'tenon_binance_refused_total'), 0);
  assert.ok(await metric(live, 'tenon_exchange_used_weight') <= 400);
});

test('without the exchange the server lives, says so, and recovers with it', async (t) => {
  const { peer, proxy, live } = await startPair(t);
  await sameBooks(peer, live);
  proxy.refusing = true;
  proxy.cutAll();
  const component = async (name) => (await get(live, '/healthz')).components.find(
    (each) => each.plugin === 'exchange' && each.component === name);
  await eventually('the streams are said to be away', async () => (await component('streams')).state === 'degraded');
  await eventually('REST is said to be away', async () => (await component('rest')).state === 'degraded');
  assert.equal((await fetch(`${live.http}/api/v3/trades?symbol=BTCUSDT`)).status, 200);
  proxy.refusing = false;
  await sameBooks(peer, live);
  await eventually('health is back', async () => (await component('streams')).state === 'healthy' &&
    (await component('rest')).state === 'healthy', 60);
});
