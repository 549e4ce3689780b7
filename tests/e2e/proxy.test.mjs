// SPDX-License-Identifier: Apache-2.0
// Row K14: behind a real nginx each client is limited, and allowed, by its own address; and API keys that work from their
// addresses only (T6).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import WebSocket from 'ws';
import { eventually, Server } from './server.mjs';

const folder = mkdtempSync(join(tmpdir(), 'tenon-proxy-'));
let server;
let nginx;
let proxy;

// A port that is free now: nginx takes no 0.
async function freePort() {
  const socket = net.createServer().listen(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

// As the README of the listener says.
async function startNginx(target) {
  const port = await freePort();
  writeFileSync(join(folder, 'nginx.conf'), `
daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log; worker_processes 1;
events {}
http {
  access_log off;
  client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder}; uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://${target};
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
}`);
  nginx = spawn('/usr/sbin/nginx', ['-c', join(folder, 'nginx.conf'), '-p', folder, '-e', join(folder, 'error.log')], { stdio: 'inherit' });
  return port;
}

// Of a client whose own address is `from`: all of 127.0.0.0/8 is this machine.
function ask(port, path, { from = '127.0.0.1', headers = {}, method = 'GET' } = {}) {
  return new Promise((resolve, reject) => {
    http.request({ host: '127.0.0.1', port, path, method, headers, localAddress: from, agent: false }, (answer) => {
      let text = '';
      answer.on('data', (part) => { text += part; });
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, body: JSON.parse(text) }));
    }).on('error', reject).end();
  });
}
const used = async (port, from, forwarded) => Number((await ask(port, '/api/v3/time', {
  from, headers: forwarded ? { 'X-Forwarded-For': forwarded } : {},
})).headers['x-mbx-used-weight-1m']);
const own = () => Number(server.address.split(':').at(-1));
const proxies = (list) => server.tenon('settings', 'set', 'http', '/trusted_proxies', JSON.stringify(list));

