// SPDX-License-Identifier: Apache-2.0
// Row T10: a span of the journal replayed under other risk limits, and under other instruments, against what was recorded; and
// without a change, where both agree to the hash.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server } from './server.mjs';
import { call } from './signed.mjs';

const symbol = 'ETHBTC'; // of the internal venue: its market is these orders
const folder = mkdtempSync(join(tmpdir(), 'tenon-replay-'));
const server = new Server();
const keys = {};
const marks = {}; // sequences between the parts

const status = () => server.tenon('trading', 'status');
const replay = (...words) => server.tenon('journal', 'replay', ...words);
const outcome = (report, recorded, replayed) =>
  report.outcomes.find((each) => each.recorded === recorded && each.replayed === replayed)?.commands ?? 0;

async function place(who, side, price, quantity, extra = {}) {
  return (await call(server, keys[who], 'POST', '/api/v3/order',
    { symbol, side, type: 'LIMIT', timeInForce: 'GTC', price, quantity, ...extra })).body;
}
const cancel = async (who, order) => (await call(server, keys[who], 'DELETE', '/api/v3/order', { symbol, orderId: order.orderId })).body;

function files() {
  return ['journal', 'snapshots'].flatMap((name) => readdirSync(join(server.dataDir, name)).sort().map((file) => {
    const { size, mtimeMs } = statSync(join(server.dataDir, name, file));
    return [file, size, mtimeMs];
  }));
}

