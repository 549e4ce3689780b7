// SPDX-License-Identifier: Apache-2.0
// Row M3: rules from a file fire in a running server, are told in its log, health and API, and end.
import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
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

async function serve(rules) {
  const server = new Server({
    set: [`/plugins/alerts/config/rules_file=${JSON.stringify(rules.file)}`, '/plugins/alerts/config/interval_s=1'],
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
