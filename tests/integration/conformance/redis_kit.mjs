// SPDX-License-Identifier: Apache-2.0
// The kit over plugins that need Redis, beside a server of its own.
//   node redis_kit.mjs KIT PLUGIN.so… [OPTION of the kit]…
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from '../../e2e/redis.mjs';

const [kit, ...words] = process.argv.slice(2);
const server = await new Redis().start();
try {
  const settings = join(server.folder, 'settings.json');
  // Long, so that a slow machine is no failure; a server that is down is refused at once all the same.
  const patient = { url: server.url, command_timeout_ms: 30000, dead_after_ms: 30000, connect_timeout_ms: 30000 };
  writeFileSync(settings, JSON.stringify({ 'tenon.cache.redis': patient, 'tenon.throttle.redis': patient }));
  // One check after the other: all of them use the one server.
  const run = spawnSync(kit, [...words, '--jobs', '1', '--settings', settings], { stdio: 'inherit' });
  process.exitCode = run.status ?? 1;
} finally {
  await server.stop();
}
