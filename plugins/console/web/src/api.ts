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
  user?: boolean; // with a password, not with a key
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
export const changePassword = async (body: unknown): Promise<Session> => keep(await post<Session>('/api/console/password', body));

// A private key in PEM (PKCS #8, Ed25519) signs what the server gives; it does not leave the browser.
export async function signInByKey(apiKey: string, pem: string): Promise<Session> {
  const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  if (!crypto.subtle) throw new Error('A private key needs TLS, or this machine\'s own server.');
  let key: CryptoKey;
  try {
    const der = bytes(pem.replace(/-----[A-Z ]+-----/g, '').replace(/\s/g, ''));
    key = await crypto.subtle.importKey('pkcs8', der, 'Ed25519', false, ['sign']);
  } catch {
    throw new Error('This is no Ed25519 private key in PEM, or this browser knows no Ed25519.');
  }
  const { challenge } = await get<{ challenge: string }>('/api/console/challenge');
  const text = new TextEncoder().encode(`tenon-console-sign-in\n${location.host}\n${challenge}`);
  const signature = btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.sign('Ed25519', key, text))));
  return signIn({ api_key: apiKey, challenge, signature });
}
