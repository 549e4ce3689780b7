// SPDX-License-Identifier: Apache-2.0
// Row T6: the WebSocket API and the account's events, by unmodified clients: ccxt pro, @binance/spot, listen keys.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Spot } from '@binance/spot';
import { eventually, Server } from './server.mjs';
import { exchange } from './ccxt.mjs';
import { call } from './signed.mjs';

const symbol = 'ETHBTC'; // of the internal venue: nobody else trades it
let server;
let key;

const order = (side, quantity, price, id, who = key) => call(server, who, 'POST', '/api/v3/order', {
  symbol, side, type: 'LIMIT', timeInForce: 'GTC', quantity, price, newClientOrderId: id });
const cancel = (id) => call(server, key, 'DELETE', '/api/v3/order', { symbol, origClientOrderId: id });

// A raw connection that keeps what it hears; `events` are those of the account.
class Listener {
  static async open(path) {
    const listener = new Listener();
    listener.events = [];
    listener.answers = new Map();
    const { default: WebSocket } = await import('ws');
    listener.socket = new WebSocket(`${server.ws}${path}`);
    listener.closed = new Promise((resolve) => {
      listener.socket.on('close', (code, reason) => resolve({ code, reason: String(reason) }));
    });
    listener.socket.on('error', () => {});
    listener.socket.on('message', (text) => {
      const message = JSON.parse(text);
      if ('status' in message) listener.answers.set(message.id, message);
      else listener.events.push(message.event ?? message.data ?? message);
    });
    await new Promise((resolve) => { listener.socket.on('open', resolve); });
    return listener;
  }

  async ask(id, method, params = {}) {
    this.socket.send(JSON.stringify({ id, method, params }));
    return eventually(`an answer to ${method}`, () => this.answers.get(id));
  }

  reports(id) { return this.events.filter((e) => e.e === 'executionReport' && (e.c === id || e.C === id)); }

  async close() {
    this.socket.close();
    await this.closed;
  }
}

// As the API's documents say: sorted, not percent-encoded.
async function signedParams(params = {}) {
  const { createHmac } = await import('node:crypto');
  const all = { apiKey: key.api_key, timestamp: Date.now(), recvWindow: 60000, ...params };
  const payload = Object.keys(all).sort().map((name) => `${name}=${all[name]}`).join('&');
  return { ...all, signature: createHmac('sha256', key.secret).update(payload).digest('hex') };
}

const pro = () => exchange(server, key, true);

before(async () => {
  server = await new Server().start();
  key = server.key();
  await eventually('orders are taken', async () => (await order('BUY', '0.1', '0.01', `up-${Date.now()}`)).status === 200);
  await call(server, key, 'DELETE', '/api/v3/openOrders', { symbol });
});

after(() => server?.stop());

test('ccxt pro: watchOrders, watchMyTrades and watchBalance see an order from begin to end [T6]', async () => {
  const client = await pro();
  try {
    const seen = [];
    const trades = [];
    const balances = [];
    const collect = async (watch, into) => {
      for (;;) {
        try {
          into.push(await watch());
        } catch {
          return;
        }
      }
    };
    const first = client.watchOrders('ETH/BTC');
    const loops = [];
    await eventually('the subscription', () => Object.values(client.clients).some((c) => c.subscriptions.spot));
    loops.push(collect(() => client.watchMyTrades('ETH/BTC'), trades), collect(() => client.watchBalance(), balances));
    await client.fetchTime();
    await eventually('an order is told', async () => {
      await order('BUY', '0.1', '0.02', `probe-${Date.now()}`);
      return Promise.race([first.then(() => true), new Promise((resolve) => { setTimeout(() => resolve(false), 200); })]);
    });
    loops.push(collect(() => client.watchOrders('ETH/BTC'), seen));
    assert.equal((await order('BUY', '0.1', '0.03', 'ccxt-1')).status, 200);
    assert.equal((await order('SELL', '0.04', '0.03', 'ccxt-2')).status, 200);
    assert.equal((await cancel('ccxt-1')).status, 200);
    const mine = await eventually('the order is closed', () => {
      const one = seen.flat().filter((o) => o.clientOrderId === 'ccxt-1' || o.info.C === 'ccxt-1');
      return one.some((o) => o.status === 'canceled') && one;
    });
    assert.equal(mine.at(-1).filled, 0.04);
    await eventually('the trade is told', () => trades.flat().some((t) => t.amount === 0.04 && t.price === 0.03));
    await eventually('the balances are told', () => balances.some((b) => b.ETH && b.BTC.free > 0));
    await client.close();
    await Promise.all(loops);
  } finally {
    await client.close();
    await call(server, key, 'DELETE', '/api/v3/openOrders', { symbol });
  }
});

test('ccxt pro: an order placed, asked for and canceled over the WebSocket API [T6]', async () => {
  const client = await pro();
  try {
    const placed = await client.createOrderWs('ETH/BTC', 'limit', 'buy', 0.1, 0.02);
    assert.equal(placed.status, 'open');
    assert.equal((await client.fetchOrderWs(placed.id, 'ETH/BTC')).id, placed.id);
    assert.deepEqual((await client.fetchOpenOrdersWs('ETH/BTC')).map((o) => o.id), [placed.id]);
    const account = (await client.fetchBalanceWs()).info; // which this ccxt does not read further for spot
    assert.ok(account.balances.some((b) => b.asset === 'BTC' && Number(b.locked) > 0));
    assert.equal((await client.cancelOrderWs(placed.id, 'ETH/BTC')).status, 'canceled');
    await assert.rejects(client.createOrderWs('ETH/BTC', 'limit', 'buy', 1000, 0.05), /InsufficientFunds|insufficient balance/);
  } finally {
    await client.close();
  }
});

