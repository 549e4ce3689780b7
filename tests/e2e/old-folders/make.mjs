// SPDX-License-Identifier: Apache-2.0
// Makes a data folder with the server of TENON_BUILD_DIR and keeps it as old-folders/NAME.tar.zst, for the tests of later
// versions: `TENON_BUILD_DIR=… TENON_SOURCE_DIR=… node tests/e2e/old-folders/make.mjs NAME`. Run it with the build of a
// release before its formats change. What is in it, upgrades.test.mjs says.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually, Server } from '../server.mjs';
import { call } from '../signed.mjs';

const name = process.argv[2];
if (!name) throw new Error('a name is missing');
const here = dirname(fileURLToPath(import.meta.url));
const server = await new Server().start();
server.keep = true;
const key = server.key();
const send = async (method, path, fields) => {
  const answer = await call(server, key, method, path, fields);
  if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
  return answer.body;
};
const limit = (side, price, quantity, id) => send('POST', '/api/v3/order', { symbol: 'ETHBTC', side, type: 'LIMIT', timeInForce: 'GTC', price,
  quantity, ...(id ? { newClientOrderId: id } : {}) });
const pair = (id) => send('POST', '/api/v3/orderList/oco', { symbol: 'ETHBTC', side: 'SELL', quantity: '0.1', listClientOrderId: id,
  aboveType: 'LIMIT_MAKER', abovePrice: '0.055', aboveClientOrderId: `${id}-target`, belowType: 'STOP_LOSS', belowStopPrice: '0.045',
  belowClientOrderId: `${id}-stop` });

await limit('SELL', '0.05', '0.01');
await limit('BUY', '0.05', '0.01');
await limit('BUY', '0.04', '1', 'resting');
await limit('SELL', '0.06', '1', 'partial');
await limit('BUY', '0.06', '0.25');
await limit('SELL', '0.05', '0.01');
await limit('BUY', '0.05', '0.01');
await send('POST', '/api/v3/order', { symbol: 'ETHBTC', side: 'SELL', type: 'STOP_LOSS_LIMIT', timeInForce: 'GTC', quantity: '0.2',
  stopPrice: '0.03', price: '0.02', newClientOrderId: 'waiting' });
await pair('before');
await eventually('the paper market has a price', async () => (await call(server, key, 'POST', '/api/v3/order', { symbol: 'BTCUSDT', side: 'BUY',
  type: 'LIMIT', timeInForce: 'GTC', price: '20000', quantity: '0.01', newClientOrderId: 'paper' })).status === 200);
// What is before this is in a snapshot, what is behind it in the journal alone.
server.child.kill('SIGTERM');
await server.exited;
await server.start();
await pair('after');
await limit('BUY', '0.041', '0.5', 'later');
await send('DELETE', '/api/v3/order', { symbol: 'ETHBTC', origClientOrderId: 'later' });
await limit('BUY', '0.041', '0.3', 'last');
const state = {};
for (const symbol of ['ETHBTC', 'BTCUSDT']) {
  state[symbol] = (await send('GET', '/api/v3/allOrders', { symbol })).map((o) => [o.clientOrderId, o.status, o.origQty, o.executedQty]);
}
state.balances = (await send('GET', '/api/v3/account', {})).balances.map((b) => [b.asset, b.free, b.locked]);
state.key = key;
await server.kill();
writeFileSync(join(server.dataDir, 'state.json'), JSON.stringify(state));
const packed = spawnSync('sh', ['-c', `tar -C "$1" -cf - . | zstd -19 -f -q -o "$2"`, 'sh', server.dataDir, join(here, `${name}.tar.zst`)], { stdio: 'inherit' });
process.exitCode = packed.status;
server.keep = false;
await server.stop();
