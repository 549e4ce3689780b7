// SPDX-License-Identifier: Apache-2.0
// A client of the native API that knows its signature and nothing else.
import { createHmac } from 'node:crypto';

let last = 0;

// No two alike, so that two equal writes are two requests.
function timestamp() {
  last = Math.max(Date.now(), last + 1);
  return String(last);
}

export function signed(key, method, path, { query = '', body = '', at = timestamp() } = {}) {
  const text = [at, method, path, query, body].join('\n');
  return {
    url: `${path}${query ? `?${query}` : ''}`,
    method,
    body: method === 'GET' ? undefined : body,
    headers: {
      'X-Tenon-Key': key.api_key,
      'X-Tenon-Timestamp': at,
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