test('@binance/spot: the WebSocket API and its user data stream [T6]', async () => {
  const { websocketAPI } = new Spot({
    configurationWebsocketAPI: { apiKey: key.api_key, apiSecret: key.secret, wsURL: `${server.ws}/ws-api/v3` },
  });
  const connection = await websocketAPI.connect();
  try {
    const heard = [];
    connection.on('message', (text) => heard.push(JSON.parse(text)));
    const { response } = await connection.userDataStreamSubscribeSignature();
    assert.equal(Number(response.data.subscriptionId), 0);
    const placed = await connection.orderPlace({
      symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: 0.1, price: 0.02, newClientOrderId: 'spot-1' });
    assert.equal(placed.data.status, 'NEW');
    const gone = await connection.orderCancel({ symbol, origClientOrderId: 'spot-1' });
    assert.equal(gone.data.status, 'CANCELED');
    assert.equal((await connection.accountStatus()).data.accountType, 'SPOT');
    await eventually('both reports', () => heard.filter((m) => m.event?.e === 'executionReport').length === 2);
    assert.deepEqual(heard.filter((m) => m.event?.e === 'executionReport').map((m) => m.event.X), ['NEW', 'CANCELED']);
  } finally {
    await connection.disconnect();
  }
});

test('a listen key gives the same events, without an envelope [T6]', async () => {
  const made = await fetch(`${server.http}/api/v3/userDataStream`, { method: 'POST', headers: { 'X-MBX-APIKEY': key.api_key } });
  const { listenKey } = await made.json();
  assert.match(listenKey, /^[A-Za-z0-9]{64}$/);
  const raw = await Listener.open(`/ws/${listenKey}`);
  const combined = await Listener.open(`/stream?streams=${listenKey}`);
  await order('BUY', '0.1', '0.02', 'listen-1');
  await cancel('listen-1');
  for (const listener of [raw, combined]) {
    await eventually('both reports', () => listener.reports('listen-1').length === 2);
    assert.deepEqual(listener.reports('listen-1').map((e) => e.X), ['NEW', 'CANCELED']);
    assert.ok(listener.events.some((e) => e.e === 'outboundAccountPosition'));
  }
  const ended = await fetch(`${server.http}/api/v3/userDataStream?listenKey=${listenKey}`,
    { method: 'DELETE', headers: { 'X-MBX-APIKEY': key.api_key } });
  assert.equal(ended.status, 200);
  await eventually('the end is told', () => raw.events.some((e) => e.e === 'listenKeyExpired'));
  await raw.close();
  await combined.close();
});

test('each state of each order is told once, also over a restart [T6]', async () => {
  const states = new Map(); // client id -> reports
  const ids = new Set();
  let last = 0;
  const listen = async () => {
    const listener = await Listener.open('/ws-api/v3');
    const answer = await listener.ask('s', 'userDataStream.subscribe.signature', await signedParams());
    assert.equal(answer.status, 200, JSON.stringify(answer));
    return listener;
  };
  const keep = (listener) => {
    for (const event of listener.events.filter((e) => e.e === 'executionReport')) {
      assert.ok(!ids.has(event.I), `execution ${event.I} is told twice`);
      assert.ok(event.I > last, `execution ${event.I} after ${last}`);
      ids.add(event.I);
      last = event.I;
      const id = event.C || event.c;
      states.set(id, [...(states.get(id) ?? []), `${event.x}:${event.X}:${event.z}`]);
    }
  };
  let listener = await listen();
  for (let i = 0; i < 10; i += 1) await order('BUY', '0.1', '0.03', `r-${i}`);
  await order('SELL', '0.04', '0.03', 'r-hit');
  await eventually('all are told', () => listener.reports('r-hit').length === 2);
  await server.kill();
  await listener.closed;
  keep(listener);
  await server.start();
  listener = await listen();
  await order('SELL', '0.06', '0.03', 'r-hit-2');
  for (let i = 1; i < 10; i += 1) await cancel(`r-${i}`);
  await eventually('the rest is told', () => listener.reports('r-9').length === 1);
  keep(listener);
  assert.deepEqual(states.get('r-0'),
    ['NEW:NEW:0.00000000', 'TRADE:PARTIALLY_FILLED:0.04000000', 'TRADE:FILLED:0.10000000']);
  for (let i = 1; i < 10; i += 1) {
    assert.deepEqual(states.get(`r-${i}`), ['NEW:NEW:0.00000000', 'CANCELED:CANCELED:0.00000000']);
  }
  assert.deepEqual(states.get('r-hit'), ['NEW:NEW:0.00000000', 'TRADE:FILLED:0.04000000']);
  await listener.close();
});

test('a stop is told before the connection ends, with time to act [T6, K7]', async () => {
  server.tenon('settings', 'set', 'binance', '/shutdown_notice_ms', '3000');
  const listener = await Listener.open('/ws-api/v3');
  await listener.ask('s', 'userDataStream.subscribe.signature', await signedParams());
  const stream = await Listener.open('/ws/btcusdt@trade');
  server.child.kill('SIGTERM');
  for (const each of [listener, stream]) {
    await eventually('it is told', () => each.events.some((e) => e.e === 'serverShutdown' && e.E > 0));
  }
  assert.equal((await order('BUY', '0.1', '0.01', 'last')).status, 200);
  await eventually('its event', () => listener.reports('last').length === 1);
  await server.exited;
  for (const each of [listener, stream]) {
    assert.equal((await each.closed).code, 1001);
  }
});
