// SPDX-License-Identifier: Apache-2.0
// The journal answers what the state was at a moment, beside a running server and after a kill.
import test from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Server } from './server.mjs';
import { call } from './signed.mjs';

const symbol = 'ETHBTC'; // of the internal venue: nobody else trades it

// What the server says of this instant; nothing changes between the questions.
async function moment(server) {
  const { sequence, state_hash: hash } = server.tenon('trading', 'status');
  const depth = await (await fetch(`${server.http}/api/v3/depth?symbol=${symbol}`)).json();
  return { sequence, hash, accounts: server.tenon('accounts', 'list'), bids: depth.bids, asks: depth.asks };
}

// Name, size and time of the last write: looking changes none of them.
function files(folder) {
  return readdirSync(folder).sort().map((name) => {
    const { size, mtimeMs } = statSync(join(folder, name));
    return [name, size, mtimeMs];
  });
}

const numbers = (levels) => levels.map(([price, quantity]) => [Number(price), Number(quantity)]);

function agrees(view, expected) {
  assert.equal(view.sequence, expected.sequence);
  assert.equal(view.state_hash, expected.hash);
  assert.deepEqual(view.accounts, expected.accounts);
  const book = view.books.find((each) => each.symbol === symbol) ?? { bids: [], asks: [] };
  assert.deepEqual(numbers(book.bids), numbers(expected.bids));
  assert.deepEqual(numbers(book.asks), numbers(expected.asks));
}

function refused(server, words, pattern) {
  assert.throws(() => server.tenon('journal', 'at', ...words), pattern);
}

test('the state of each moment is what the server said then, live and after a kill [T10]', async (t) => {
  const server = new Server();
  t.after(() => server.stop());
  await server.start();
  const key = server.key();
  const place = async (side, price, quantity) => {
    const { status, body } = await call(server, key, 'POST', '/api/v3/order',
      { symbol, side, type: 'LIMIT', timeInForce: 'GTC', price, quantity });
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };

  const told = [await moment(server)];
  await place('BUY', '0.03', '1');
  const partly = await place('BUY', '0.03', '2');
  told.push(await moment(server));
  await place('SELL', '0.03', '1.5');
  await place('SELL', '0.04', '1');
  told.push(await moment(server));
  await call(server, key, 'DELETE', '/api/v3/order', { symbol, orderId: partly.orderId });
  told.push(await moment(server));

  const folders = ['journal', 'snapshots'].map((name) => join(server.dataDir, name));
  for (const expected of told) agrees(server.tenon('journal', 'at', '--sequence', String(expected.sequence)), expected);
  agrees(server.tenon('journal', 'at', String(Date.now())), told.at(-1));
  assert.equal(server.tenon('trading', 'status').sequence, told.at(-1).sequence, 'looking is no command');

  await server.kill();
  const before = folders.map(files);
  for (const expected of told) {
    const view = server.tenon('journal', 'at', '--sequence', String(expected.sequence));
    agrees(view, expected);
    agrees(server.tenon('journal', 'at', view.time), expected); // the time of its last command
  }
  const then = server.tenon('journal', 'at', '--sequence', String(told[2].sequence), '--account', 'demo', '--symbol', symbol);
  assert.deepEqual(then.accounts.map((each) => each.name), ['demo']);
  assert.deepEqual(then.open_orders.map(({ side, price, quantity, filled, status }) => [side, price, quantity, filled, status]),
    [['BUY', '0.03', '2', '0.5', 'PARTIALLY_FILLED'], ['SELL', '0.04', '1', '0', 'NEW']]);

  refused(server, ['--sequence', '1000000'], /ends with record \d+, before record 1000000/);
  refused(server, ['yesterday'], /found the time \\"yesterday\\"/);
  refused(server, ['--sequence', '3', '--account', 'nobody'], /there was no account \\"nobody\\" then/);
  refused(server, ['--sequence', '3', '--symbol', 'XYZ'], /there is no instrument \\"XYZ\\"/);
  refused(server, ['--sequence', '-1'], /a whole number from 0 on/);
  refused(server, [], /usage: tenon journal at/);
  assert.deepEqual(folders.map(files), before);
});
