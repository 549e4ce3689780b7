// SPDX-License-Identifier: Apache-2.0
// The smallest signed client: shows what the server really says, status and body.
import { createHmac } from 'node:crypto';

export async function call(server, key, method, path, params = {}) {
  const query = new URLSearchParams({ recvWindow: 60000, timestamp: Date.now(), ...params }).toString();
  const signature = createHmac('sha256', key.secret).update(query).digest('hex');
  const response = await fetch(`${server.http}${path}?${query}&signature=${signature}`,
    { method, headers: { 'X-MBX-APIKEY': key.api_key } });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

export function limitBuy(server, key, price, id, extra = {}) {
  return call(server, key, 'POST', '/api/v3/order', {
    symbol: 'BTCUSDT', side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: '0.001', price, newClientOrderId: id, ...extra,
  });
}

export async function health(server) {
  return (await fetch(`${server.http}/healthz`)).json();
}
