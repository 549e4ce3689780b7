// SPDX-License-Identifier: Apache-2.0
// The README's pictures of the console, into the folder of the first argument (tools/screenshots).
import { mkdirSync } from 'node:fs';
import { launch, open } from './browser.mjs';
import { eventually, Server } from './server.mjs';

const folder = process.argv[2];
mkdirSync(folder, { recursive: true });
const server = await new Server().start();
const browser = await launch();
try {
  const user = server.tenon('users', 'add', '--name', 'anna', '--roles', 'trader,operator', '--accounts', 'demo');

  const shoot = async (name, path, ready, options) => {
    const page = await open(browser, { viewport: { width: 1280, height: 800 }, ...options });
    await page.goto(`${server.http}/#/sign-in`);
    await page.getByLabel('User', { exact: true }).fill('anna');
    await page.getByLabel('Password', { exact: true }).fill(user.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    await page.goto(`${server.http}/#/${path}`);
    await ready(page);
    await page.screenshot({ path: `${folder}/${name}.png` });
    await page.context().close();
  };

  const market = async (page) => {
    await page.locator('.canvas canvas').first().waitFor();
    await eventually('a book and trades', async () => /\d/.test(await page.locator('.bids tbody').innerText()), 60);
    await page.getByLabel('Price (USDT)').fill('50000');
    await page.getByLabel('Quantity (BTC)').fill('0.001');
    await page.getByRole('button', { name: 'Buy BTC' }).click();
    await page.locator('.entry .said', { hasText: /Order \d+: new/ }).waitFor();
  };
  await shoot('markets-dark', 'markets/BTCUSDT', market, { colorScheme: 'dark' });
  await shoot('markets-phone', 'markets/BTCUSDT', market, { colorScheme: 'light', viewport: { width: 390, height: 844 } });
  await shoot('overview-light', 'overview', (page) => page.getByRole('heading', { name: 'Recommendations' }).waitFor(), { colorScheme: 'light' });
  await shoot('health-light', 'health', (page) => page.locator('main table').first().waitFor(), { colorScheme: 'light' });
} finally {
  await browser.close();
  await server.stop();
}
