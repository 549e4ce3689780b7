// SPDX-License-Identifier: Apache-2.0
// Row M5: a running server keeps the history of its metrics, over kill -9 and damage too.
import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, Server } from './server.mjs';

const open = [];

afterEach(async () => {
  while (open.length) await open.pop().stop();
});

const ask = async (server, query) => {
  const answer = await fetch(`${server.http}/api/history${query}`);
  return { status: answer.status, body: await answer.json() };
};
const points = async (server, query) => {
  const { status, body } = await ask(server, query);
  return status === 200 && body.series.every((one) => one.points.length > 0) ? body : undefined;
};

test('metrics have a history, which kill -9 does not take, nor what damages its files [M5]', async () => {
  const server = new Server({ set: ['/plugins/history/config/interval_s=1'] });
  open.push(server);
  await server.start();
  const before = await eventually('the first steps are kept', () => points(server, '?series=resident,http_requests&from=-60'));
  assert.equal(before.step_s, 10);
  const resident = before.series.find((one) => one.series === 'resident');
  assert.equal(resident.unit, 'bytes');
  const [at, mean, least, most] = resident.points[0];
  assert.equal(at % 10_000, 0);
  assert.ok(least > 1e6 && least <= mean && mean <= most);
  assert.ok(before.series.some((one) => one.series === 'http_requests{status="2xx"}' && one.labels.status === '2xx'));

  const { body: kept } = await ask(server, '/series');
  assert.deepEqual(kept.tiers[3], { step_s: 7200, keep_s: 31_536_000 });
  assert.ok(kept.series.some((one) => one.name === 'cpu' && one.unit === 'ratio' && one.since_ms > 1.6e12));
  const shown = server.tenon('history', 'show', '--series', 'resident', '--from', '-86400', '--step', '600');
  assert.equal(shown.step_s, 600);
  assert.ok(shown.series[0].points.length >= 1);
  assert.ok(server.tenon('history', 'series').series.length > 20);
  assert.throws(() => server.tenon('history', 'show', '--series', 'none'), /there is no \\"none\\"/);
  for (const [query, status, message] of [
    ['', 400, /at least one name/], ['?series=none', 404, /there is no "none" kept/],
    ['?series=cpu&step=7', 400, /multiple of 10 s/], ['?series=cpu&from=-90000&step=10', 400, /kept for 7200 s/],
    ['?series=%FF%01', 404, /there is no "\?\?"/], ['?a=1', 400, /unknown parameter "a"/],
  ]) {
    const refused = await ask(server, query);
    assert.equal(refused.status, status, query);
    assert.match(refused.body.error.message, message);
  }

  await server.kill();
  await server.start();
  const after = await points(server, '?series=resident&from=-3600');
  assert.deepEqual(after.series[0].points[0][0], at, 'what was kept is there before anything is measured anew');

  await server.kill();
  const file = openSync(join(server.dataDir, 'history', 'columns'), 'r+');
  writeSync(file, 'rubbish', 30);
  closeSync(file);
  await server.start();
  await eventually('it begins anew', () => points(server, '?series=resident&from=-60'));
  assert.match(server.log, /history_begun_anew/);
});
