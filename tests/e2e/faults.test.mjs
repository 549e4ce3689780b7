// SPDX-License-Identifier: Apache-2.0
// Rows T5, S1, K1: a server whose disk, database or folder fails says so and loses nothing acknowledged.
import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { once } from 'node:events';
import { join } from 'node:path';
import { eventually, Server } from './server.mjs';
import { call, health, limitBuy } from './signed.mjs';

let server;
const undo = [];

afterEach(async () => {
  await server?.stop();
  while (undo.length) undo.pop()();
});

async function started(options) {
  server = new Server(options);
  await server.start();
  const key = server.key();
  await eventually('a price', async () =>
    (await (await fetch(`${server.http}/api/v3/ticker/price?symbol=BTCUSDT`)).json()).price > 0);
  return key;
}

const order = (key, id) => call(server, key, 'GET', '/api/v3/order', { symbol: 'BTCUSDT', origClientOrderId: id });
const degraded = (component) => eventually(`${component} is degraded`, async () => {
  const report = await health(server);
  return report.components.find((c) => c.state !== 'healthy' && `${c.plugin}/${c.component}`.includes(component));
}, 60);

test('a second daemon on the same folder or port is refused and named [K1]', async () => {
  await started();
  const again = (dataDir, listen) => spawnSync(server.command, ['--deployment', server.deployment, '--data-dir', dataDir,
    '--listen', listen], { encoding: 'utf8', timeout: 20_000 });
  const folder = again(server.dataDir, '127.0.0.1:0');
  assert.equal(folder.status, 4);
  assert.match(folder.stderr, new RegExp(server.dataDir));
  const other = `${server.dataDir}-other`;
  undo.push(() => rmSync(other, { recursive: true, force: true }));
  const port = again(other, server.address);
  assert.equal(port.status, 4);
  assert.match(port.stderr, new RegExp(server.address.split(':')[1]));
  assert.equal((await fetch(`${server.http}/readyz`)).status, 200);
});

test('the database file is deleted while running: orders go on, and the restart has them [T5, S1]', async () => {
  const key = await started();
  assert.equal((await limitBuy(server, key, '30000', 'before')).status, 200);
  for (const suffix of ['', '-wal', '-shm']) rmSync(join(server.dataDir, `tenon.db${suffix}`), { force: true });
  assert.equal((await limitBuy(server, key, '30000', 'after')).status, 200);
  await degraded('storage');
  assert.equal((await order(key, 'after')).body.status, 'NEW');
  await server.kill();
  await server.start();
  for (const id of ['before', 'after']) assert.equal((await order(key, id)).body.status, 'NEW');
});

test('the database is locked by a stranger: orders go on, the projection catches up [T5, S1]', async () => {
  const key = await started();
  const stranger = spawn('sqlite3', [join(server.dataDir, 'tenon.db')], { stdio: ['pipe', 'pipe', 'inherit'] });
  stranger.stdin.write('BEGIN EXCLUSIVE;\nSELECT 1;\n');
  await once(stranger.stdout, 'data');
  for (let i = 0; i < 20; i += 1) {
    assert.equal((await limitBuy(server, key, '30000', `locked-${i}`)).status, 200);
  }
  assert.equal((await order(key, 'locked-19')).body.status, 'NEW');
  stranger.stdin.end('ROLLBACK;\n');
  await once(stranger, 'exit');
  await eventually('the projection has caught up', () => {
    const status = server.tenon('trading', 'status');
    return status.projected_sequence >= status.durable_sequence;
  });
});

test('a full disk refuses orders with a clear reason, and space brings them back [T5]', async () => {
  server = new Server({ set: ['/plugins/engine/config/disk_reserve_mb=8', '/plugins/engine/config/segment_mb=4'] });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=96m,mode=0700', 'tmpfs', server.dataDir]);
  const folder = server.dataDir;
  undo.push(() => { execFileSync('umount', ['-l', folder]); rmSync(folder, { recursive: true, force: true }); });
  server.keep = true;
  await server.start();
  const key = server.key();
  await eventually('a price', async () =>
    (await (await fetch(`${server.http}/api/v3/ticker/price?symbol=BTCUSDT`)).json()).price > 0);
  assert.equal((await limitBuy(server, key, '30000', 'kept')).status, 200);
  const filler = join(folder, 'filler');
  spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=1M', 'count=96', 'status=none']);
  const refused = await eventually('orders are refused', async () => {
    const answer = await limitBuy(server, key, '30000', `full-${Date.now()}`);
    return answer.status === 200 ? undefined : answer;
  });
  assert.equal(refused.status, 503);
  assert.match(refused.body.msg, /disk/i);
  assert.equal((await order(key, 'kept')).body.status, 'NEW');
  await degraded('disk');
  rmSync(filler);
  await eventually('orders are taken again', async () =>
    (await limitBuy(server, key, '30000', `again-${Date.now()}`)).status === 200);
  await server.kill();
  await server.start();
  assert.equal((await order(key, 'kept')).body.status, 'NEW');
});

