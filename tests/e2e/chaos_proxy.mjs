// SPDX-License-Identifier: Apache-2.0
// A network between a server and its exchange that fails on purpose: it cuts connections, goes silent, loses or changes
// bytes, refuses to connect. For TCP without TLS. To the exchange it comes from an address of its own, 127.0.0.2, so that the
// exchange does not count what the test asks it as well.
import net from 'node:net';
import { once } from 'node:events';

export class ChaosProxy {
  constructor(target) {
    [this.host, this.targetPort] = target.split(':');
    this.pairs = new Set();
    this.silent = false;
    this.refusing = false;
    this.garble = 0; // of each answer's chunk, the probability that a byte is changed
    this.connections = 0;
    this.random = Math.random;
  }

  async start() {
    this.server = net.createServer((client) => this.#accept(client));
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return this;
  }

  get address() { return `127.0.0.1:${this.server.address().port}`; }

  #accept(client) {
    this.connections += 1;
    if (this.refusing) {
      client.resetAndDestroy();
      return;
    }
    const server = net.connect({ host: this.host, port: Number(this.targetPort), localAddress: '127.0.0.2' });
    const pair = { client, server };
    this.pairs.add(pair);
    const end = () => {
      client.destroy();
      server.destroy();
      this.pairs.delete(pair);
    };
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', end);
      socket.on('close', end);
    }
    client.on('data', (chunk) => { if (!this.silent) server.write(chunk); });
    server.on('data', (chunk) => {
      if (this.silent) return;
      if (this.garble > 0 && this.random() < this.garble) {
        chunk = Buffer.from(chunk);
        chunk[Math.floor(this.random() * chunk.length)] ^= 1 << Math.floor(this.random() * 8);
      }
      client.write(chunk);
    });
  }

  cutAll() {
    for (const { client, server } of this.pairs) {
      client.resetAndDestroy();
      server.destroy();
    }
  }

  // What is said meanwhile is lost, so it ends with a cut: bytes cannot be missing inside a connection.
  goSilent() { this.silent = true; }

  speak() {
    this.silent = false;
    this.cutAll();
  }

  async close() {
    this.cutAll();
    this.server.close();
    await once(this.server, 'close');
  }
}
