// SPDX-License-Identifier: Apache-2.0
// An unmodified ccxt, pointed at a server by its URLs alone. (ccxt's JavaScript asks for
// loadHttpProxyAgent() before it opens a ws:// address without TLS.)
import ccxt from 'ccxt';

export async function exchange(server, key = undefined, pro = false) {
  const Exchange = pro ? ccxt.pro.binance : ccxt.binance;
  const client = new Exchange({
    ...(key && { apiKey: key.api_key, secret: key.secret }),
    urls: {
      api: {
        public: `${server.http}/api/v3`,
        private: `${server.http}/api/v3`,
        v1: `${server.http}/api/v1`,
        sapi: `${server.http}/sapi/v1`,
        ws: { spot: `${server.ws}/stream/ws`, 'ws-api': { spot: `${server.ws}/ws-api/v3` } },
      },
    },
    options: { fetchMarkets: { types: ['spot'] } },
  });
  if (pro) await client.loadHttpProxyAgent();
  return client;
}

export { ccxt };
