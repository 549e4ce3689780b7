// SPDX-License-Identifier: Apache-2.0
// A process with some bots of a fleet, each an unmodified ccxt of its own: node bots.mjs '{"http", "ws", "key", "from", "to",
// "traders", "seed", "pair"}'. They go on until a line comes on standard input or it ends; then one line of JSON says what they
// were answered. A line is written before it as soon as one of them is banned.
import { createInterface } from 'node:readline';
import { ccxt, exchange } from './ccxt.mjs';

const given = JSON.parse(process.argv[2]);
const counts = { answered: 0, orders: 0, cancels: 0, limited: 0, banned: 0, cancelsFailed: 0 };
const errors = {};
const waits = { order: [], cancel: [] };
let over = false;

// The fleet's own random numbers: the same for the same seed.
function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function failed(error) {
  const banned = /\b418\b/.test(error.message);
  const limited = banned || error instanceof ccxt.DDoSProtection || error instanceof ccxt.RateLimitExceeded;
  counts.limited += limited ? 1 : 0;
  counts.banned += banned ? 1 : 0;
  if (banned && counts.banned === 1) console.log('banned');
  const text = `${error.constructor.name}: ${error.message}`.replace(/https?:\S+/g, '').slice(0, 120);
  if (!limited) errors[text] = (errors[text] ?? 0) + 1;
}

async function timed(into, what) {
  const since = performance.now();
  const value = await what();
  into.push(performance.now() - since);
  return value;
}

async function trade(client, random) {
  const amount = 0.01 + Math.floor(random() * 5) / 100;
  const order = await timed(waits.order, () => client.createOrder(given.pair, 'limit', 'buy', amount, 1000));
  counts.orders += 1;
  try {
    await timed(waits.cancel, () => client.cancelOrder(order.id, given.pair));
    counts.cancels += 1;
  } catch (error) {
    counts.cancelsFailed += 1;
    throw error;
  }
}

async function look(client, random) {
  const what = [() => client.fetchOrderBook(given.pair, 100), () => client.fetchTicker(given.pair),
    () => client.fetchTrades(given.pair, undefined, 50), () => client.fetchOHLCV(given.pair, '1m', undefined, 50),
    () => client.fetchOpenOrders(given.pair)];
  await what[Math.floor(random() * what.length)]();
}

async function live(number) {
  const random = randomOf(given.seed + number);
  const client = await exchange({ http: given.http, ws: given.ws }, given.key);
  const act = number < given.traders ? trade : look;
  while (!over) {
    try {
      await act(client, random);
      counts.answered += 1;
    } catch (error) {
      failed(error);
      // As any loop of events; a bot that is refused goes on at once.
      await new Promise((resolve) => { setImmediate(resolve); });
    }
  }
  await client.close?.();
}

const input = createInterface({ input: process.stdin });
const end = () => { over = true; };
input.on('line', end);
input.on('close', end);
await Promise.all(Array.from({ length: given.to - given.from }, (_, i) => live(given.from + i)));
console.log(JSON.stringify({ counts, errors, waits }));
process.exit(0);
