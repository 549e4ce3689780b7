// SPDX-License-Identifier: Apache-2.0
// Rows T7, S8: everything that /api/openapi.json tells is tried as the document tells it, on SQLite and
// on PostgreSQL, with equal answers. What the document does not tell, such as which member refers to
// which rows, is told here, and little else.
import { afterEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { eventually, Server } from './server.mjs';
import { ask, send, signed } from './native.mjs';
import { Postgres } from './postgres.mjs';

const open = [];

afterEach(async () => {
  while (open.length) await open.pop().stop();
});

const attacks = [
  "'", "''", '"', "' OR '1'='1", "'; DROP TABLE users; --", "1; DELETE FROM users", '$1', '?', ':name', '@p', '\\', "\\'",
  '/* */', '--', '%00', "x' UNION SELECT name FROM users --", '$$ $$', "E'\\x27'", '\u2019 OR 1=1', 'NULL', '0x27', '1e309',
];

// What differs from run to run: numbers that a database gives, and clocks.
function stable(value, name = '') {
  if (Array.isArray(value)) return value.map((item) => stable(item));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, stable(inner, key)]));
  }
  return /(^id|_id|_us|cursor)$/.test(name) && value !== null ? typeof value : value;
}

class Story {
  constructor(server, document) {
    this.server = server;
    this.document = document;
    this.answers = [];
    this.count = 0;
    this.round = 0; // moves times on, so that no two rows are alike
    this.known = {}; // ids by the name of the member that refers to them
    this.made = {}; // ids of rows by path
    this.bodies = {}; // a body that was accepted, by path
  }

