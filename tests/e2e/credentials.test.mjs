// SPDX-License-Identifier: Apache-2.0
// Rows T4 and K9: the exchange's key is one that a user stores. It is taken up, replaced and given up while the server
// runs, for requests and for the user stream, and no value of it is ever shown.
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { eventually, Server } from './server.mjs';
import { inFrontOf } from './exchange_pair.mjs';
import { ask } from './native.mjs';
import { call } from './signed.mjs';

const symbol = 'ETHBTC';
const open = [];

after(async () => {
  while (open.length) await open.pop().stop();
});

test('a stored key is taken up, replaced and given up without a restart [T4, K9]', async () => {
  const there = await new Server().start();
  open.push(there);
  const [first, second] = [there.key(), there.key()];
  const here = inFrontOf(there, first, symbol, { config: { api_key: '', secret: '', credential: 'demo/main', credential_check_s: 1 } });
  open.push(here);
  await here.start();
  const key = here.key();
  const health = async () => JSON.stringify(await (await fetch(`${here.http}/healthz`)).json());
  let number = 0;
  const order = async () => {
    number += 1;
    const id = `stored-${number}`;
    const { status, body } = await call(here, key, 'POST', '/api/v3/order',
      { symbol, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: '0.1', price: '0.01', newClientOrderId: id });
    return status === 200 && body.status === 'NEW';
  };
  const accepted = () => eventually('an order reaches the exchange', order, 60);
  const streamsAre = (well) => eventually(`the user stream is ${well ? 'here' : 'away'}`, async () =>
    (await health()).includes('the user stream is away') !== well, 60);

  await eventually('the key is missed', async () => (await health()).includes('there is no credential main of demo for binance'), 60);
  assert.equal(await order(), false, 'without a key nothing is sent');

  const values = (of) => ({ api_key: of.api_key, secret: of.secret });
  const stored = await eventually('the key is stored', async () => {
    const answer = await ask(here, key, 'POST', '/api/exchange-credentials', { body: { exchange: 'binance', label: 'main', ...values(first) } });
    return answer.status === 201 && answer.body;
  }, 60);
  const path = `/api/exchange-credentials/${stored.id}`;
  await accepted();
  await streamsAre(true);

  assert.equal((await ask(here, key, 'PATCH', path, { body: values(second) })).status, 200);
  there.tenon('keys', 'revoke', '--api-key', first.api_key);
  await accepted();
  await streamsAre(true);

  assert.equal((await ask(here, key, 'DELETE', path)).status, 200);
  await eventually('nothing is sent any more', async () => !await order(), 60);
  await streamsAre(false);

  for (const secret of [first.secret, second.secret]) assert.ok(!here.log.includes(secret) && !(await health()).includes(secret));
});
