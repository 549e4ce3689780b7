// SPDX-License-Identifier: Apache-2.0
// Row M1: a real Prometheus scrapes a real server; each series is in the list of metrics that ships.
import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, Server } from './server.mjs';
import { Prometheus } from './prometheus.mjs';

const source = process.env.TENON_SOURCE_DIR ?? new URL('../..', import.meta.url).pathname;
const open = [];

afterEach(async () => {
  while (open.length) await open.pop().stop();
});

async function serve(options) {
  const server = new Server(options);
  open.push(server);
  return server.start();
}

async function page(server, accept) {
  const response = await fetch(`${server.http}/metrics`, { headers: accept ? { Accept: accept } : {} });
  assert.equal(response.status, 200);
  return { type: response.headers.get('content-type'), text: await response.text() };
}

// The families of a page with the labels that their samples have.
function families(text) {
  const found = new Map();
  for (const line of text.split('\n')) {
    const type = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (type) found.set(type[1], { type: type[2], labels: new Set() });
    const sample = /^(\w+)(?:\{(.*)\})? \S+$/.exec(line);
    if (!sample) continue;
    const family = found.get(sample[1]) ?? found.get(sample[1].replace(/_(bucket|sum|count)$/, ''));
    assert.ok(family, `a sample without its family: ${line}`);
    for (const [, label] of (sample[2] ?? '').matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)) {
      if (label !== 'le') family.labels.add(label);
    }
  }
  return found;
}

function listed() {
  return new Map(readFileSync(join(source, 'etc/prometheus/metrics.txt'), 'utf8').split('\n')
    .filter((line) => line && !line.startsWith('#'))
    .map((line) => line.split(' '))
    .map(([name, type, labels]) => [name, { type, labels: labels === '-' ? [] : labels.split(',') }]));
}

test('each metric of a server is in the list, with its type and its labels [M1]', async () => {
  const server = await serve();
  const { text } = await page(server);
  const list = listed();
  for (const [name, family] of families(text)) {
    assert.ok(list.has(name), `${name} is not in etc/prometheus/metrics.txt`);
    assert.equal(family.type, list.get(name).type, name);
    assert.deepEqual([...family.labels].sort(), family.labels.size ? [...list.get(name).labels].sort() : [], name);
  }
});

test('promtool finds nothing to say about the page [M1]', async () => {
  const server = await serve();
  const { text } = await page(server);
  const check = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  assert.equal(check.status, 0, check.stdout + check.stderr);
  assert.equal(check.stdout + check.stderr, '');
  // It does say something about a page that is wrong.
  const wrong = spawnSync('promtool', ['check', 'metrics'], { input: 'tenon_a_total{ 1\n', encoding: 'utf8' });
  assert.notEqual(wrong.status, 0);
});

test('Prometheus takes every sample of both formats [M1]', async () => {
  const server = await serve();
  const openMetrics = await page(server, 'application/openmetrics-text;version=1.0.0');
  assert.match(openMetrics.type, /^application\/openmetrics-text/);
  assert.ok(openMetrics.text.endsWith('# EOF\n'));
  const { text } = await page(server);
  const prometheus = new Prometheus();
  open.push(prometheus);
  await prometheus.start((folder) => {
    const file = join(folder, 'prometheus.yml');
    writeFileSync(file, readFileSync(join(source, 'etc/prometheus/prometheus.yml'), 'utf8')
      .replaceAll('15s', '1s').replace('127.0.0.1:8765', server.address));
    return file;
  });
  await eventually('a scrape', async () => (await prometheus.query('up{job="tenon"} == 1')).length === 1);
  const samples = text.split('\n').filter((line) => line && !line.startsWith('#')).length;
  const [scraped] = await prometheus.query('scrape_samples_scraped{job="tenon"}');
  const [kept] = await prometheus.query('scrape_samples_post_metric_relabeling{job="tenon"}');
  assert.equal(kept.value, scraped.value);
  // A series of its own, such as a status that was never answered before, may have come meanwhile.
  assert.ok(scraped.value >= samples, `${scraped.value} of ${samples}`);
  const targets = await prometheus.ask('targets');
  assert.equal(targets.activeTargets[0].lastError, '');
  const [resident] = await prometheus.query('tenon_process_resident_bytes');
  assert.ok(resident.value > 1_000_000);
  // Its format of choice is OpenMetrics: what the server tells of a counter's type comes through.
  const metadata = await prometheus.ask('targets/metadata?metric=tenon_http_requests');
  assert.equal(metadata[0]?.type, 'counter');
});
