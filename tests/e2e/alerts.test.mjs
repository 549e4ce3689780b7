// SPDX-License-Identifier: Apache-2.0
// Row M3: rules from a file fire in a running server, are told in its log, health and API, and end.
import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, Server } from './server.mjs';

const open = [];

afterEach(async () => {
  while (open.length) await open.pop().stop();
});

// Rules in a folder of their own; fires while the server has at least so many threads.
class Rules {
  folder = mkdtempSync(join(tmpdir(), 'tenon-alerts-'));
  file = join(this.folder, 'alerts.json');

  threads(severity, count) {
    return this.write({ rules: [{
      name: 'ManyThreads', summary: 'it has <threads>', runbook: 'many-threads',
      value: { metric: 'tenon_process_threads' }, [severity]: { above: count },
    }] });
  }

  write(rules) {
    writeFileSync(this.file, typeof rules === 'string' ? rules : JSON.stringify(rules));
    return this;
  }

  stop() { rmSync(this.folder, { recursive: true, force: true }); }
}

async function serve(rules, set = [], env = {}) {
  const server = new Server({
    set: [`/plugins/alerts/config/rules_file=${JSON.stringify(rules.file)}`, '/plugins/alerts/config/interval_s=1', ...set],
    env,
  });
  open.push(server);
  return server.start();
}

function makeRules() {
  const rules = new Rules();
  open.push(rules);
  return rules;
}

const alerts = async (server) => (await (await fetch(`${server.http}/api/alerts`)).json()).alerts;
const component = async (server) => (await (await fetch(`${server.http}/healthz`)).json()).components
  .find((one) => one.component === 'alerts');

test('a critical alert is told in API, command, log, metrics and health, and ends [M3]', async () => {
  const rules = makeRules().threads('critical', 0);
  const server = await serve(rules);
  const [alert] = await eventually('the alert fires', async () => {
    const now = await alerts(server);
    return now.length === 1 && now[0].state === 'firing' ? now : undefined;
  });
  assert.equal(alert.rule, 'ManyThreads');
  assert.equal(alert.severity, 'critical');
  assert.equal(alert.summary, 'it has <threads>');
  assert.ok(alert.value >= 1);
  assert.ok(alert.fired_ms > 1_600_000_000_000);
  assert.equal(server.tenon('alerts', 'list').alerts[0].rule, 'ManyThreads');
  await eventually('the log tells it', () => server.log.includes('alert_fired'));
  const sick = await eventually('health follows', async () => {
    const now = await component(server);
    return now?.state === 'degraded' ? now : undefined;
  });
  assert.equal(sick.reason, 'ManyThreads');
  assert.ok((await fetch(`${server.http}/readyz`)).ok, 'an alert takes no server out of service');
  await eventually('the metric says so', async () => (await (await fetch(`${server.http}/metrics`)).text())
    .includes('tenon_alerts_firing{severity="critical"} 1'));

  rules.threads('critical', 1_000_000);
  assert.deepEqual(server.tenon('alerts', 'reload'), { rules: 1 });
  await eventually('the alert ends', async () => (await alerts(server)).length === 0);
  await eventually('health clears', async () => (await component(server)).state === 'healthy');
});

test('wrong rules are refused with their place, and the old ones stay [M3]', async () => {
  const rules = makeRules().threads('warning', 0);
  const server = await serve(rules);
  await eventually('the alert fires', async () => (await alerts(server))[0]?.state === 'firing');
  rules.write({ rules: [{ name: 'X', summary: 's', runbook: 'r', value: { metric: 'x' }, warning: { above: 1 } }] });
  assert.throws(() => server.tenon('alerts', 'reload'), /\/rules\/0\/value.*expected a metric's name/);
  rules.write('{"rules":[');
  assert.throws(() => server.tenon('alerts', 'reload'), /alerts\.json/);
  assert.equal((await alerts(server))[0].rule, 'ManyThreads');
  // A warning is no reason for bad health.
  assert.notEqual((await component(server))?.state, 'degraded');
});

test('the rules that ship are read, and written for Prometheus [M3]', async () => {
  const server = new Server();
  open.push(server);
  await server.start();
  const { rules } = server.tenon('alerts', 'prometheus');
  assert.match(rules, /alert: TenonCpuHigh/);
  assert.ok(Array.isArray(await alerts(server)));
});

// Takes webhooks; refuses the first `failures` of them.
class Receiver {
  got = [];

  async start(failures = 0) {
    this.http = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      this.got.push({ headers: request.headers, body, notice: JSON.parse(body) });
      response.writeHead(this.got.length > failures ? 204 : 503).end();
    });
    this.http.listen(0, '127.0.0.1');
    await once(this.http, 'listening');
    open.push(this);
    return this;
  }

  get url() { return `http://127.0.0.1:${this.http.address().port}/alerts`; }

  stop() {
    this.http.closeAllConnections();
    this.http.close();
  }
}