  operations() {
    // Flags are settings and no rows; they have a test of their own.
    return Object.entries(this.document.paths).filter(([path]) => !path.startsWith('/api/flags')).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })));
  }

  keyFor(operation) {
    return operation['x-right'] === 'admin' ? this.ops : this.ann;
  }

  async told(key, method, path, options = {}) {
    const answer = await ask(this.server, key, method, path, options);
    this.answers.push({ method, path: path.replace(/\d+$/, 'N'), options: stable(options), status: answer.status, body: stable(answer.body) });
    assert.notEqual(answer.status, 500, `${method} ${path}: ${answer.text}`);
    return answer;
  }

  // A value that the schema allows.
  sample(name, schema, at) {
    const type = [schema.type].flat()[0];
    if (schema.enum) return schema.enum[0];
    if (name in this.known) return this.known[name];
    if (name === 'symbol') return 'BTCUSDT';
    if (name === 'valid_until_us') return 4_000_000_000_000_000;
    if (type === 'integer') {
      if (/_us$/.test(name)) return 1_700_000_000_000_000 + this.round * 1_000_000_000 + at * 1_000_000;
      return schema.minimum ?? 1;
    }
    if (type === 'boolean') return true;
    if (type === 'object') return { note: 'free' };
    if (schema.pattern) return '0.5';
    this.count += 1;
    const text = `T${this.count}`.padEnd(schema.minLength ?? 1, 'X');
    return text.slice(0, schema.maxLength ?? text.length);
  }

  bodyOf(operation, { everything = false } = {}) {
    const schema = operation.requestBody?.content['application/json'].schema;
    if (!schema) return undefined;
    this.round += 1;
    const wanted = Object.entries(schema.properties).filter(([name]) =>
      name !== 'version' || schema.required?.includes(name)).filter(([name]) => everything || schema.required?.includes(name));
    return Object.fromEntries(wanted.map(([name, property], at) => [name, this.sample(name, property, at)]));
  }

  async begin() {
    this.server.tenon('accounts', 'open', '--account', 'ann');
    this.server.tenon('accounts', 'open', '--account', 'bob');
    this.server.tenon('accounts', 'open', '--account', 'ops');
    this.ann = this.server.key('ann');
    this.bob = this.server.key('bob');
    this.ops = this.server.key('ops', 'trade,read,admin');
    this.reader = this.server.key('ann', 'read');
    // Accounts reach the database a moment later.
    for (const [key, leverage] of [[this.ann, 3], [this.bob, 4], [this.ops, 5]]) {
      const { body } = await eventually('the account is in the database', async () => {
        const answer = await ask(this.server, key, 'PUT', '/api/settings', { body: { leverage } });
        return answer.status === 200 && answer;
      });
      if (key === this.ann) this.known.user_id = body.user_id;
    }
  }

  // Each POST on a plain path twice, what others refer to first; their ids are what items are asked by.
  async create() {
    const rank = ({ path }) => (/models|promo-codes$/.test(path) ? 0 : /signals/.test(path) ? 1 : /redeem/.test(path) ? 3 : 2);
    const creating = this.operations().filter(({ method }) => method === 'POST').sort((a, b) => rank(a) - rank(b));
    for (const { path, operation } of creating) {
      for (let i = 0; i < 3; i += 1) {
        const body = this.bodyOf(operation);
        if (/redeem$/.test(path)) body.code = this.bodies['/api/promo-codes'][i].code;
        const { status, body: row } = await this.told(this.keyFor(operation), 'POST', path, { body });
        assert.equal(status, 201, `${path}: ${JSON.stringify(row)}`);
        for (const [name, value] of Object.entries(body)) {
          if (name in row && typeof value !== 'object') assert.equal(row[name], value, `${path} ${name}`);
        }
        (this.bodies[path] ??= []).push(body);
        (this.made[path] ??= []).push(row.id);
      }
      const member = { '/api/models': 'model_id', '/api/signals': 'signal_id' }[path];
      if (member) this.known[member] = this.made[path][0];
    }
  }

  async lists() {
    for (const { path, method, operation } of this.operations()) {
      const parameters = operation.parameters ?? [];
      if (method !== 'GET' || !parameters.some(({ name }) => name === 'cursor')) continue;
      const key = this.keyFor(operation);
      const whole = (await this.told(key, 'GET', path, { query: { limit: 1000 } })).body;
      const owned = 'user_id' in this.document.components.schemas[path.split('/')[2]].properties;
      const seen = owned && operation['x-right'] !== 'admin' ? await this.told(this.ann, 'GET', path) : { body: whole };
      for (const id of this.made[path] ?? []) assert.ok(seen.body.data.some((row) => row.id === id), `${path} has ${id}`);
      const paged = [];
      for (let cursor; ;) {
        const { body } = await this.told(key, 'GET', path, { query: { limit: 1, ...(cursor ? { cursor } : {}) } });
        assert.ok(body.data.length <= 1);
        paged.push(...body.data);
        if (!body.next_cursor) break;
        cursor = body.next_cursor;
      }
      assert.deepEqual(paged, whole.data, `${path} by pages`);
      for (const { name, schema } of parameters) {
        if (['limit', 'cursor', 'from_us', 'to_us', 'user_id'].includes(name) || whole.data.length === 0) continue;
        const value = whole.data[0][name];
        if (value === null || value === undefined) continue;
        const { status, body } = await this.told(key, 'GET', path, { query: { [name]: String(value), limit: 1000 } });
        assert.equal(status, 200, `${path}?${name}=${value} ${JSON.stringify(schema)} ${JSON.stringify(body)}`);
        assert.deepEqual(body.data, whole.data.filter((row) => row[name] === value), `${path} filtered by ${name}`);
      }
    }
  }

  items() {
    return this.operations().filter(({ path }) => path.endsWith('/{id}')).map((item) =>
      ({ ...item, list: item.path.slice(0, -'/{id}'.length) }));
  }

  async changes() {
    const order = ['GET', 'PATCH', 'DELETE'];
    for (const { path, method, operation, list } of this.items().sort((a, b) => order.indexOf(a.method) - order.indexOf(b.method))) {
      const key = this.keyFor(operation);
      const id = this.made[list][0];
      const body = method === 'PATCH' ? this.bodyOf(operation, { everything: true }) : undefined;
      const { status, body: row } = await this.told(key, method, path.replace('{id}', id), { body });
      assert.equal(status, 200, `${method} ${path}: ${JSON.stringify(row)}`);
      assert.equal(row.id, id);
      assert.equal((await this.told(key, method, path.replace('{id}', 4_000_000_000_000), { body })).status, 404);
      if (method === 'DELETE') {
        assert.equal((await this.told(key, 'GET', path.replace('{id}', id))).status, 404);
        assert.equal((await this.told(key, method, path.replace('{id}', id))).status, 404);
      }
    }
  }

  // What is refused before anything is changed.
  async refusals() {
    for (const { path, method, operation } of this.operations()) {
      const target = path.replace('{id}', '1');
      const right = operation['x-right'];
      assert.equal((await fetch(`${this.server.http}${target}`, { method })).status, 401);
      const wrong = signed(this.ann, method, target);
      wrong.headers['X-Tenon-Signature'] = '0'.repeat(64);
      assert.equal((await send(this.server, wrong)).status, 401);
      if (method !== 'GET') assert.equal((await this.told(this.reader, method, target, { body: {} })).status, 403, `${method} ${path} by a reader`);
      if (right === 'admin') assert.equal((await this.told(this.ann, method, target, { body: method === 'GET' ? undefined : {} })).status, 403);
      const needed = Object.fromEntries((operation.parameters ?? []).filter((one) => one.required && one.in === 'query')
        .map(({ name, schema }) => [name, this.sample(name, schema, 0)]));
      assert.equal((await this.told(this.keyFor(operation), method, target, { query: { ...needed, nonsense: 1 },
        body: method === 'GET' ? undefined : this.bodyOf(operation) })).body.error.pointer, '?nonsense');
      const body = this.bodyOf(operation);
      if (!body) continue;
      const key = this.keyFor(operation);
      const refused = async (changed, name) => {
        const { status, body: answer } = await this.told(key, method, target, { body: changed });
        assert.ok(status === 400 || status === 404, `${method} ${path} ${JSON.stringify(changed)}: ${status} ${JSON.stringify(answer)}`);
        if (status === 400 && name) assert.equal(answer.error.pointer, `/${name}`);
      };
      const { properties, required = [] } = operation.requestBody.content['application/json'].schema;
      await refused({ ...body, nonsense: 1 }, path.endsWith('{id}') ? undefined : 'nonsense');
      if (path.endsWith('{id}')) continue;
      for (const name of required) {
        const { [name]: gone, ...rest } = body;
        await refused(rest, name);
      }
      for (const [name, schema] of Object.entries(properties)) {
        await refused({ ...body, [name]: [] }, name);
        if ([schema.type].flat()[0] !== 'object') await refused({ ...body, [name]: {} }, name);
        if (schema.maxLength) await refused({ ...body, [name]: 'A'.repeat(schema.maxLength + 1) }, name);
        if (schema.maximum) await refused({ ...body, [name]: schema.maximum + 1 }, name);
        if (schema.enum) await refused({ ...body, [name]: 'nonsense' }, name);
      }
    }
  }

  // Text of an attacker in every parameter and every member: data, and nothing but data.
  async attacked() {
    for (const { path, method, operation } of this.operations()) {
      const key = this.keyFor(operation);
      for (const { name, in: where } of operation.parameters ?? []) {
        for (const attack of attacks) {
          if (where === 'path') {
            const { status } = await this.told(key, method, path.replace('{id}', encodeURIComponent(attack)),
              { body: this.bodyOf(operation) });
            assert.ok([400, 404].includes(status), `${method} ${path} ${attack}: ${status}`);
          } else {
            const { status, body } = await this.told(key, method, path, { query: { [name]: attack } });
            assert.ok([200, 400, 404].includes(status), `${path}?${name}=${attack}: ${status}`);
            // Only rows of just that text, which an attack on a member has made.
            for (const row of (status === 200 && body.data) || []) assert.equal(row[name], attack, `${path}?${name}=${attack}`);
          }
        }
      }
      if (path.endsWith('{id}') || !operation.requestBody) continue;
      const { properties } = operation.requestBody.content['application/json'].schema;
      for (const name of Object.keys(properties)) {
        for (const attack of attacks) {
          const sent = { ...this.bodyOf(operation), [name]: attack };
          const { status, body } = await this.told(key, method, path, { body: sent });
          assert.ok([200, 201, 400, 404, 409].includes(status), `${method} ${path} ${name}=${attack}: ${status}`);
          if (status < 300 && name in body) assert.equal(body[name], attack, `${path} ${name} comes back as it was`);
        }
      }
    }
  }

  // Nobody sees, changes or deletes what is another user's, over every resource that has owners.
  async isolation() {
    let owned = 0;
    for (const { path, method, operation, list } of this.items()) {
      const name = list.split('/')[2];
      if (!('user_id' in this.document.components.schemas[name].properties)) continue;
      owned += 1;
      const id = this.made[list].at(-1);
      const body = method === 'PATCH' ? this.bodyOf(operation, { everything: true }) : undefined;
      assert.equal((await this.told(this.bob, method, path.replace('{id}', id), { body })).status, 404, `${method} ${path} by bob`);
      const { body: rows } = await this.told(this.bob, 'GET', list);
      assert.deepEqual(rows.data, [], `${list} of bob`);
      const { status } = await this.told(this.bob, 'GET', list, { query: { user_id: this.known.user_id } });
      assert.equal(status, 403);
      assert.equal((await this.told(this.ann, 'GET', `${list}/${id}`)).status, 200);
    }
    assert.ok(owned >= 6, `${owned} operations on rows with owners`);
    const { body } = await this.told(this.bob, 'GET', '/api/settings');
    assert.equal(body.leverage, 4);
  }

  // The same signed write again: once done, then refused, over every write.
  async replays() {
    for (const { path, method, operation } of this.operations()) {
      if (method === 'GET') continue;
      const request = signed(this.keyFor(operation), method, path.replace('{id}', '4000000000000'),
        { body: JSON.stringify(this.bodyOf(operation) ?? {}) });
      const first = await send(this.server, request);
      const again = await send(this.server, request);
      assert.notEqual(first.body.error?.code, 'replayed', `${method} ${path}`);
      assert.deepEqual([again.status, again.body.error?.code], [409, 'replayed'], `${method} ${path}`);
    }
  }

  // One booking for one key, whoever repeats it; another content with that key is refused.
  async idempotency() {
    const operation = this.document.paths['/api/payments'].post;
    const body = this.bodyOf(operation, { everything: true });
    const first = await this.told(this.ops, 'POST', '/api/payments', { body });
    const again = await Promise.all([1, 2, 3].map(() => ask(this.server, this.ops, 'POST', '/api/payments', { body })));
    for (const answer of again) assert.deepEqual(answer.body, first.body);
    const other = await this.told(this.ops, 'POST', '/api/payments', { body: { ...body, amount: '7' } });
    assert.deepEqual([other.status, other.body.error.code], [409, 'idempotency_conflict']);
  }
}