before(async () => {
  await server.start();
  for (const who of ['maker', 'taker']) {
    server.tenon('accounts', 'open', '--account', who);
    server.tenon('accounts', 'fund', '--account', who, '--asset', 'BTC', '--amount', '100');
    server.tenon('accounts', 'fund', '--account', who, '--asset', 'ETH', '--amount', '100');
    keys[who] = server.key(who);
  }
  marks.funded = status().sequence;
  // Each buy takes an ask of 2; the third is refused by a limit of that time.
  for (const price of ['0.031', '0.032', '0.033', '0.034']) await place('maker', 'SELL', price, '2');
  marks.offered = status().sequence;
  for (let i = 0; i < 2; i += 1) assert.equal((await place('taker', 'BUY', '0.034', '2')).status, 'FILLED');
  server.tenon('risk', 'set', '--account', 'taker', '--symbol', symbol, '--position', '104');
  assert.equal((await place('taker', 'BUY', '0.034', '2')).code, -2010);
  server.tenon('risk', 'clear', '--account', 'taker', '--symbol', symbol);
  const resting = await place('taker', 'BUY', '0.02', '1');
  marks.resting = status().sequence;
  assert.equal((await cancel('taker', resting)).status, 'CANCELED');
  assert.equal((await place('taker', 'BUY', '0.035', '2')).status, 'FILLED');
  // A pair, and orders on the paper market, whose evidence is in the journal too.
  const pair = await call(server, keys.taker, 'POST', '/api/v3/orderList/oco', {
    symbol, side: 'SELL', quantity: '1', aboveType: 'LIMIT_MAKER', abovePrice: '0.05', belowType: 'STOP_LOSS', belowStopPrice: '0.01',
  });
  assert.equal(pair.status, 200, JSON.stringify(pair.body));
  for (let i = 0; i < 5; i += 1) {
    await call(server, server.key(), 'POST', '/api/v3/order', { symbol: 'BTCUSDT', side: 'BUY', type: 'MARKET', quantity: '0.001' });
  }
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('nothing changed: both halves agree, and with the server, live and after a kill', async () => {
  const live = replay();
  assert.equal(live.agree, true, JSON.stringify(live));
  assert.equal(live.differing, 0);
  assert.equal(live.from.sequence, 0);
  await server.kill();
  const kept = files();
  const whole = replay();
  assert.equal(whole.agree, true);
  assert.deepEqual(whole.first, []);
  assert.equal(whole.state_hash.recorded, whole.state_hash.replayed);
  const part = replay('--from-sequence', String(marks.offered), '--to-sequence', String(marks.resting));
  assert.equal(part.agree, true);
  assert.deepEqual([part.from.sequence, part.to.sequence], [marks.offered, marks.resting]);
  assert.equal(part.commands, marks.resting - marks.offered);
  const at = server.tenon('journal', 'at', '--sequence', String(marks.resting));
  assert.equal(part.state_hash.recorded, at.state_hash);
  assert.deepEqual(replay('--from', part.from.time, '--to', part.to.time).state_hash, part.state_hash);
  assert.deepEqual(files(), kept, 'replaying writes nothing there');
  await server.start();
  assert.equal(status().state_hash, replay().state_hash.replayed);
});

test('a stricter limit: what it would have refused, and what came of that', () => {
  // 100 ETH and one buy of 2: a position of 102 and no more.
  const report = replay('--from-sequence', String(marks.funded), '--risk', JSON.stringify({ account: 'taker', symbol, position: '102' }));
  assert.equal(report.agree, false);
  assert.equal(report.limits_replaced, 2, 'what was set and cleared then gives way');
  // The second buy, the resting one and the last are refused; the third was then, and is now.
  assert.equal(outcome(report, 'none', 'risk_position'), 3, JSON.stringify(report.outcomes));
  assert.equal(outcome(report, 'none', 'unknown_order'), 1, 'a cancel of an order that is not there');
  const first = report.first[0];
  assert.deepEqual([first.command, first.account, first.symbol, first.side, first.type, first.quantity, first.price, first.recorded, first.replayed],
    ['submit', 'taker', symbol, 'BUY', 'LIMIT', '2', '0.034', 'none', 'risk_position']);
  const taker = report.accounts.find((each) => each.account === 'taker');
  assert.deepEqual(taker.trades, { recorded: 3, replayed: 1 });
  const maker = report.balances.find((each) => each.account === 'maker' && each.asset === 'ETH');
  assert.equal(Number(maker.difference), 4);
  assert.equal(report.not_simulated, 0);
  // For everybody, by number of open orders: only the first ask rests.
  const everybody = replay('--from-sequence', String(marks.funded), '--risk', '{"symbol":"ETHBTC","open_orders":"1"}', '--show', '1');
  assert.equal(everybody.first.length, 1);
  assert.ok(outcome(everybody, 'none', 'risk_open_orders') >= 3);
});

test('a looser limit: an order that was refused then is taken, and others keep their ids', () => {
  const report = replay('--from-sequence', String(marks.offered), '--risk', JSON.stringify({ account: 'taker', symbol, position: '1000' }));
  assert.equal(outcome(report, 'risk_position', 'none'), 1);
  assert.equal(outcome(report, 'none', 'unknown_order'), 0, 'the cancel finds its order');
  assert.ok(report.executed_otherwise >= 1, 'the last buy meets the next ask');
  const eth = report.balances.find((each) => each.account === 'maker' && each.asset === 'ETH');
  assert.equal(Number(eth.difference), -2);
});

test('other instruments: fees of nothing, to the last unit', () => {
  const deployment = JSON.parse(readFileSync(join(server.dataDir, 'deployment.json'), 'utf8'));
  const text = JSON.stringify(deployment).match(/[^"]*instruments\.json/)?.[0];
  assert.ok(text, 'the deployment names its instruments');
  const source = process.env.TENON_SOURCE_DIR ?? new URL('../..', import.meta.url).pathname;
  const list = JSON.parse(readFileSync(join(source, 'etc/instruments.json'), 'utf8'));
  for (const each of list.instruments) each.fees = { maker: '0', taker: '0' };
  const file = join(folder, 'free.json');
  writeFileSync(file, JSON.stringify(list));
  const report = replay('--set', `/plugins/instruments/config/file="${file}"`);
  assert.equal(report.agree, false);
  assert.deepEqual(report.outcomes, [], 'nobody is refused or taken for it');
  assert.ok(report.executed_otherwise >= 3);
  // Three buys of 2 ETH, a thousandth of each kept back then.
  const eth = report.balances.find((each) => each.account === 'taker' && each.asset === 'ETH');
  assert.equal(Number(eth.difference), 0.006);
});

test('questions without an answer say why', () => {
  const refused = (words, pattern) => assert.throws(() => replay(...words), pattern);
  refused(['--risk', '{"account":"nobody","open_orders":"1"}'], /there was no account \\?"nobody\\?" at the span's beginning/);
  refused(['--risk', '[1]'], /expected a JSON object/);
  refused(['--risk', '{"account":"taker","position":"1"}', '--from-sequence', String(marks.funded)], /an amount is for one symbol; name it/);
  refused(['--risk', '{"colour":"red"}'], /colour.* is not known/);
  refused(['--from-sequence', '9', '--to-sequence', '3'], /the span ends before it begins/);
  refused(['--to-sequence', '99999999'], /the journal .* ends with record [0-9]+, before record 99999999/);
  refused(['--from', 'yesterday'], /found the time \\?"yesterday/);
  refused(['--from-sequence', '1', '--from', '2026-01-01'], /usage: tenon journal replay/);
  refused(['--set', '/plugins/internal/enabled=false'], /is not known|halted|venue|cannot take over/);
});
