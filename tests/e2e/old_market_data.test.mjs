// SPDX-License-Identifier: Apache-2.0
// A bot asks for candles and trades of before its server began to listen: the exchange tells them once, the database keeps
// them, and while the exchange is away they are answered from there, and what is not kept with the reason.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { eventually, Server } from './server.mjs';

const symbol = 'BTCUSDT';
let peer;
let live;

after(async () => {
  await live?.stop();
  await peer?.stop();
});

async function ask(server, path) {
  const answer = await fetch(`${server.http}/api/v3/${path}`);
  return { status: answer.status, source: answer.headers.get('x-tenon-source'), age: answer.headers.get('x-tenon-age-ms'), body: await answer.json() };
}

async function metric(name) {
  const text = await (await fetch(`${live.http}/metrics`)).text();
  return Number(text.match(new RegExp(`^${name}(?:{[^}]*})? (\\d+)`, 'm'))?.[1] ?? 0);
}

test('older market data comes from the exchange once, and then from the database [T6][C2]', async () => {
  peer = await new Server({ deployment: 'benchmark' }).start();
  const trades = async () => (await ask(peer, `trades?symbol=${symbol}&limit=1000`)).body;
  const [first] = await eventually('trades come', async () => ((await trades()).length >= 20 ? trades() : undefined), 60);
  const from = (Math.floor(first.time / 1000) + 1) * 1000;
  const to = from + 4999;
  // What is younger than some seconds may change, and is not kept.
  await eventually('they are some seconds old', async () => Date.now() > to + 6000, 60);
  live = new Server({
    deployment: 'live',
    set: [`/plugins/exchange/config/rest_url=${peer.http}`, `/plugins/exchange/config/stream_url=ws://${peer.address}`,
      '/plugins/market-data/config/history_every_s=1'],
  });
  await live.start();
  await eventually('trades come here too', async () => (await ask(live, `trades?symbol=${symbol}`)).body.length > 0, 60);

  const paths = [
    `klines?symbol=${symbol}&interval=1s&startTime=${from}&endTime=${to}`,
    `historicalTrades?symbol=${symbol}&fromId=${first.id}&limit=10`,
    `aggTrades?symbol=${symbol}&startTime=${from}&endTime=${to}`,
  ];
  const told = [];
  for (const path of paths) {
    const theirs = await ask(peer, path);
    const ours = await ask(live, path);
    assert.equal(ours.status, 200, `${path}: ${JSON.stringify(ours.body)}`);
    assert.ok(ours.body.length > 0, path);
    assert.deepEqual(ours.body, theirs.body, path);
    assert.equal(ours.source, 'exchange', path);
    assert.ok(Number(ours.age) >= 0, path);
    told.push(ours.body);
  }
  const byId = `aggTrades?symbol=${symbol}&fromId=${told[2][0].a}&limit=${told[2].length}`;
  assert.deepEqual((await ask(live, byId)).body, told[2]);

  const rows = told.reduce((sum, list) => sum + list.length, 0);
  await eventually('they are kept', async () => (await metric('tenon_market_data_history_rows_kept_total')) >= rows, 60);
  for (const [i, path] of paths.entries()) {
    const again = await ask(live, path);
    assert.deepEqual(again.body, told[i], path);
    assert.equal(again.source, 'storage', path);
  }

  await peer.kill();
  const newest = ask(live, `klines?symbol=${symbol}&interval=1h&limit=500`);
  const missing = [ask(live, `historicalTrades?symbol=ETHUSDT&fromId=1&limit=5`),
    ask(live, `klines?symbol=${symbol}&interval=5m&startTime=${from - 86_400_000}`)];
  for (const [i, path] of [...paths, byId].entries()) {
    const kept = await ask(live, path);
    assert.deepEqual(kept.body, told[Math.min(i, 2)], path);
    assert.equal(kept.source, 'storage', path);
  }
  for (const answer of await Promise.all(missing)) {
    assert.equal(answer.status, 503);
    assert.match(answer.body.msg, /exchange/);
  }
  const rest = await newest; // what memory has is better than nothing, and said to be old
  assert.equal(rest.status, 200);
  assert.ok(rest.body.length > 0);
  assert.equal(rest.source, 'stale');

  await live.child.kill('SIGTERM');
  await live.exited;
  await live.start();
  const restarted = await ask(live, paths[0]);
  assert.deepEqual(restarted.body, told[0]);
  assert.equal(restarted.source, 'storage');
});