async function story(options) {
  const server = new Server({ ...options, set: [...(options.set ?? []), '/plugins/records/config/receive_window_ms=60000',
    '/plugins/records/config/replays_max=1048576'] });
  open.push(server);
  await server.start();
  const document = await (await fetch(`${server.http}/api/openapi.json`)).json();
  const it = new Story(server, document);
  await it.begin();
  await it.create();
  await it.lists();
  await it.isolation();
  await it.changes();
  await it.refusals();
  await it.idempotency();
  await it.replays();
  await it.attacked();
  const { body } = await it.told(it.ann, 'GET', '/api/settings');
  assert.equal(body.user_id, it.known.user_id, 'the users are there still');
  return it.answers;
}

test('everything that the document tells is so, alike on SQLite and on PostgreSQL [T7, S8]', async () => {
  const postgres = new Postgres();
  open.push(postgres);
  await postgres.start();
  postgres.run('createdb', '-h', postgres.folder, '-U', 'tenon', 'tenon');
  const onSqlite = await story({});
  const onPostgres = await story({ deployment: 'moderate', set: postgres.settings });
  assert.equal(onPostgres.length, onSqlite.length);
  for (const [i, answer] of onPostgres.entries()) assert.deepEqual(answer, onSqlite[i]);
  assert.ok(onSqlite.length > 1000, `${onSqlite.length} answers`);
});
