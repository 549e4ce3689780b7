// SPDX-License-Identifier: Apache-2.0
// Row T13: an account's trades and statement as CSV, for accounts and taxes: of a real server, over a kill, beside trading.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Server } from './server.mjs';
import { call } from './signed.mjs';

const symbol = 'ETHBTC';
const server = new Server();
const keys = {};
const odd = 'a-1_b'; // Binance allows [.A-Z:/a-z0-9_-]

function csv(...words) {
  const run = spawnSync(join(server.command, '../tenon'), ['export', ...words, '--data-dir', server.dataDir], { encoding: 'utf8' });
  return { status: run.status, error: run.stderr, text: run.stdout, rows: run.stdout.split('\r\n').slice(0, -1).map((line) => line.split(',').map((field) => field.replace(/^"|"$/g, ''))) };
}
const named = ({ rows: [names, ...rows] }) => rows.map((row) => Object.fromEntries(row.map((field, i) => [names[i], field])));
// Exact: hundred-millionths.
const units = (text) => {
  const [whole, rest = ''] = text.replace('-', '').split('.');
  return (text.startsWith('-') ? -1n : 1n) * BigInt(whole + rest.padEnd(8, '0'));
};
const order = (who, side, price, quantity, extra = {}) => call(server, keys[who], 'POST', '/api/v3/order',
  { symbol, side, type: 'LIMIT', timeInForce: 'GTC', price, quantity, ...extra });
function owned(who) {
  const { balances } = server.tenon('accounts', 'list').find((each) => each.name === who);
  return Object.fromEntries(Object.entries(balances).map(([asset, { free, locked }]) => [asset, units(free) + units(locked)]));
}

before(async () => {
  await server.start();
  for (const who of ['ann', 'bob']) {
    server.tenon('accounts', 'open', '--account', who);
    server.tenon('accounts', 'fund', '--account', who, '--asset', 'BTC', '--amount', '10', '--reference', `wire "${who}", 1`);
    server.tenon('accounts', 'fund', '--account', who, '--asset', 'ETH', '--amount', '10');
    keys[who] = server.key(who);
  }
  for (let i = 0; i < 20; i += 1) {
    await order('ann', 'SELL', '0.03', '0.1');
    await order('bob', 'BUY', '0.03', '0.07', i === 0 ? { newClientOrderId: odd } : {});
  }
  server.tenon('accounts', 'debit', '--account', 'bob', '--asset', 'BTC', '--amount', '0.5');
  server.tenon('accounts', 'transfer', '--from', 'bob', '--to', 'ann', '--asset', 'ETH', '--amount', '0.25');
});
after(() => server.stop());

function agrees(who) {
  const rows = named(csv('statement', '--account', who));
  const balances = {};
  for (const { kind, asset, change, balance } of rows) {
    if (kind === 'opening') balances[asset] = units(balance);
    else if (kind !== 'closing') balances[asset] += units(change);
    assert.equal(units(balance), balances[asset], `${kind} of ${asset}`);
  }
  assert.deepEqual(balances, owned(who));
  return rows;
}

test('a statement is the account, to the unit, also after a kill and without a server', async () => {
  const rows = agrees('bob');
  assert.deepEqual(new Set(rows.map(({ kind }) => kind)), new Set(['opening', 'deposit', 'withdrawal', 'transfer_out', 'bought', 'paid', 'fee', 'closing']));
  assert.match(csv('statement', '--account', 'bob', '--asset', 'BTC').text, /,deposit,"BTC",10,10,,,,"wire ""bob"", 1"\r\n/);
  agrees('ann');
  const before = csv('statement', '--account', 'ann').text;
  await server.kill();
  assert.equal(csv('statement', '--account', 'ann').text, before);
  await server.start();
  assert.equal(csv('statement', '--account', 'ann').text, before);
});

test('trades are those that the API tells', async () => {
  const mine = (await call(server, keys.bob, 'GET', '/api/v3/myTrades', { symbol, limit: 1000 })).body;
  const rows = named(csv('trades', '--account', 'bob'));
  assert.ok(mine.length >= 14);
  assert.deepEqual(rows.map((row) => [Number(row.trade_id), Number(row.order_id), units(row.price), units(row.quantity), units(row.quote_amount), units(row.fee), row.fee_asset, row.role, row.side, Date.parse(row.time)]),
    mine.map((one) => [one.id, one.orderId, units(one.price), units(one.qty), units(one.quoteQty), units(one.commission), one.commissionAsset, one.isMaker ? 'maker' : 'taker', one.isBuyer ? 'BUY' : 'SELL', one.time]));
  assert.equal(rows[0].client_order_id, odd);
  assert.deepEqual(named(csv('trades', '--account', 'bob', '--symbol', 'BTCUSDT')), []);
  const late = rows[5].time;
  const from = named(csv('trades', '--account', 'bob', '--from', late));
  assert.equal(from[0].time, late);
  assert.equal(named(csv('trades', '--account', 'bob', '--to', late)).length + from.length, rows.length);
});

test('what is wrong is said, and nothing is printed', () => {
  for (const [words, pattern] of [
    [['trades', '--account', 'nobody'], /there is no account "nobody"/],
    [['trades'], /args\/account: missing|account/],
    [['trades', '--account', 'bob', '--symbol', 'NOPE'], /args\/symbol: there is no symbol "NOPE"/],
    [['statement', '--account', 'bob', '--asset', 'NOPE'], /args\/asset: there is no asset "NOPE"/],
    [['statement', '--account', 'bob', '--from', 'soon'], /args\/from: found the time "soon"/],
    [['statement', '--account', 'bob', '--from', '2026-02-01', '--to', '2026-01-01'], /args\/to: before args\/from/],
    [['statement', '--account', 'bob', '--colour', 'red'], /colour/],
    [['everything'], /usage: tenon export trades/],
  ]) {
    const { status, error, text } = csv(...words);
    assert.notEqual(status, 0, words.join(' '));
    assert.match(error, pattern);
    assert.equal(text, '');
  }
});
