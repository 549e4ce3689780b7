// SPDX-License-Identifier: Apache-2.0
// The same as plugin.cpp with Node and npm's ws: peer.mjs MESSAGES_PER_MS MESSAGE_BYTES; prints its port. Two
// milliseconds at most are made up for: who cannot keep the rate is seen to lose it.
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../e2e/package.json', import.meta.url));
const { WebSocketServer } = require('ws');
const [rate, bytes] = process.argv.slice(2).map(Number);
const text = 'm'.repeat(bytes);
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false }, () => {
  console.log(server.address().port);
});
let last = performance.now();
setInterval(() => {
  const elapsed = Math.min(Math.floor(performance.now() - last), 2);
  last = Math.max(last + elapsed, performance.now() - 2);
  for (let i = 0; i < elapsed * rate; i += 1) {
    for (const client of server.clients) client.send(text);
  }
}, 1);