before(async () => {
  server = await new Server({ deployment: 'conservative', set: ['/plugins/http/config/trusted_proxies=["127.0.0.1"]'] }).start();
  proxy = await startNginx(server.address);
  await eventually('nginx answers', async () => (await ask(proxy, '/readyz')).status === 200);
});
after(async () => {
  if (nginx) {
    const gone = once(nginx, 'exit');
    nginx.kill('SIGTERM'); // at once: SIGQUIT waits for what is open
    await gone;
  }
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('clients of a trusted proxy are counted by their own addresses, and nobody else says who he is', async () => {
  const first = await used(proxy, '127.0.0.21');
  assert.equal(await used(proxy, '127.0.0.21'), first + 1);
  assert.equal(await used(proxy, '127.0.0.22'), 1, 'another client has a budget of his own');
  // He writes the header himself: nginx puts his address behind it, which is the one that counts.
  assert.equal(await used(proxy, '127.0.0.22', '203.0.113.9'), 2);
  assert.equal(await used(proxy, '127.0.0.22', 'garbage, , 203.0.113.9, 10.0.0.1'), 3);
  // Not by way of the proxy: his header is nothing, he is who he is.
  assert.equal(await used(own(), '127.0.0.23', '203.0.113.9'), 1);
  assert.equal(await used(own(), '127.0.0.23', '203.0.113.10'), 2);
});

test('proxies are named and forgotten while the server works, and what is no address is refused', async () => {
  proxies([]);
  const all = await used(proxy, '127.0.0.31');
  assert.equal(await used(proxy, '127.0.0.32'), all + 1, 'all who come through it are one');
  assert.match(JSON.stringify(proxies(['127.0.0.1', '10.0.0.1/8'])),
    /trusted_proxies: .*10\.0\.0\.1\/8.*: the address has bits beyond the network's prefix/);
  proxies(['127.0.0.1', '127.0.0.40/29']);
  assert.equal(await used(proxy, '127.0.0.32'), 1);
  // A chain of two: the outer one, 127.0.0.41, tells of 203.0.113.9, the inner one of the outer.
  assert.equal(await used(proxy, '127.0.0.41', '198.51.100.1, 203.0.113.9'), 1);
  assert.equal(await used(proxy, '127.0.0.42', '198.51.100.2, 203.0.113.9'), 2);
  proxies(['127.0.0.1']);
});

test('WebSockets go through, and their budgets are the clients\'', async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${proxy}/ws-api/v3`, { localAddress: '127.0.0.51' });
  await once(socket, 'open');
  socket.send(JSON.stringify({ id: 1, method: 'time' }));
  const [text] = await once(socket, 'message');
  const weight = JSON.parse(text).rateLimits[0].count;
  socket.close();
  assert.equal(await used(proxy, '127.0.0.51'), weight + 1);
});

test('a key works from its addresses only, through a proxy too, from the moment of the command on', async () => {
  const created = server.tenon('keys', 'create', '--account', 'demo', '--permissions', 'trade,read', '--addresses', '127.0.0.61,203.0.113.0/24');
  assert.deepEqual(created.addresses, ['127.0.0.61', '203.0.113.0/24']);
  const key = created.api_key;
  const account = (port, from, headers = {}) => {
    const query = `timestamp=${Date.now()}`;
    const signature = createHmac('sha256', created.secret).update(query).digest('hex');
    return ask(port, `/api/v3/account?${query}&signature=${signature}`, { from, headers: { 'X-MBX-APIKEY': key, ...headers } });
  };
  const refusal = { code: -2015, msg: 'Invalid API-key, IP, or permissions for action.' };
  for (const port of [own(), proxy]) {
    assert.equal((await account(port, '127.0.0.61')).status, 200);
    const refused = await account(port, '127.0.0.62');
    assert.equal(refused.status, 401);
    assert.deepEqual(refused.body, refusal);
    assert.deepEqual((await account(port, '127.0.0.62', { 'X-Forwarded-For': '127.0.0.61' })).body, refusal);
    assert.deepEqual((await ask(port, '/api/v3/userDataStream', { method: 'POST', from: '127.0.0.62', headers: { 'X-MBX-APIKEY': key } })).body, refusal);
  }
  server.tenon('keys', 'addresses', '--api-key', key, '--addresses', '127.0.0.62');
  assert.equal((await account(own(), '127.0.0.62')).status, 200);
  assert.equal((await account(own(), '127.0.0.61')).status, 401);
  assert.throws(() => server.tenon('keys', 'addresses', '--api-key', key, '--addresses', '127.0.0.63,localhost'),
    /args\/addresses\/1: \\?"localhost\\?": an IPv4 or IPv6 address expected/);
  for (const nothing of ['', ',']) {
    assert.throws(() => server.tenon('keys', 'addresses', '--api-key', key, '--addresses', nothing), /args\/addresses: name at least one, or \\?"any/);
  }
  assert.throws(() => server.tenon('keys', 'addresses', '--api-key', 'x'.repeat(64), '--addresses', '127.0.0.63'), /there is no such key/);
  // Over a kill; and the list is told, not only kept.
  await server.kill();
  await server.start();
  assert.equal((await account(own(), '127.0.0.62')).status, 200);
  assert.equal((await account(own(), '127.0.0.61')).status, 401);
  const told = server.tenon('keys', 'list').find((one) => one.api_key === key);
  assert.deepEqual(told.addresses, ['127.0.0.62']);
  const metrics = await (await fetch(`${server.http}/metrics`)).text();
  assert.match(metrics, /tenon_accounts_address_denials_total 1\n/);
  server.tenon('keys', 'addresses', '--api-key', key, '--addresses', 'any');
  assert.equal((await account(own(), '127.0.0.61')).status, 200);
});

test('a Unix socket: requests, WebSockets and a trusted proxy by it; what is left of a killed server is taken away', async (t) => {
  const other = new Server({ set: ['/plugins/http/config/unix_listen="tenon.sock"', '/plugins/http/config/unix_mode="0600"',
    '/plugins/http/config/trusted_proxies=["unix:"]'] });
  t.after(() => other.stop());
  await other.start();
  const path = join(other.dataDir, 'tenon.sock');
  const byPath = (headers = {}) => new Promise((resolve, reject) => {
    http.get({ socketPath: path, path: '/api/v3/time', headers }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve([answer.statusCode, Number(answer.headers['x-mbx-used-weight-1m'])]));
    }).on('error', reject);
  });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(await byPath(), [200, 1]);
  assert.deepEqual(await byPath(), [200, 2], 'who comes by it is one address');
  assert.deepEqual(await byPath({ 'X-Forwarded-For': '203.0.113.9' }), [200, 1]);
  const socket = new WebSocket(`ws+unix://${path}:/ws-api/v3`);
  await once(socket, 'open');
  socket.send(JSON.stringify({ id: 1, method: 'ping' }));
  assert.equal(JSON.parse((await once(socket, 'message'))[0]).status, 200);
  socket.close();
  // The server lives, as far as it goes without its listener, and says why.
  const refuses = async (one, pattern) => {
    const starting = one.start().catch(() => undefined);
    await eventually(`the log has ${pattern}`, () => pattern.test(one.log));
    await one.kill();
    await starting;
  };
  const second = new Server({ set: [`/plugins/http/config/unix_listen="${path}"`] });
  t.after(() => second.stop());
  await refuses(second, /another process listens there/);
  assert.deepEqual((await byPath())[0], 200, 'which still listens');
  await other.kill();
  assert.ok(existsSync(path));
  await other.start();
  assert.deepEqual(await byPath(), [200, 1]);
  other.child.kill('SIGTERM');
  await other.exited;
  assert.ok(!existsSync(path), 'it goes with the server');
  writeFileSync(path, 'precious');
  await refuses(other, /there is something that is no socket/);
  assert.equal(readFileSync(path, 'utf8'), 'precious');
});
