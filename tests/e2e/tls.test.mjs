// SPDX-License-Identifier: Apache-2.0
// Row K14: HTTPS and WSS next to the plain address, certificates renewed under load, and clients that misbehave.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHmac, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import WebSocket from 'ws';
import { eventually, Server } from './server.mjs';

const folder = mkdtempSync(join(tmpdir(), 'tenon-tls-'));
const certificate = join(folder, 'server.pem');
const keyFile = join(folder, 'server.key');
let server;
let key;
let port;

// A new key and a certificate of its own signing, in place at once, as who renews them does it.
function issue(name) {
  const [pem, secret] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
  const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30',
    '-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', secret, '-out', pem], { encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
  return { pem: readFileSync(pem), secret: readFileSync(secret) };
}

function install({ pem, secret }) {
  for (const [file, text] of [[keyFile, secret], [certificate, pem]]) {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  }
}

const first = issue('first');
const second = issue('second');
const ca = [first.pem, second.pem];
const settings = ['/plugins/http/config/tls_listen="127.0.0.1:0"', `/plugins/http/config/tls_certificate="${certificate}"`,
  `/plugins/http/config/tls_certificate_key="${keyFile}"`];

const portOf = (one) => Number(readFileSync(join(one.dataDir, 'listen-tls'), 'utf8').trim().split(':').at(-1));
const connect = async (options = {}) => {
  const socket = tls.connect({ host: '127.0.0.1', port, ca, ...options });
  await once(socket, 'secureConnect');
  return socket;
};
const subject = async () => {
  const socket = await connect();
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return CN;
};
// All until the peer closes.
const readAll = async (socket) => {
  const chunks = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await once(socket, 'close');
  return Buffer.concat(chunks);
};
const get = (path, options = {}) => new Promise((resolve, reject) => {
  const request = https.request({ host: '127.0.0.1', port, path, ca, ...options }, (response) => {
    let body = '';
    response.on('data', (chunk) => { body += chunk; });
    response.on('end', () => resolve({ status: response.statusCode, body, reused: request.reusedSocket }));
  });
  request.on('error', reject);
  request.end();
});
const metric = async (name) => {
  const page = await (await fetch(`${server.http}/metrics`)).text();
  return Number(page.split('\n').find((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))?.split(' ').at(-1));
};

before(async () => {
  install(first);
  server = await new Server({ set: [...settings, '/plugins/binance/config/weight_per_minute=1000000'] }).start();
  port = portOf(server);
  key = server.key();
});

after(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('orders over HTTPS, streams over WSS, next to the plain address [K14]', async () => {
  const time = await get('/api/v3/time');
  assert.equal(time.status, 200, time.body);
  const order = new URLSearchParams({ symbol: 'ETHBTC', side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity: '0.1', price: '0.01',
    timestamp: Date.now(), recvWindow: 60000 }).toString();
  const signature = createHmac('sha256', key.secret).update(order).digest('hex');
  const placed = await get(`/api/v3/order?${order}&signature=${signature}`, { method: 'POST', headers: { 'X-MBX-APIKEY': key.api_key } });
  assert.deepEqual([placed.status, JSON.parse(placed.body).status], [200, 'NEW'], placed.body);
  const info = await get('/api/v3/exchangeInfo');
  assert.equal(JSON.parse(info.body).symbols.length, (await (await fetch(`${server.http}/api/v3/exchangeInfo`)).json()).symbols.length);
  const socket = new WebSocket(`wss://127.0.0.1:${port}/ws/btcusdt@depth@100ms`, { ca });
  const [text] = await once(socket, 'message');
  assert.equal(JSON.parse(text).e, 'depthUpdate');
  socket.close();
  await once(socket, 'close');
  assert.ok(await metric('tenon_http_tls_handshakes_total') >= 2);
});

test('TLS 1.2 and 1.3 are spoken, older ones and other protocols are not [K14]', async () => {
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    const socket = await connect({ minVersion: version, maxVersion: version, ALPNProtocols: ['h2', 'http/1.1'] });
    assert.deepEqual([socket.getProtocol(), socket.alpnProtocol], [version, 'http/1.1']);
    socket.destroy();
  }
  const old = spawnSync('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'],
    { input: '', encoding: 'utf8' });
  assert.notEqual(old.status, 0);
  const failures = await metric('tenon_http_tls_failures_total');
  assert.ok(failures >= 1);
  const plain = await fetch(`http://127.0.0.1:${port}/api/v3/time`);
  assert.deepEqual([plain.status, await plain.text()], [400, 'This port speaks HTTPS: use https:// here.']);
  assert.ok(await metric('tenon_http_tls_failures_total') > failures);
});

