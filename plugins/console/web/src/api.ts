// What the page asks of the server. Every failure is an ApiError with a text for people.
export class ApiError extends Error {
  constructor(readonly status: number, readonly code: string, message: string) {
    super(message);
  }
}

export interface Session {
  signed_in: boolean;
  name?: string;
  roles?: string[];
  rights?: string[];
  accounts?: string[];
  csrf?: string;
  users?: boolean;
  keys?: boolean;
}

let csrf = '';
let onSignedOut = (): void => {};

export function whenSignedOut(handler: () => void): void {
  onSignedOut = handler;
}

async function request<T>(method: string, path: string, options: { body?: unknown; background?: boolean } = {}): Promise<T> {
  const headers: Record<string, string> = {};
  if (options.background) headers['X-Tenon-Background'] = '1';
  const init: RequestInit = { method, headers, credentials: 'same-origin' };
  if (method !== 'GET') {
    headers['Content-Type'] = 'application/json';
    headers['X-CSRF-Token'] = csrf;
    init.body = JSON.stringify(options.body ?? {});
  }
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new ApiError(0, 'offline', 'The server does not answer.');
  }
  const text = await response.text();
  let parsed: unknown;
  try {
    parsed = text === '' ? {} : JSON.parse(text);
  } catch {
    parsed = undefined;
  }
  if (response.ok && parsed !== undefined) return parsed as T;
  const told = (parsed as { error?: { code?: string; message?: string }; msg?: string } | undefined);
  const message = told?.error?.message ?? told?.msg ?? `The server answered ${response.status}.`;
  if (response.status === 401 && told?.error?.code === 'signed_out') onSignedOut();
  throw new ApiError(response.status, told?.error?.code ?? 'failed', message);
}

export const get = <T>(path: string, background = false): Promise<T> => request<T>('GET', path, { background });
export const post = <T>(path: string, body: unknown): Promise<T> => request<T>('POST', path, { body });

// Of the admin socket: what is behind {"ok":…}.
export async function operation<T>(name: string, background = true): Promise<T> {
  return (await get<{ ok: T }>(`/api/console/operations/${name}`, background)).ok;
}

export async function operate<T>(name: string, body: unknown = {}): Promise<T> {
  return (await post<{ ok: T }>(`/api/console/operations/${name}`, body)).ok;
}

function keep(session: Session): Session {
  csrf = session.csrf ?? '';
  return session;
}

export const whoAmI = async (): Promise<Session> => keep(await get<Session>('/api/console/session'));
export const signIn = async (body: unknown): Promise<Session> => keep(await post<Session>('/api/console/session', body));
export const signOut = async (): Promise<Session> => keep(await request<Session>('DELETE', '/api/console/session'));
