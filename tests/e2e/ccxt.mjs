// SPDX-License-Identifier: Apache-2.0
// An unmodified ccxt, pointed at a server by its URLs alone.
import ccxt from 'ccxt';

export function exchange(server, key = undefined, pro = false) {
  const Exchange = pro ? ccxt.pro.binance : ccxt.binance;
  return new Exchange({
    ...(key && { apiKey: key.api_key, secret: key.secret }),
    urls: {
      api: {
        public: `${server.http}/api/v3`,
        private: `${server.http}/api/v3`,
        v1: `${server.http}/api/v1`,
        sapi: `${server.http}/sapi/v1`,
        ws: { spot: `${server.ws}/stream/ws` },
      },
    },
    options: { fetchMarkets: { types: ['spot'] } },
  });
}

export { ccxt };