test('a handshake that does not come to its end is given up, rubbish too [K14]', async () => {
  const impatient = await new Server({ set: [...settings, '/plugins/http/config/header_timeout_ms=500'] }).start();
  const silent = net.connect({ host: '127.0.0.1', port: portOf(impatient) });
  const rubbish = net.connect({ host: '127.0.0.1', port: portOf(impatient) });
  const gone = new Promise((resolve) => { rubbish.on('error', resolve).on('close', resolve); });
  rubbish.write(Buffer.alloc(4096, 0xee));
  const [heard] = await Promise.all([readAll(silent), gone]);
  assert.equal(heard.length, 0);
  assert.equal((await get('/api/v3/time', { port: portOf(impatient) })).status, 200);
  await impatient.stop();
});

test('many answers through a client that reads late come whole and in order [K14]', async () => {
  const socket = await connect();
  const path = '/api/v3/exchangeInfo';
  const plain = await (await fetch(`${server.http}${path}`, { headers: { 'accept-encoding': 'identity' } })).text();
  const count = 3000; // more than the system's buffers hold
  socket.pause();
  socket.write(Array.from({ length: count }, (_, i) =>
    `GET ${path} HTTP/1.1\r\nHost: x\r\n${i + 1 === count ? 'Connection: close\r\n' : ''}\r\n`).join(''));
  let answered = -1;
  await eventually('the server waits for the reader', async () => {
    const before = answered;
    answered = await metric('tenon_binance_requests_total');
    return answered > 100 && answered === before;
  });
  assert.ok(answered < count);
  const text = String(await readAll(socket.resume()));
  const bodies = text.split(/HTTP\/1\.1 [^]*?\r\n\r\n/).slice(1);
  assert.equal(bodies.length, count);
  for (const body of bodies) {
    assert.equal(body.replace(/"serverTime":\d+/, ''), plain.replace(/"serverTime":\d+/, ''));
  }
});

test('a renewed certificate is taken up under load, a broken one is not [K14]', async () => {
  const agent = new https.Agent({ keepAlive: true, ca });
  let stop = false;
  let done = 0;
  const failed = [];
  const load = Array.from({ length: 4 }, async (_, i) => {
    while (!stop) {
      try {
        // Two keep their connections, two make a new one each time.
        const { status } = await get('/api/v3/ping', i < 2 ? { agent } : { agent: false });
        if (status !== 200) failed.push(status);
        done += 1;
      } catch (error) {
        failed.push(error.message);
      }
    }
  });
  assert.equal(await subject(), 'first');
  const kept = await connect();
  install(second);
  await eventually('the new certificate is shown', async () => await subject() === 'second');
  const ends = Date.parse(new X509Certificate(second.pem).validTo) / 1000;
  assert.equal(await metric('tenon_http_tls_certificate_expires_seconds'), ends);
  kept.write('GET /api/v3/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  assert.match(String(await readAll(kept)), /^HTTP\/1.1 200 OK/);

  install({ pem: second.pem, secret: first.secret });
  const health = async () => (await fetch(`${server.http}/healthz`)).json();
  await eventually('the mismatch is told', async () => JSON.stringify(await health()).includes(keyFile));
  assert.equal(await subject(), 'second');
  install(second);
  await eventually('it is well again', async () => !JSON.stringify(await health()).includes(keyFile));
  stop = true;
  await Promise.all(load);
  agent.destroy();
  assert.deepEqual(failed, []);
  assert.ok(done > 100, `${done} requests`);
});

test('with a certificate that cannot be read nothing is listened on, and the file is named [K14]', async () => {
  const absent = join(folder, 'absent.pem');
  const data = mkdtempSync(join(tmpdir(), 'tenon-tls-data-'));
  const set = [...settings, `/plugins/http/config/tls_certificate="${absent}"`].flatMap((one) => ['--set', one]);
  const child = spawn(server.command, ['--deployment', server.deployment, '--data-dir', data, '--listen', '127.0.0.1:0', ...set]);
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { log += chunk; });
  const exited = once(child, 'exit');
  await eventually('it says which file', async () => log.includes(absent));
  assert.ok(!existsSync(join(data, 'listen')) && !existsSync(join(data, 'listen-tls')));
  child.kill('SIGTERM');
  await exited;
  rmSync(data, { recursive: true, force: true });
});