test('a read-only data folder is refused with its name [K1]', async () => {
  server = new Server();
  const folder = server.dataDir;
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m,ro,mode=0700', 'tmpfs', folder]);
  undo.push(() => { execFileSync('umount', ['-l', folder]); rmSync(folder, { recursive: true, force: true }); });
  server.keep = true;
  const run = spawnSync(server.command, ['--deployment', server.deployment, '--data-dir', folder, '--listen', '127.0.0.1:0'],
    { encoding: 'utf8', timeout: 20_000 });
  assert.equal(run.status, 4);
  assert.match(run.stderr, new RegExp(folder));
});

test('damage in the middle of the journal stops the start with file and offset; repair is a command [T5, K4]', async () => {
  const key = await started();
  for (let i = 0; i < 30; i += 1) await limitBuy(server, key, '30000', `d-${i}`);
  await server.kill();
  const journal = join(server.dataDir, 'journal');
  const segment = join(journal, readdirSync(journal).filter((f) => f.endsWith('.seg')).sort()[0]);
  copyFileSync(segment, `${server.dataDir}.seg`);
  undo.push(() => rmSync(`${server.dataDir}.seg`, { force: true }));
  const bytes = readFileSync(segment);
  const at = bytes.indexOf(Buffer.from('d-5'));
  assert.ok(at > 0);
  const fd = openSync(segment, 'r+');
  writeSync(fd, Buffer.from('X'), 0, 1, at);
  closeSync(fd);
  // Recovery may start behind the damage from a snapshot; without one it must stop.
  rmSync(join(server.dataDir, 'snapshots'), { recursive: true, force: true });
  const run = spawnSync(server.command, ['--deployment', server.deployment, '--data-dir', server.dataDir,
    '--listen', '127.0.0.1:0', '--set', '/plugins/engine/on_failure=stop'], { encoding: 'utf8', timeout: 30_000 });
  assert.equal(run.status, 5, run.stderr);
  const said = run.stderr + run.stdout;
  assert.match(said, /\.seg/);
  assert.match(said, /offset/);
  const checked = server.tenon('journal', 'check');
  assert.equal(checked.ok, false);
  copyFileSync(`${server.dataDir}.seg`, segment);
  await server.start();
  assert.equal((await order(key, 'd-29')).body.status, 'NEW');
});

test('the wall clock steps back by an hour: orders go on, their times never go back [T5]', async () => {
  const offset = join(tmpdir(), `tenon-clock-${process.pid}`);
  undo.push(() => rmSync(offset, { force: true }));
  writeFileSync(offset, '+0');
  const key = await started({ env: {
    LD_PRELOAD: '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1', FAKETIME_TIMESTAMP_FILE: offset, FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  } });
  const serverTime = async () => (await (await fetch(`${server.http}/api/v3/time`)).json()).serverTime;
  const before = (await limitBuy(server, key, '30000', 'before')).body;
  assert.ok(before.transactTime > 0);
  writeFileSync(offset, '-3600');
  await eventually('the server sees the step', async () => (await serverTime()) < Date.now() - 3_000_000);
  const after_ = await limitBuy(server, key, '30000', 'after', { timestamp: await serverTime() });
  assert.equal(after_.status, 200, JSON.stringify(after_.body));
  assert.ok(after_.body.transactTime >= before.transactTime);
  await server.kill();
  await server.start();
  for (const id of ['before', 'after']) {
    const found = await call(server, key, 'GET', '/api/v3/order',
      { symbol: 'BTCUSDT', origClientOrderId: id, timestamp: await serverTime() });
    assert.equal(found.body.status, 'NEW');
  }
});

test('rubbish on the port does no harm [K1]', async () => {
  await started();
  const { connect } = await import('node:net');
  const [host, port] = server.address.split(':');
  for (const text of ['\x00\x01\x02\x03', 'GET / HTTP/9.9\r\n\r\n', `GET /${'a'.repeat(100_000)} HTTP/1.1\r\n\r\n`,
    'POST /api/v3/order HTTP/1.1\r\nContent-Length: 99999999999999\r\n\r\n', '\r\n\r\n\r\n', 'GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n']) {
    const socket = connect(Number(port), host);
    socket.on('error', () => {});
    socket.end(text);
    socket.resume();
    await once(socket, 'close');
  }
  assert.equal((await fetch(`${server.http}/readyz`)).status, 200);
});