const hook = '/plugins/alerts/config/webhooks=[{"name":"ops","url":"env:HOOK_URL","secret":"env:HOOK_SECRET"}]';
const quick = ['group_wait_s', 'group_interval_s'].map((name) => `/plugins/alerts/config/${name}=0`);

test('an alert reaches a webhook, signed, again after a failure, and its end too [M3]', async () => {
  const receiver = await new Receiver().start(1);
  const rules = makeRules().threads('critical', 0);
  const server = await serve(rules, [hook, ...quick], { HOOK_URL: receiver.url, HOOK_SECRET: 'sesame' });
  await eventually('the notice arrives', () => receiver.got.length >= 2);
  const [refused, taken] = receiver.got;
  assert.equal(refused.headers['x-tenon-id'], taken.headers['x-tenon-id']);
  assert.equal(taken.notice.rule, 'ManyThreads');
  assert.equal(taken.notice.status, 'firing');
  assert.equal(taken.notice.runbook, 'etc/runbooks.md#many-threads');
  const mac = createHmac('sha256', 'sesame').update(`${taken.headers['x-tenon-timestamp']}.${taken.body}`).digest('hex');
  assert.equal(taken.headers['x-tenon-signature'], `v1=${mac}`);

  rules.threads('critical', 1_000_000);
  server.tenon('alerts', 'reload');
  const ended = await eventually('its end arrives', () => receiver.got.find((one) => one.notice.status === 'resolved'));
  assert.equal(ended.notice.resolved.length, 1);
  assert.deepEqual(server.tenon('alerts', 'test'), { targets: ['ops'] });
  await eventually('the test arrives', () => receiver.got.find((one) => one.notice.rule === 'Test'));
  assert.ok(!server.log.includes('sesame') && !server.log.includes(receiver.url), 'no secret in the log');
});

test('a silenced alert is listed and not sent, and the silence is on the record [M3]', async () => {
  const receiver = await new Receiver().start();
  const rules = makeRules().threads('critical', 1_000_000);
  const server = await serve(rules, [hook, ...quick], { HOOK_URL: receiver.url, HOOK_SECRET: 'sesame' });
  const { id } = server.tenon('alerts', 'silence', '--match', 'alert=Many*', '--match', 'severity=critical', '--for', '2h',
    '--by', 'anna', '--comment', '<b>planned</b>');
  rules.threads('critical', 0);
  server.tenon('alerts', 'reload');
  const [alert] = await eventually('the alert fires', async () => {
    const now = await alerts(server);
    return now[0]?.state === 'firing' ? now : undefined;
  });
  assert.equal(alert.silenced, true);
  assert.equal(server.tenon('alerts', 'silences').silences[0].by, 'anna');
  assert.throws(() => server.tenon('alerts', 'silence', '--match', 'alert=X', '--for', 'ever'), /such as 90s/);
  assert.throws(() => server.tenon('alerts', 'unsilence', '--id', '99'), /no silence 99/);
  assert.equal(receiver.got.length, 0);
  server.tenon('alerts', 'unsilence', '--id', String(id));
  await eventually('it is told now', () => receiver.got.length > 0);
  const audit = JSON.stringify(server.tenon('audit', 'list'));
  assert.match(audit, /"alert\.silence"/);
  assert.match(audit, /"alert\.unsilence"/);
});

test('what fired is in the history, over a restart too [M3]', async () => {
  const rules = makeRules().threads('critical', 0);
  const server = await serve(rules);
  const history = async () => (await (await fetch(`${server.http}/api/alerts/history`)).json());
  await eventually('it is written', async () => {
    const now = await history();
    return now.alerts.length === 1 && now.unwritten === 0;
  });
  const [fired] = (await history()).alerts;
  assert.equal(fired.rule, 'ManyThreads');
  assert.equal(fired.ended_ms, 0);
  await server.kill();
  rules.threads('critical', 1_000_000);
  await server.start();
  const [ended] = await eventually('it is read again', async () => {
    const now = (await history()).alerts;
    return now.length === 1 ? now : undefined;
  });
  assert.equal(ended.fired_ms, fired.fired_ms);
  assert.ok(ended.ended_ms >= fired.fired_ms, 'what was open when the server died has ended');
});

test('an open row that somebody else left holds up no later history [M3]', async () => {
  const rules = makeRules().threads('critical', 1_000_000);
  const server = await serve(rules, ['/plugins/alerts/config/server="box"']);
  const history = async () => (await (await fetch(`${server.http}/api/alerts/history`)).json());
  const row = spawnSync('sqlite3', ['-cmd', '.timeout 10000', join(server.dataDir, 'tenon.db'),
    "INSERT INTO alerts (name, component, level, message, raised_real_ns) VALUES ('ManyThreads', 'box/', 'critical', 'x', 5)"]);
  assert.equal(row.status, 0, String(row.stderr));
  rules.threads('critical', 0);
  server.tenon('alerts', 'reload');
  await eventually('what fired is written or dropped', async () => {
    const now = await history();
    return now.alerts[0]?.ended_ms === 0 && now.unwritten === 0 && now.lost === 0;
  });
});
