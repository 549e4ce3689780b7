// SPDX-License-Identifier: Apache-2.0
// Row T8: admin commands by schedule, of the settings and of the command line, as durable jobs that an operator sees.
import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { eventually, Server } from './server.mjs';

const open = [];
afterEach(async () => {
  while (open.length) await open.pop().stop();
});

const scheduled = (...all) => [`/plugins/jobs/config/schedules=${JSON.stringify(all)}`, '/plugins/jobs/config/poll_ms=20'];
const jobs = (server, status) => server.tenon('jobs', 'list', '--queue', 'tenon', '--status', status);
const payload = (server, job) => server.tenon('jobs', 'show', '--id', String(job.id)).payload;

test('schedules give admin commands, and those that the settings no longer have go [T8]', async () => {
  const server = new Server({ set: scheduled({ name: 'check', rule: 'every 1s', command: 'integrity check' },
    { name: 'yearly', rule: 'cron 30 4 1 1 *', command: 'backup drill' }) });
  open.push(server);
  await server.start();
  const done = await eventually('a check by schedule is done', () => jobs(server, 'done').at(0));
  assert.deepEqual([done.kind, done.attempts], ['command', 1]);
  const shown = payload(server, done);
  assert.deepEqual(typeof shown === 'string' ? JSON.parse(shown) : shown, { command: 'integrity.check', args: {} });
  const names = () => server.tenon('jobs', 'schedules').map((one) => [one.name, one.rule]);
  assert.deepEqual(names(), [['settings.check', 'every 1s'], ['settings.yearly', 'cron 30 4 1 1 *']]);


  // What the server refuses is dead at once; an operator sees why.
  server.tenon('jobs', 'schedule', '--name', 'wrong', '--rule', 'every 1s', '--command', 'backup verify --id nobody');
  const dead = await eventually('a refused command is dead', () => jobs(server, 'dead').at(0));
  server.tenon('jobs', 'unschedule', '--name', 'wrong');
  assert.equal(dead.attempts, 1);
  assert.ok(server.tenon('jobs', 'queues').tenon.dead > 0);
  assert.match(dead.last_error, /backup\.verify: .*nobody/);
  const isWrong = (one) => JSON.stringify(payload(server, one)).includes('backup.verify');
  await eventually('none that would fail is left', () => ![...jobs(server, 'queued'), ...jobs(server, 'running')].some(isWrong));
  for (const { id } of jobs(server, 'dead')) server.tenon('jobs', 'discard', '--id', String(id));

  const before = server.tenon('backup', 'list');
  server.tenon('jobs', 'schedule', '--name', 'mine', '--rule', 'every 1s', '--command', 'backup create --label mine');
  await eventually('a backup is made by schedule', () => JSON.stringify(server.tenon('backup', 'list')).includes('"mine"'), 60);
  assert.ok(!JSON.stringify(before).includes('"mine"'));
  server.tenon('jobs', 'unschedule', '--name', 'mine');
  assert.match(JSON.stringify(server.tenon('audit', 'list')), /jobs\.schedule/);

  server.child.kill('SIGTERM');
  await server.exited;
  server.set = scheduled({ name: 'yearly', rule: 'cron 0 5 1 1 *', command: 'backup drill' });
  await server.start();
  await eventually('the settings are followed', () => names().length === 1 && names()[0][1] === 'cron 0 5 1 1 *');
  assert.deepEqual(jobs(server, 'dead'), []);
});

test('a schedule that is none is refused [T8]', async () => {
  const server = new Server();
  open.push(server);
  await server.start();
  const schedule = (rule, command) => server.tenon('jobs', 'schedule', '--name', 'x', '--rule', rule, '--command', command);
  assert.throws(() => schedule('cron 61 * * * *', 'backup drill'), /minute \\?"61\\?": expected/);
  assert.throws(() => schedule('every 9s', 'keys revoke'), /none that a schedule may give/);
  assert.deepEqual(server.tenon('jobs', 'schedules'), []);
});
