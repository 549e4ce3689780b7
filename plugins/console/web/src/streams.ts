// One WebSocket for all market streams of the page, and one for the account's own events. Both come
// back by themselves, with a longer wait after each failure.
type Handler = (data: unknown) => void;

const origin = (): string => location.origin.replace(/^http/, 'ws');

export type Link = 'connecting' | 'live' | 'lost';

class Markets {
  private socket: WebSocket | undefined;
  private handlers = new Map<string, Set<Handler>>();
  private failures = 0;
  private nextId = 1;
  private watchers = new Set<(link: Link) => void>();
  private link: Link = 'connecting';
  private pending: { method: string; params: string[] }[] = [];
  private timer: number | undefined;

  on(stream: string, handler: Handler): () => void {
    const known = this.handlers.get(stream);
    if (known) {
      known.add(handler);
    } else {
      this.handlers.set(stream, new Set([handler]));
      this.queue('SUBSCRIBE', stream);
    }
    this.open();
    return () => {
      const all = this.handlers.get(stream);
      all?.delete(handler);
      if (all?.size === 0) {
        this.handlers.delete(stream);
        this.queue('UNSUBSCRIBE', stream);
      }
    };
  }

  watch(watcher: (link: Link) => void): () => void {
    this.watchers.add(watcher);
    watcher(this.link);
    return () => { this.watchers.delete(watcher); };
  }

  private tell(link: Link): void {
    this.link = link;
    for (const watcher of this.watchers) watcher(link);
  }

  // The server takes few messages a second: what comes together goes together.
  private queue(method: string, stream: string): void {
    const last = this.pending[this.pending.length - 1];
    if (last?.method === method) last.params.push(stream);
    else this.pending.push({ method, params: [stream] });
    if (this.timer === undefined) this.timer = window.setTimeout(() => { this.flush(); }, 30);
  }

  private flush(): void {
    this.timer = undefined;
    if (this.socket?.readyState !== WebSocket.OPEN) {
      this.pending = []; // opening subscribes to all
      return;
    }
    const next = this.pending.shift();
    if (!next) return;
    this.socket.send(JSON.stringify({ ...next, id: this.nextId++ }));
    if (this.pending.length > 0) this.timer = window.setTimeout(() => { this.flush(); }, 250);
  }

  private open(): void {
    if (this.socket && this.socket.readyState <= WebSocket.OPEN) return;
    const socket = new WebSocket(`${origin()}/stream`);
    this.socket = socket;
    socket.onopen = () => {
      this.failures = 0;
      this.tell('live');
      this.pending = [];
      const all = [...this.handlers.keys()];
      if (all.length > 0) socket.send(JSON.stringify({ method: 'SUBSCRIBE', params: all, id: this.nextId++ }));
    };
    socket.onmessage = (event) => {
      const message = JSON.parse(String(event.data)) as { stream?: string; data?: unknown };
      if (message.stream === undefined) return;
      for (const handler of this.handlers.get(message.stream) ?? []) handler(message.data);
    };
    socket.onclose = () => {
      this.tell('lost');
      if (this.handlers.size === 0) return;
      const wait = Math.min(30_000, 500 * 2 ** this.failures++) * (0.5 + Math.random() / 2);
      window.setTimeout(() => { if (this.handlers.size > 0) this.open(); }, wait);
    };
  }
}

export const markets = new Markets();

export interface AccountEvent { type: string; account: string; order?: Record<string, unknown>; balance?: Record<string, unknown> }

// Calls `handler` with each event and with undefined when it is connected: time to read anew.
export function accountEvents(handler: (event: AccountEvent | undefined) => void): () => void {
  let ended = false;
  let failures = 0;
  let socket: WebSocket;
  const open = (): void => {
    socket = new WebSocket(`${origin()}/api/console/live`);
    socket.onopen = () => {
      failures = 0;
      handler(undefined);
    };
    socket.onmessage = (event) => { handler(JSON.parse(String(event.data)) as AccountEvent); };
    socket.onclose = () => {
      if (ended) return;
      window.setTimeout(() => { if (!ended) open(); }, Math.min(30_000, 500 * 2 ** failures++));
    };
  };
  open();
  return () => {
    ended = true;
    socket.close();
  };
}
