// SPDX-License-Identifier: Apache-2.0
// Usage: node console_bench.mjs BUILD_DIR [rounds]. The console's first view in Chromium, against a
// server on loopback whose recorded market runs at six times its speed: bytes over the wire, time
// until there is a book, layout shift; then tasks of more than 50 ms while the book moves as the
// server sends it, and while each update of it comes 60, and 600, times a second besides.
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { cpus, loadavg } from 'node:os';
import { dirname, join } from 'node:path';

const clients = join(dirname(fileURLToPath(import.meta.url)), '../e2e');
process.env.TENON_BUILD_DIR ??= process.argv[2];
createRequire(join(clients, 'package.json')).resolve('playwright-core'); // says what is missing
const { launch, open } = await import(pathToFileURL(join(clients, 'browser.mjs')));
const { Server } = await import(pathToFileURL(join(clients, 'server.mjs')));

const rounds = Number(process.argv[3] ?? 5);
const seconds = Number(process.argv[4] ?? 10);
const rates = [0, 60, 600];

// In the page, before its scripts: what is measured, and a WebSocket whose newest book can be sent
// again with other quantities, by the page's own timers and through its own handlers.
function observe() {
  const seen = { ready: 0, shift: 0, moved: [], tasks: [], frames: 0, messages: 0, extra: 0 };
  window.seen = seen;
  new PerformanceObserver((list) => { for (const one of list.getEntries()) seen.tasks.push(one.duration); }).observe({ type: 'longtask', buffered: true });
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) {
      seen.shift += one.value;
      seen.moved.push(...one.sources.map(({ node }) => node?.className || node?.nodeName));
    }
  }).observe({ type: 'layout-shift', buffered: true });
  const frame = () => {
    ++seen.frames;
    if (seen.ready === 0 && /\d/.test(document.querySelector('.bids tbody')?.textContent ?? '')) seen.ready = performance.now();
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  const Plain = window.WebSocket;
  let newest;
  window.WebSocket = class extends Plain {
    constructor(...words) {
      super(...words);
      this.addEventListener('message', (event) => {
        ++seen.messages;
        if (event.isTrusted && String(event.data).includes('@depth')) newest = { socket: this, text: String(event.data) };
      });
    }
  };
  window.flood = (rate) => {
    const begin = performance.now();
    let sent = 0;
    const turn = () => {
      const due = Math.floor(((performance.now() - begin) / 1000) * rate);
      for (; newest && sent < due; ++sent) {
        const message = JSON.parse(newest.text);
        for (const level of [...message.data.bids, ...message.data.asks]) level[1] = (Math.random() * 10).toFixed(8);
        newest.socket.dispatchEvent(new MessageEvent('message', { data: JSON.stringify(message) }));
        ++seen.extra;
      }
    };
    return rate > 0 ? setInterval(turn, 4) : 0;
  };
}

const show = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  return `median ${sorted[Math.floor(sorted.length / 2)].toFixed(1)}, worst ${sorted[sorted.length - 1].toFixed(1)} (${values.map((one) => one.toFixed(1)).join(' ')})`;
};

const server = await new Server({ set: ['/plugins/replay/config/speed=6'] }).start();
const browser = await launch();
const rows = { bytes: [], ready: [], shift: [] };
const moved = [];
const loads = Object.fromEntries(rates.map((rate) => [rate, { updates: [], tasks: [], longest: [], busy: [], frames: [] }]));
try {
  for (let round = 0; round < rounds; ++round) {
    const page = await open(browser, { viewport: { width: 1280, height: 900 } });
    await page.addInitScript(observe);
    const session = await page.context().newCDPSession(page);
    await session.send('Network.enable');
    let bytes = 0;
    session.on('Network.loadingFinished', (event) => { bytes += event.encodedDataLength; });
    await page.goto(server.http);
    await page.waitForFunction(() => window.seen.ready > 0, undefined, { polling: 20 });
    await page.locator('.canvas canvas').first().waitFor();
    rows.bytes.push(bytes / 1000);
    rows.ready.push(await page.evaluate(() => window.seen.ready));
    await page.waitForTimeout(1000);
    rows.shift.push(await page.evaluate(() => window.seen.shift));
    moved.push(...await page.evaluate(() => window.seen.moved));
    await session.send('Performance.enable');
    const busy = async () => (await session.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'ThreadTime').value; // that it ran, not that it waited
    for (const rate of rates) {
      const before = await busy();
      const found = await page.evaluate(async ([perSecond, howLong]) => {
        const { seen } = window;
        Object.assign(seen, { tasks: [], frames: 0, messages: 0, extra: 0 });
        const timer = window.flood(perSecond);
        await new Promise((resolve) => setTimeout(resolve, howLong * 1000));
        clearInterval(timer);
        return { ...seen };
      }, [rate, seconds]);
      loads[rate].updates.push(found.messages / seconds);
      loads[rate].tasks.push(found.tasks.length);
      loads[rate].longest.push(Math.max(0, ...found.tasks));
      loads[rate].busy.push(((await busy()) - before) / seconds * 100);
      loads[rate].frames.push(found.frames / seconds);
    }
    await page.context().close();
  }
} finally {
  await browser.close();
  await server.stop();
}
console.log(`load of the machine            ${loadavg()[0].toFixed(1)} on ${cpus().length} processors: others' work makes tasks long`);
console.log(`first view, kB over the wire   ${show(rows.bytes)}; bar 300`);
console.log(`a book is seen, ms             ${show(rows.ready)}; bar 1000`);
console.log(`layout shift, thousandths      ${show(rows.shift.map((one) => one * 1000))}; bar 100; ${[...new Set(moved)].join(', ')}`);
for (const rate of rates) {
  const { updates, tasks, longest, busy, frames } = loads[rate];
  console.log(`-- ${rate === 0 ? 'as the server sends' : `and the book ${rate} times a second besides`}`);
  console.log(`messages a second              ${show(updates)}`);
  console.log(`frames a second                ${show(frames)}`);
  console.log(`tasks over 50 ms in ${seconds} s      ${show(tasks)}; bar 0 at 60`);
  console.log(`the longest, ms                ${show(longest)}`);
  console.log(`the page's thread runs, %      ${show(busy)}`);
}
