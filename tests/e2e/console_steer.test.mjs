// SPDX-License-Identifier: Apache-2.0
// Row M5: the console's pages to see and steer with, in a real browser: what is wrong, why, and the
// button that mends it; live settings; one's own password; news and signals; lies, failures and
// emptiness on every page, and that nothing jumps.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { launch, open, violations } from './browser.mjs';
import { ask } from './native.mjs';
import { eventually, Server } from './server.mjs';

let server;
let browser;
const passwords = {};
const evil = '<img src=x onerror=alert(1)><script>alert(2)</script>';

before(async () => {
  server = await new Server().start();
  for (const [name, roles] of [['boss', 'viewer,trader,operator'], ['looker', 'viewer'], ['anna', 'trader,operator']]) {
    passwords[name] = server.tenon('users', 'add', '--name', name, '--roles', roles, '--accounts', 'demo').password;
  }
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

async function signIn(page, name) {
  await page.goto(`${server.http}/#/sign-in`);
  await page.getByLabel('User', { exact: true }).fill(name);
  await page.getByLabel('Password', { exact: true }).fill(passwords[name]);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

async function freshlySignedIn(name) {
  const page = await open(browser);
  await signIn(page, name);
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
  return page;
}

const sessions = {};

// A session of each is enough: hashing a password takes its time.
async function signedIn(name, options) {
  if (!sessions[name]) {
    const page = await freshlySignedIn(name);
    sessions[name] = await page.context().storageState();
    await page.context().close();
  }
  const page = await open(browser, { ...options, storageState: sessions[name] });
  await page.goto(`${server.http}/#/me`);
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
  return page;
}

// An answer of the server in place of its own; what the page sends is kept.
async function answering(page, operation, answer, status = 200) {
  const sent = [];
  await page.route(`**/api/console/operations/${operation}`, async (route) => {
    if (route.request().method() === 'POST') sent.push(route.request().postDataJSON());
    await route.fulfill({ status, json: typeof answer === 'function' ? answer(sent) : answer });
  });
  return sent;
}

async function close(page) {
  await page.unrouteAll({ behavior: 'ignoreErrors' }); // the page goes on asking until it is closed
  await page.context().close();
}

const recommendation = (more = {}) => ({
  id: 'cache_size:cache-memory/bytes_max', kind: 'cache_size', title: 'A larger cache', knob: { plugin: 'cache-memory', pointer: '/bytes_max' },
  from: '52428800', to: '104857600', unit: 'bytes', promise: { metric: 'cache_miss_ratio', direction: 'lower', effect: 0.05 },
  evidence: 'A third is not found.', risk: 'More memory.', confidence: 0.8, applicable: true, why_not: '', state: 'open', since_ms: 1, ...more });
const advice = (more = {}) => ({ ok: { at_ms: 1, auto: false, auto_kinds: [], cool_down_until_ms: 0, experiment: null, advice: [], ...more } });
const experiment = {
  id: 'cache_size:cache-memory/bytes_max', kind: 'cache_size', phase: 'trial', side: 'after', by: 'user:boss', began_ms: 1, ends_ms: 2,
  windows_done: 4, windows: 16, metric: 'cache_miss_ratio', before: 0.31, after: 0.22 };
const alert = (more = {}) => ({ rule: 'CpuHigh', state: 'firing', severity: 'critical', labels: {}, value: 0.97, since_ms: 1, fired_ms: 1,
  summary: 'The machine\'s CPUs are busy', runbook: 'etc/runbooks.md#cpu-high', ...more });
const setting = (more = {}) => ({ plugin: 'cache', pointer: '/prefetch', title: 'Prefetch', description: 'Loads before it is asked', type: 'boolean',
  value: false, deployment: false, overridden: false, flag: true, ...more });

test('one page says what is wrong and why, and a click mends it, is measured, and is taken back', async () => {
  const page = await signedIn('boss');
  let trying = false;
  await answering(page, 'alerts', { ok: { at_ms: 1, alerts: [alert()] } });
  await page.route('**/api/console/operations/status', async (route) => {
    const response = await route.fetch();
    const json = await response.json();
    json.ok.components.push({ plugin: 'cache', component: 'tier', state: 'critical', reason: 'Redis does not answer', since: 1 });
    await route.fulfill({ response, json });
  });
  await answering(page, 'recommendations', () => (trying
    ? advice({ experiment, advice: [recommendation({ state: 'trial' })] }) : advice({ advice: [recommendation()] })));
  await answering(page, 'recommendation-history', { ok: { entries: [] } });
  const applied = await answering(page, 'recommendation-apply', () => {
    trying = true;
    return { ok: { begun: true } };
  });
  const undone = await answering(page, 'recommendation-rollback', () => {
    trying = false;
    return { ok: { rolled_back: experiment.id } };
  });
  const restarted = await answering(page, 'plugin-restart', { ok: {} });
  await page.goto(`${server.http}/#/overview`);
  await page.getByRole('heading', { name: 'The machine\'s CPUs are busy' }).waitFor();
  await page.getByText('What to do').first().click();
  await page.getByText('Whose time is it').waitFor();
  await page.getByText('Redis does not answer').waitFor();
  await page.getByRole('button', { name: 'Restart: cache' }).click();
  await page.getByLabel('Why').fill('it hangs');
  await page.getByRole('button', { name: 'Restart', exact: true }).click();
  await eventually('it was asked to restart', () => restarted.length === 1);
  assert.deepEqual(restarted[0], { plugin: 'cache', reason: 'it hangs' });
  await page.getByText('A third is not found.').waitFor();
  assert.deepEqual(await violations(page), []);
  await page.getByRole('button', { name: 'Apply and measure' }).click();
  await page.getByText('Being tried').waitFor();
  await page.getByText('before 0.310, after 0.220').waitFor();
  await page.getByRole('button', { name: 'Take back' }).click();
  await page.getByRole('button', { name: 'Apply and measure' }).waitFor();
  assert.deepEqual(applied, [{ id: experiment.id }]);
  assert.equal(undone[0].id, experiment.id);
  assert.deepEqual(page.problems, []);
  await close(page);
});

test('who only looks sees the same page without its buttons', async () => {
  const page = await signedIn('looker');
  await answering(page, 'recommendations', advice({ advice: [recommendation()] }));
  await answering(page, 'recommendation-history', { ok: { entries: [] } });
  await answering(page, 'settings', { ok: { generation: 1, settings: [setting()] } });
  await page.goto(`${server.http}/#/overview`);
  await page.getByText('A third is not found.').waitFor();
  await page.goto(`${server.http}/#/settings`);
  await page.getByText('cache.prefetch').waitFor();
  assert.equal(await page.locator('main button').count(), 0);
  await close(page);
});

test('a switch is asked why it is set, and a refusal is told with the reason', async () => {
  const page = await signedIn('boss');
  let on = false;
  await answering(page, 'settings', () => ({ ok: { generation: 1, settings: [
    setting({ value: on, overridden: on }),
    setting({ pointer: '/ttl_ms', title: 'Time', type: 'integer', minimum: 1, maximum: 10, value: 5, deployment: 5, flag: false })] } }));
  const set = await answering(page, 'settings-set', (sent) => {
    if (sent.at(-1).changes[0].pointer === '/ttl_ms') return { ok: { applied: false, problems: [{ severity: 'error', code: 'x', pointer: '/ttl_ms', message: 'out of range', found: '99', expected: '1 to 10' }] } };
    on = true;
    return { ok: { applied: true, generation: 2, changes: [], problems: [] } };
  });
  const unset = await answering(page, 'settings-unset', () => {
    on = false;
    return { ok: { applied: true, problems: [] } };
  });
  await page.goto(`${server.http}/#/settings`);
  await page.getByRole('button', { name: 'Switch on: cache.prefetch' }).click();
  await page.getByRole('button', { name: 'Switch on', exact: true }).click(); // without a reason
  assert.equal(set.length, 0);
  await page.getByLabel('Why').fill('to see');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Switch off: cache.prefetch' }).waitFor();
  assert.deepEqual(set, [{ changes: [{ plugin: 'cache', pointer: '/prefetch', value: true }], reason: 'to see' }]);
  await page.getByRole('button', { name: 'Take back: cache.prefetch' }).click();
  await page.getByLabel('Why').fill('seen');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Switch on: cache.prefetch' }).waitFor();
  assert.deepEqual(unset, [{ changes: [{ plugin: 'cache', pointer: '/prefetch' }], reason: 'seen' }]);
  await page.getByRole('button', { name: 'Change: cache.ttl_ms' }).click();
  await page.getByLabel('New value of cache.ttl_ms').fill('99');
  await page.getByLabel('Why').fill('too much');
  await page.keyboard.press('Enter');
  await page.getByText('out of range, found 99, expected 1 to 10').waitFor();
  assert.equal(set.at(-1).changes[0].value, 99);
  assert.deepEqual(page.problems, []);
  await close(page);
});

test('the server takes a change with a reason alone, from operators alone', async () => {
  const send = (page, name, body) => page.evaluate(async ([to, content]) => {
    const { csrf } = await (await fetch('/api/console/session')).json();
    const response = await fetch(`/api/console/operations/${to}`, {
      method: 'POST', headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': csrf }, body: JSON.stringify(content) });
    return { status: response.status, body: await response.json() };
  }, [name, body]);
  const changes = [{ plugin: 'console', pointer: '/idle_minutes', value: 31 }];
  const boss = await signedIn('boss');
  assert.equal((await send(boss, 'settings-set', { changes })).status, 400);
  assert.equal((await send(boss, 'settings-set', { changes, reason: 'r', by: 'user:other' })).status, 400);
  assert.equal((await send(boss, 'plugin-restart', { plugin: 'cache' })).status, 400);
  const looker = await signedIn('looker');
  assert.equal((await send(looker, 'settings-set', { changes, reason: 'r' })).status, 403);
  assert.equal((await send(looker, 'plugin-restart', { plugin: 'cache', reason: 'r' })).status, 403);
  await close(boss);
  await close(looker);
});

test('one changes one\'s own password, and all other sessions end', async () => {
  const page = await freshlySignedIn('anna');
  const other = await freshlySignedIn('anna');
  await page.getByRole('link', { name: 'anna' }).click();
  const change = async (old, next) => {
    await page.getByLabel('Old password').fill(old);
    await page.getByLabel('New password', { exact: false }).fill(next);
    await page.getByLabel('The new one again').fill(next);
    await page.getByRole('button', { name: 'Change' }).click();
  };
  await change('not the old one', 'correct horse battery');
  await page.getByText('the old password is wrong').waitFor();
  await change(passwords.anna, 'correct horse battery');
  await page.getByText('All other sessions have ended.').waitFor();
  const status = (of) => of.evaluate(async () => (await fetch('/api/console/balances?account=demo')).status);
  assert.equal(await status(other), 401);
  assert.equal((await page.evaluate(async () => (await (await fetch('/api/console/session')).json()).signed_in)), true);
  assert.notEqual(await status(page), 401);
  await other.goto(`${server.http}/#/sign-in`);
  await signIn(other, 'anna');
  await other.locator('.said', { hasText: 'wrong' }).waitFor();
  passwords.anna = 'correct horse battery';
  await signIn(other, 'anna');
  await other.getByRole('button', { name: 'Sign out' }).waitFor();
  assert.ok(server.tenon('audit', 'list').some((one) => one.actor === 'user:anna' && one.action === 'console.password'));
  assert.ok(!server.log.includes('correct horse'));
  await close(page);
  await close(other);
});

test('an Ed25519 key signs in by its private key, which stays in the browser', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const pem = (key, type) => key.export({ type, format: 'pem' });
  const key = server.tenon('keys', 'create', '--account', 'demo', '--permissions', 'read', '--type', 'ed25519', '--public-key', pem(publicKey, 'spki'));
  const page = await open(browser);
  const sent = [];
  page.on('request', (request) => { if (request.method() === 'POST') sent.push(request.postData()); });
  const by = async (secret) => {
    await page.goto(`${server.http}/#/sign-in`);
    await page.getByLabel('an API key').check();
    await page.getByLabel('API key', { exact: true }).fill(key.api_key);
    await page.getByLabel('Secret').fill(secret);
    await page.getByRole('button', { name: 'Sign in' }).click();
  };
  await by('-----BEGIN PRIVATE KEY-----xx-----END PRIVATE KEY-----');
  await page.locator('.said', { hasText: 'no Ed25519 private key' }).waitFor();
  await by(pem(generateKeyPairSync('ed25519').privateKey, 'pkcs8'));
  await page.locator('.said', { hasText: 'wrong' }).waitFor();
  await by(pem(privateKey, 'pkcs8'));
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
  const last = JSON.parse(sent.at(-1));
  assert.deepEqual(Object.keys(last).sort(), ['api_key', 'challenge', 'signature']);
  const again = await fetch(`${server.http}/api/console/session`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: sent.at(-1) });
  assert.equal(again.status, 401, 'a signature is taken once');
  await close(page);
});

test('news and signals that others write are shown, as text', async () => {
  const key = server.key('demo', 'trade,read,admin');
  const at = Date.now() * 1000;
  const news = await ask(server, key, 'POST', '/api/news', { body: {
    source: 'wire', external_id: '1', symbol: 'BTC', title: evil, summary: evil, url: 'javascript:alert(3)', sentiment_score: '0.5', published_us: at } });
  assert.ok(news.status < 300, news.text);
  const signal = await ask(server, key, 'POST', '/api/signals', { body: {
    symbol: 'BTCUSDT', side: 'buy', strategy: 'momentum', source: 'lab', price: '61234.5', confidence_bp: 7500, time_us: at } });
  assert.ok(signal.status < 300, signal.text);
  const page = await signedIn('looker');
  await page.goto(`${server.http}/#/news`);
  await page.getByText(evil).first().waitFor();
  await page.locator('td', { hasText: '61234.5' }).waitFor();
  await page.locator('summary', { hasText: evil }).click();
  assert.equal(await page.locator('main a').count(), 0);
  assert.equal(await page.locator('main img, main script').count(), 0);
  await page.getByLabel('Symbol').fill('NOTHING');
  await page.keyboard.press('Enter');
  await page.getByText('There is no news.').waitFor();
  await close(page);
});

test('what is measured is drawn, and listed for who does not see it', async () => {
  const page = await signedIn('looker');
  const series = ['a', evil].map((status, index) => ({ series: `http_requests{status="${index}"}`, name: 'http_requests', labels: { status }, title: 'Requests', unit: 'ops' }));
  await page.route('**/api/history/series', (route) => route.fulfill({ json: { at_ms: 1, tiers: [], left_out: 0, series } }));
  await page.route('**/api/history?*', (route) => route.fulfill({ json: { from_ms: 0, to_ms: 100_000, step_s: 10, series: series.map((one, index) => ({
    ...one, points: [[10_000, 1, 1, 1], [20_000, 3, 1, 4], [80_000, 2 + index, 1, 3]] })) } }));
  await page.goto(`${server.http}/#/history`);
  await page.getByText('a: 2 /s').waitFor();
  await page.getByText(`${evil}: 3 /s`).waitFor();
  const drawn = await page.locator('svg .line0').getAttribute('d');
  assert.equal((drawn.match(/M/g) ?? []).length, 2, 'a gap is a gap');
  assert.deepEqual(await violations(page), []);
  await close(page);
});

const job = (more = {}) => ({ id: 7, queue: 'tenon', kind: 'command', status: 'dead', priority: 0, attempts: 3, attempts_max: 3, due_real_ns: 1e15,
  created_real_ns: 1e15, updated_real_ns: 1e15, owner: null, last_error: 'backup.create: the store is full', ...more });

// What the page of jobs asks for, with this dead job.
async function queueing(page, dead) {
  await answering(page, 'job-queues', { ok: { [dead.queue]: { queued: 2, running: 1, dead: 1, oldest_due_real_ns: 1e15 } } });
  await answering(page, 'jobs', { ok: [dead] });
  await answering(page, 'job-schedules', { ok: [{ name: dead.queue, rule: 'cron 30 4 * * 0', queue: dead.queue, kind: dead.kind, next_real_ns: 1e15 }] });
  await answering(page, 'archives', { ok: { archives: [{ id: 'a', table: 'orders', state: 'deleted', rows: 3, bytes: 99, from_real_ns: 1e15, to_real_ns: 2e15 }],
    holds: [], damaged: [dead.last_error] } });
  await answering(page, 'backups', { ok: [{ id: 'b', label: dead.kind, finished_at: 'now', to: 'now', bytes: 1, proven_at: null, failed: dead.last_error }] });
}

test('dead jobs are seen, replayed and discarded, and backups proven, by a click', async () => {
  const page = await signedIn('boss');
  let dead = [job()];
  await queueing(page, job());
  await answering(page, 'dead-jobs', () => ({ ok: dead }));
  const replayed = await answering(page, 'job-replay', () => {
    dead = [job({ id: 8 })];
    return { ok: {} };
  });
  const discarded = await answering(page, 'job-discard', () => {
    dead = [];
    return { ok: {} };
  });
  const drilled = await answering(page, 'backup-drill', { ok: {} });
  await page.goto(`${server.http}/#/jobs`);
  await page.getByText('the store is full').first().waitFor();
  await page.getByText('cron 30 4 * * 0').waitFor();
  assert.deepEqual(await violations(page), []);
  await page.getByRole('button', { name: 'Replay' }).click();
  await page.getByRole('group', { name: 'Dead jobs' }).getByText('8', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Discard' }).click();
  await page.getByText('Discard job 8?').waitFor();
  await page.getByRole('button', { name: 'Yes' }).click();
  await page.getByText('None is dead.').waitFor();
  await page.getByRole('button', { name: 'Prove the newest' }).click();
  await page.getByText('Restored and checked').waitFor();
  assert.deepEqual([replayed, discarded, drilled], [[{ id: '7' }], [{ id: '8' }], [{}]]);
  assert.deepEqual(page.problems, []);
  await close(page);
});

test('who only looks sees the queue without its buttons', async () => {
  const page = await signedIn('looker');
  await queueing(page, job());
  await answering(page, 'dead-jobs', { ok: [job()] });
  await page.goto(`${server.http}/#/jobs`);
  await page.getByText('the store is full').first().waitFor();
  assert.equal(await page.locator('main').getByRole('button').count(), 0);
  await close(page);
});

test('lies are shown as text on the pages to steer with', async () => {
  const page = await signedIn('boss');
  let asked = 0;
  page.on('dialog', (dialog) => {
    ++asked;
    void dialog.dismiss();
  });
  await answering(page, 'alerts', { ok: { at_ms: 1, alerts: [alert({ rule: evil, summary: evil, labels: evil, runbook: evil })] } });
  await answering(page, 'recommendations', advice({ advice: [recommendation({ title: evil, evidence: evil, risk: evil, from: evil, unit: evil })] }));
  await answering(page, 'recommendation-history', { ok: { entries: [{ seq: 1, time_ms: 1, by: evil, event: evil, id: evil, reason: evil, detail: { a: evil } }] } });
  await answering(page, 'settings', { ok: { generation: 1, settings: [setting({ title: evil, description: evil, value: evil, type: 'string', flag: false, overridden: true, by: evil, reason: evil, at_ms: 1 })] } });
  await answering(page, 'audit', { ok: [{ time_ms: 1, actor: evil, action: evil, subject: evil, detail: { reason: evil } }] });
  await queueing(page, job({ queue: evil, kind: evil, last_error: evil, owner: evil }));
  await answering(page, 'dead-jobs', { ok: [job({ queue: evil, kind: evil, last_error: evil })] });
  for (const path of ['overview', 'alerts', 'advice', 'settings', 'jobs', 'audit']) {
    await page.goto(`${server.http}/#/${path}`);
    await page.getByText(evil).first().waitFor();
    assert.equal(await page.locator('main img, main script').count(), 0, path);
  }
  assert.equal(asked, 0);
  assert.deepEqual(page.problems, []);
  await close(page);
});

const paths = ['markets', 'account', 'news', 'overview', 'health', 'alerts', 'history', 'caches', 'limits', 'data', 'advice', 'settings', 'plugins', 'jobs', 'audit'];

test('a page whose server fails says so, and is a page all the same', async () => {
  const page = await signedIn('boss');
  await page.route(/\/(api\/(console\/(?!session)|v3|history)|metrics)/, (route) => route.fulfill({
    status: 503, json: { error: { code: 'unavailable', message: 'the database is away' } } }));
  for (const path of paths.filter((one) => one !== 'data')) {
    await page.goto(`${server.http}/#/${path}`);
    await page.getByText('the database is away').first().waitFor();
    await page.locator('header nav a').first().waitFor();
  }
  assert.deepEqual(page.problems, []);
  await close(page);
});

test('nothing jumps while a page is built', async () => {
  const page = await signedIn('boss', { viewport: { width: 1280, height: 900 } });
  await page.addInitScript(() => {
    window.shifted = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
    }).observe({ type: 'layout-shift', buffered: true });
  });
  const worst = [];
  for (const path of paths) {
    await page.goto('about:blank'); // or the next one is no new page
    await page.goto(`${server.http}/#/${path}`);
    await page.waitForFunction(() => document.querySelector('main h1, main h2') && ![...document.querySelectorAll('main .quiet')].some((one) => one.textContent === 'Loading…'));
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    const shifted = await page.evaluate(() => window.shifted);
    worst.push(`${path} ${shifted.toFixed(4)}`);
    assert.ok(shifted < 0.1, `${path}: ${shifted}`);
  }
  console.log(`layout shift: ${worst.join(', ')}`);
  await close(page);
});
