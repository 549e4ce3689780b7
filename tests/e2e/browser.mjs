// SPDX-License-Identifier: Apache-2.0
// Debian's Chromium for tests of pages, with what went wrong in the page and what came over the wire.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path));
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export async function launch() {
  if (!executablePath) throw new Error('Chromium is needed: tools/bootstrap --with-servers');
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

// A page whose `problems` are errors of the console (a breach of the policy is one) and of scripts.
export async function open(browser, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.problems = [];
  page.on('console', (message) => {
    // What the server refuses is told by the browser, too; the tests refuse on purpose.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) page.problems.push(message.text());
  });
  page.on('pageerror', (error) => { page.problems.push(String(error)); });
  return page;
}

// What axe-core finds against WCAG 2.2 A and AA, or by these rules alone, one line each. Its script is run by the debugger, for
// which the page's policy does not count.
const standards = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

export async function violations(page, rules = undefined) {
  const options = rules ? { runOnly: { type: 'rule', values: rules } } : { runOnly: standards };
  const session = await page.context().newCDPSession(page);
  await session.send('Runtime.evaluate', { expression: axe });
  const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
    expression: `axe.run(document, ${JSON.stringify(options)})
      .then((found) => JSON.stringify(found.violations.map((one) =>
        one.id + ': ' + one.nodes.map((node) => node.target.join(' ') + ' ' + node.failureSummary).slice(0, 3).join('; '))))`,
    awaitPromise: true, returnByValue: true,
  });
  await session.detach();
  if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
  return JSON.parse(result.value);
}
