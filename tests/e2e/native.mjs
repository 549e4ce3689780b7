// SPDX-License-Identifier: Apache-2.0
// A client of the native API that knows its signature and nothing else.
import { createHmac } from 'node:crypto';

const used = new Map();

// Two equal requests get different times, so that both are new. Only those: with a time of its own
// for each request a fast client would run ahead of the clock.
function timestamp(content) {
  const at = Math.max(Date.now(), (used.get(content) ?? 0) + 1);
  used.set(content, at);
  return String(at);
}

export function signed(key, method, path, { query = '', body = '', at } = {}) {
  const content = [method, path, query, body].join('\n');
  const time = at ?? timestamp(`${key.api_key}\n${content}`);
  const text = `${time}\n${content}`;
  return {
    url: `${path}${query ? `?${query}` : ''}`,
    method,
    body: method === 'GET' ? undefined : body,
    headers: {
      'X-Tenon-Key': key.api_key,
      'X-Tenon-Timestamp': time,
      'X-Tenon-Signature': createHmac('sha256', key.secret).update(text).digest('hex'),
      ...(body ? { 'Content-Type': 'application/json' } : {}),
    },
  };
}

export async function send(server, { url, ...options }) {
  const response = await fetch(`${server.http}${url}`, options);
  const text = await response.text();
  const age = response.headers.get('x-tenon-age-ms');
  return {
    status: response.status, body: text ? JSON.parse(text) : undefined, text, ageMs: age === null ? undefined : Number(age),
  };
}

export function ask(server, key, method, path, { query = {}, body } = {}) {
  return send(server, signed(key, method, path, {
    query: new URLSearchParams(query).toString(),
    body: body === undefined ? '' : JSON.stringify(body),
  }));
}
