// SPDX-License-Identifier: Apache-2.0
// Row M5: the web console in a real browser: signing in, a live market, orders, roles, the policy,
// accessibility in both themes, and how much the first view takes.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { launch, open, violations } from './browser.mjs';
import { eventually, Server } from './server.mjs';

let server;
let browser;
const passwords = {};

const addUser = (name, roles, ...accounts) => {
  const user = server.tenon('users', 'add', '--name', name, '--roles', roles, ...accounts.flatMap((one) => ['--accounts', one]));
  passwords[name] = user.password;
};

async function signIn(page, name, password = passwords[name]) {
  await page.goto(`${server.http}/#/sign-in`);
  await page.getByLabel('User', { exact: true }).fill(name);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

async function signedIn(name, options) {
  const page = await open(browser, options);
  await signIn(page, name);
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
  return page;
}

// As the page would ask, with its session; `csrf` undefined: without the token.
const send = (page, path, body, csrf) => page.evaluate(async ([to, content, token]) => {
  const headers = { 'Content-Type': 'application/json' };
  if (token) headers['X-CSRF-Token'] = token;
  const response = await fetch(to, { method: 'POST', headers, body: JSON.stringify(content) });
  return { status: response.status, body: await response.json() };
}, [path, body, csrf]);

const tokenOf = (page) => page.evaluate(async () => (await (await fetch('/api/console/session')).json()).csrf);
const order = (price, more = {}) => ({
  account: 'demo', symbol: 'BTCUSDT', side: 'BUY', type: 'LIMIT', time_in_force: 'GTC', quantity: '0.001', price, ...more });

before(async () => {
  server = await new Server().start();
  addUser('trader', 'trader', 'demo');
  addUser('watcher', 'viewer');
  addUser('boss', 'viewer,trader,operator', 'demo');
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

test('a first view takes less than 300 KB and shows a book that moves, under a strict policy', async () => {
  const page = await open(browser);
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  let bytes = 0;
  session.on('Network.loadingFinished', (event) => { bytes += event.encodedDataLength; });
  const answer = await page.goto(server.http);
  const policy = answer.headers()['content-security-policy'];
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]) {
    assert.ok(policy.includes(part), policy);
  }
  assert.ok(!policy.includes('unsafe'), policy);
  const bids = page.locator('.bids tbody');
  await eventually('a book', async () => /\d/.test(await bids.innerText()), 60);
  await page.locator('.canvas canvas').first().waitFor();
  const first = await page.locator('.book').innerText();
  await eventually('the book moves', async () => (await page.locator('.book').innerText()) !== first, 60);
  console.log(`first view: ${bytes} bytes over the wire`);
  assert.ok(bytes > 20_000 && bytes < 300_000, `${bytes} bytes`);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('the assets may be kept for ever, the page may not', async () => {
  const page = await fetch(server.http);
  assert.equal(page.headers.get('cache-control'), 'no-cache');
  const script = /src="(\/assets\/app-[A-Z0-9]+\.js)"/.exec(await page.text())[1];
  const asset = await fetch(`${server.http}${script}`);
  assert.match(asset.headers.get('cache-control'), /immutable/);
  assert.equal(asset.headers.get('content-encoding'), 'gzip');
  assert.equal(asset.headers.get('x-content-type-options'), 'nosniff');
  const plain = await fetch(`${server.http}${script}`, { headers: { 'Accept-Encoding': 'identity' } });
  assert.equal(plain.headers.get('content-encoding'), null);
  assert.equal(await plain.text(), await asset.text());
});

test('a trader places an order, sees it come, and cancels it', async () => {
  const page = await signedIn('trader');
  await page.goto(`${server.http}/#/markets/BTCUSDT`);
  await page.getByLabel('Price (USDT)').fill('20000.5');
  await page.getByLabel('Quantity (BTC)').fill('0.001');
  await page.getByRole('button', { name: 'Buy BTC' }).click();
  await page.locator('.entry .said', { hasText: /Order \d+: new/ }).waitFor();
  const row = page.locator('.orders tbody tr', { hasText: '20000.5' });
  await row.waitFor();
  await row.getByRole('button', { name: 'Cancel' }).click();
  await row.waitFor({ state: 'detached' });
  await page.locator('.orders', { hasText: 'No open orders.' }).waitFor();

  await page.goto(`${server.http}/#/account`);
  await page.locator('tr', { hasText: 'USDT' }).first().waitFor();
  const audit = server.tenon('audit', 'list');
  const deeds = audit.map((one) => `${one.actor} ${one.action}`);
  assert.ok(deeds.includes('user:trader console.order_place'), deeds.join('\n'));
  assert.ok(deeds.includes('user:trader console.order_cancel'), deeds.join('\n'));
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('an order that another client places is seen without a reload', async () => {
  const page = await signedIn('trader');
  await page.goto(`${server.http}/#/markets/BTCUSDT`);
  await page.locator('.orders', { hasText: 'No open orders.' }).waitFor();
  const other = await signedIn('boss');
  const placed = await send(other, '/api/console/orders', order('21000.25', { client_id: 'from-elsewhere' }), await tokenOf(other));
  assert.equal(placed.status, 200, JSON.stringify(placed.body));
  await page.locator('.orders tbody tr', { hasText: 'from-elsewhere' }).waitFor();
  const { order_id } = placed.body.orders[0];
  const cancelled = await send(other, '/api/console/orders/cancel', { account: 'demo', symbol: 'BTCUSDT', order_id }, await tokenOf(other));
  assert.equal(cancelled.body.orders[0].status, 'CANCELED');
  await page.locator('.orders', { hasText: 'No open orders.' }).waitFor();
  await page.context().close();
  await other.context().close();
});

test('a market order makes a position with a cost', async () => {
  const page = await signedIn('boss');
  const token = await tokenOf(page);
  const bought = await send(page, '/api/console/orders',
    { account: 'demo', symbol: 'BTCUSDT', side: 'BUY', type: 'MARKET', quantity: '0.001' }, token);
  assert.equal(bought.status, 200, JSON.stringify(bought.body));
  assert.equal(bought.body.orders[0].status, 'FILLED');
  await page.goto(`${server.http}/#/account`);
  await page.getByRole('group', { name: 'Positions' }).locator('tbody tr', { hasText: 'BTCUSDT' }).waitFor();
  await page.getByRole('group', { name: 'Fills' }).locator('tbody tr', { hasText: 'BTCUSDT' }).waitFor();
  await page.context().close();
});

test('what is wrong is refused, and says why', async () => {
  const page = await signedIn('trader');
  const token = await tokenOf(page);
  for (const [body, status, text] of [
    [order('1.234567'), 400, 'price: at most 2 decimals'],
    [order('x'), 400, 'price: a number'],
    [order('-1'), 400, 'price: more than 0'],
    [order('20000', { symbol: '<img src=x>' }), 400, 'there is no such instrument'],
    [order('20000', { quantity: '100000' }), 422, ''],
    [order('20000', { account: 'fees' }), 403, 'not yours'],
    [order('20000', { stop: '1' }), 400, 'not known'],
    [order('20000', { client_id: '<b>' }), 400, 'client_id'],
  ]) {
    const answer = await send(page, '/api/console/orders', body, token);
    assert.equal(answer.status, status, JSON.stringify([body, answer]));
    assert.ok(answer.body.error.message.includes(text), answer.body.error.message);
  }
  await page.context().close();
});

test('a wrong password is refused like an unknown user, and too many tries have to wait', async () => {
  const page = await open(browser);
  await signIn(page, 'trader', 'wrong');
  await page.locator('.said', { hasText: 'the name or the password is wrong' }).waitFor();
  const tries = async (user) => {
    const statuses = [];
    for (let i = 0; i < 6; ++i) {
      const answer = await send(page, '/api/console/session', { user, password: 'wrong' });
      statuses.push(answer.status);
    }
    return statuses;
  };
  assert.deepEqual(await tries('watcher'), [401, 401, 401, 401, 401, 429]);
  assert.deepEqual(await tries('nobody'), [401, 401, 401, 401, 401, 429]);
  await page.context().close();
});

test('a write needs the token of its session, this origin, JSON and the right', async () => {
  const page = await signedIn('trader');
  assert.equal((await send(page, '/api/console/orders', order('20000'))).body.error.code, 'csrf');
  const [cookie] = await page.context().cookies();
  assert.ok(cookie.httpOnly && cookie.sameSite === 'Strict');
  const headers = { Cookie: `${cookie.name}=${cookie.value}`, 'X-CSRF-Token': await tokenOf(page), 'Content-Type': 'application/json' };
  const post = (path, more, body = order('20000')) => fetch(`${server.http}${path}`, {
    method: 'POST', headers: { ...headers, ...more }, body: JSON.stringify(body) });
  assert.equal((await post('/api/console/orders', { Origin: 'https://evil.example' })).status, 403);
  assert.equal((await post('/api/console/orders', { 'Content-Type': 'text/plain' })).status, 415);
  assert.equal((await post('/api/console/operations/cache-invalidate', {}, { cache: 'balance' })).status, 403);
  assert.equal((await fetch(`${server.http}/api/console/operations/status`, { headers })).status, 403);
  assert.equal((await fetch(`${server.http}/api/console/orders?account=demo`)).status, 401);
  const { default: WebSocket } = await import('ws');
  const code = await new Promise((resolve) => {
    const socket = new WebSocket(`${server.ws}/api/console/live`, { headers: { Cookie: headers.Cookie, Origin: 'https://evil.example' } });
    socket.on('close', resolve);
    socket.on('error', () => {});
  });
  assert.equal(code, 1011);
  const orders = await (await fetch(`${server.http}/api/console/orders?account=demo`, { headers })).json();
  assert.deepEqual(orders.orders, []);
  await page.context().close();
});

test('roles bound what is seen: a viewer trades nothing, a trader does not operate', async () => {
  server.tenon('users', 'roles', '--name', 'watcher', '--roles', 'viewer', '--accounts', 'demo');
  const page = await open(browser);
  server.tenon('users', 'add', '--name', 'guest', '--roles', 'viewer', '--accounts', 'demo');
  const { password } = server.tenon('users', 'passwd', '--name', 'guest');
  await signIn(page, 'guest', password);
  await page.getByText('Your role does not allow trading.').waitFor();
  const answer = await send(page, '/api/console/orders', order('20000'), await tokenOf(page));
  assert.equal(answer.status, 403);
  await page.goto(`${server.http}/#/health`);
  await page.getByText('The server is').waitFor();
  await page.goto(`${server.http}/#/audit`);
  await page.getByText('Your role does not allow this.').waitFor();
  // His session ends with his account.
  server.tenon('users', 'disable', '--name', 'guest');
  await eventually('the session has ended', async () =>
    page.evaluate(async () => (await fetch('/api/console/balances?account=demo')).status === 401));
  await page.context().close();
});

test('an API key signs in to its own account until it is revoked', async () => {
  const key = server.key('demo', 'trade,read');
  const page = await open(browser);
  await page.goto(`${server.http}/#/sign-in`);
  await page.getByLabel('an API key').check();
  await page.getByLabel('API key', { exact: true }).fill(key.api_key);
  await page.getByLabel('Secret').fill('x'.repeat(64));
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('.said', { hasText: 'wrong' }).waitFor();
  await page.getByLabel('Secret').fill(key.secret);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
  assert.equal((await send(page, '/api/console/orders', order('20000', { account: 'demo', quantity: '0' }), await tokenOf(page))).status, 400);
  server.tenon('keys', 'revoke', '--api-key', key.api_key);
  await eventually('the session has ended', async () =>
    page.evaluate(async () => (await fetch('/api/console/balances?account=demo')).status === 401));
  await page.context().close();
});

test('text from elsewhere is shown as text', async () => {
  const page = await signedIn('boss');
  const evil = '<img src=x onerror=alert(1)><script>alert(2)</script>';
  let asked = 0;
  page.on('dialog', (dialog) => {
    ++asked;
    void dialog.dismiss();
  });
  // What no filter of this server would let through: answers of a server that has been lied to.
  const lie = async (pattern, change) => page.route(pattern, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: change(await response.json()) });
  });
  await lie('**/api/v3/exchangeInfo', (body) => {
    body.symbols[0].baseAsset = evil;
    return body;
  });
  await lie('**/api/console/orders?*', (body) => ({ orders: [{ ...order('1'), ...body.orders[0], order_id: '1', client_id: evil,
    symbol: evil, side: 'BUY', type: 'LIMIT', status: 'NEW', filled: '0', created_ms: 0, reason: '' }] }));
  await lie('**/api/console/operations/status', (body) => {
    body.ok.components = [{ plugin: evil, component: evil, state: evil, reason: evil, since: 1 }];
    return body;
  });
  await page.goto(`${server.http}/#/account`);
  await page.reload();
  await page.locator('td', { hasText: evil }).first().waitFor();
  await page.goto(`${server.http}/#/health`);
  await page.locator('td', { hasText: evil }).first().waitFor();
  await page.goto(`${server.http}/#/markets`);
  await page.getByText(`Buy ${evil}`).waitFor();
  assert.equal(await page.locator('img, main script').count(), 0);
  assert.equal(asked, 0);
  assert.deepEqual(page.problems, []);
  await page.unrouteAll({ behavior: 'ignoreErrors' }); // the page goes on asking until it is closed
  await page.context().close();
});

const pages = ['markets', 'account', 'news', 'overview', 'health', 'alerts', 'history', 'caches', 'limits', 'data', 'advice', 'settings', 'plugins',
  'jobs', 'audit', 'sign-in', 'me'];

test('every page is accessible in both themes, and fits a phone', async () => {
  const wide = { width: 1280, height: 900 };
  const page = await signedIn('boss', { colorScheme: 'light', viewport: wide });
  for (const path of pages) {
    await page.goto(`${server.http}/#/${path}`);
    await page.waitForFunction(() => ![...document.querySelectorAll('main .quiet')].some((one) => one.textContent === 'Loading…'));
    assert.deepEqual(await violations(page), [], path);
    await page.emulateMedia({ colorScheme: 'dark' });
    assert.deepEqual(await violations(page, ['color-contrast']), [], `${path} in the dark`);
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: 390, height: 844 });
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(over <= 0, `${path} is ${over} px wider than a phone`);
    await page.setViewportSize(wide);
  }
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('the theme can be chosen, and pages are reached by keys', async () => {
  const page = await open(browser, { colorScheme: 'light' });
  await page.goto(server.http);
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await paper();
  await page.getByLabel('Colours').selectOption('dark');
  assert.notEqual(await paper(), light);
  await page.reload();
  await eventually('the choice is kept', async () => (await paper()) !== light);
  await page.getByRole('heading', { name: 'Book' }).waitFor();
  await page.locator('main').focus();
  await page.keyboard.press('h');
  await page.getByRole('heading', { name: 'Health' }).waitFor();
  assert.match(page.url(), /#\/health$/);
  await page.context().close();
});

test('a plugin that is not there is said to be absent', async () => {
  const page = await signedIn('boss');
  await page.goto(`${server.http}/#/jobs`);
  await page.getByText('Not in this deployment.').first().waitFor();
  await page.context().close();
});
