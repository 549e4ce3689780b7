// SPDX-License-Identifier: Apache-2.0
// A server whose exchange for one symbol is another server. What it reaches there may go over other addresses (`rest`, `api`),
// so that a test can put a bad network between them.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { Server } from './server.mjs';

const source = process.env.TENON_SOURCE_DIR ?? new URL('../..', import.meta.url).pathname;

function deployment(folder, symbol, config) {
  const instruments = JSON.parse(readFileSync(join(source, 'etc/instruments.json'), 'utf8'));
  instruments.instruments.find((one) => one.symbol === symbol).venue = 'exchange';
  writeFileSync(join(folder, 'instruments.json'), JSON.stringify(instruments));
  const grant = ['*'];
  const plugins = {
    instruments: { id: 'tenon.trading.instruments', grant, config: { file: join(folder, 'instruments.json') } },
    storage: { id: 'tenon.storage.sqlite', grant },
    migrations: { id: 'tenon.migrations.sql', grant, config: { folder: join(source, 'migrations') } },
    exchange: { id: 'tenon.venue.binance', grant, config: { symbols: [symbol],
      api_key: 'env:TENON_E2E_KEY', secret: 'env:TENON_E2E_SECRET', order_tag: 'e2e', order_timeout_ms: 2000,
      absence_margin_ms: 1000, recv_window_ms: 2000, compare_s: 5,
      weights_file: join(source, 'etc/venues/binance-weights.json'), ...config } },
    'market-data': { id: 'tenon.market-data.service', grant },
    engine: { id: 'tenon.trading.engine', grant, config: { demo_account: { name: 'demo', funds: { BTC: '1', ETH: '10' } } } },
    accounts: { id: 'tenon.trading.accounts', grant },
    http: { id: 'tenon.gateway.http', grant },
    binance: { id: 'tenon.gateway.binance', grant },
    // Users store the exchange's keys there.
    ...(config.credential ? { records: { id: 'tenon.trading.records', grant } } : {}),
    metrics: { id: 'tenon.monitor.metrics', grant },
    health: { id: 'tenon.monitor.health', grant },
  };
  const file = join(folder, 'live.json');
  writeFileSync(file, JSON.stringify({ deployment_version: 1, name: 'live', plugins }));
  return relative(join(source, 'etc/deployments'), file).replace(/\.json$/, '');
}

export function inFrontOf(there, theirKey, symbol, { rest = there.address, api = there.address, config = {} } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'tenon-e2e-exchange-'));
  const server = new Server({
    deployment: deployment(folder, symbol, { rest_url: `http://${rest}`, stream_url: `ws://${rest}`, api_url: `ws://${api}/ws-api/v3`, ...config }),
    env: { TENON_E2E_KEY: theirKey.api_key, TENON_E2E_SECRET: theirKey.secret },
  });
  const stop = server.stop.bind(server);
  server.stop = async () => {
    await stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return server;
}
