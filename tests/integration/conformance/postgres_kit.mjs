// SPDX-License-Identifier: Apache-2.0
// The kit over a plugin that needs PostgreSQL, beside a server of its own.
//   node postgres_kit.mjs KIT PLUGIN.so [OPTION of the kit]…
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Postgres } from '../../e2e/postgres.mjs';

const [kit, ...words] = process.argv.slice(2);
const server = await new Postgres().start();
try {
  server.query('CREATE DATABASE tenon', 'postgres');
  const settings = join(server.folder, 'settings.json');
  writeFileSync(settings, JSON.stringify({
    'tenon.storage.postgres': { hosts: [server.folder], database: 'tenon', user: 'tenon', pool_min: 1, pool_size: 8 },
    'tenon.backup.postgres': { hosts: [server.folder], database: 'tenon', user: 'tenon', every_s: 0 },
  }));
  const run = spawnSync(kit, [...words, '--settings', settings], { stdio: 'inherit' });
  process.exitCode = run.status ?? 1;
} finally {
  await server.stop();
}
