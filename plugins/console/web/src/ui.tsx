// Parts that the pages are made of. Whatever comes from the server is a text node.
import type { ComponentChildren, JSX } from 'preact';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, type Session } from './api';

export type Loaded<T> = { state: 'loading' } | { state: 'failed'; error: ApiError } | { state: 'ready'; value: T };

// Reads at once, and again every `seconds` while the page is seen; `again` reads now.
export function useLoaded<T>(read: () => Promise<T>, keys: unknown[], seconds = 0): [Loaded<T>, () => void] {
  const [loaded, set] = useState<Loaded<T>>({ state: 'loading' });
  const round = useRef(0);
  const again = useCallback(() => {
    const mine = ++round.current;
    read().then(
      (value) => { if (mine === round.current) set({ state: 'ready', value }); },
      (error: unknown) => {
        if (mine !== round.current) return;
        const told = error instanceof ApiError ? error : new ApiError(0, 'failed', 'Something went wrong.');
        set({ state: 'failed', error: told });
      });
  }, keys);
  useEffect(() => {
    set({ state: 'loading' });
    again();
    if (seconds === 0) return undefined;
    const timer = window.setInterval(() => { if (!document.hidden) again(); }, seconds * 1000);
    return () => {
      ++round.current;
      window.clearInterval(timer);
    };
  }, [again, seconds]);
  return [loaded, again];
}

// As high as a small table, so that what stands below does not move far.
export const Loading = (): JSX.Element => <p class="quiet loading" role="status">Loading…</p>;

// Sections that load by themselves are shown when all have an answer: none moves the next.
export const isLoading = (...all: Loaded<unknown>[]): boolean => all.some((one) => one.state === 'loading');

export function Shown<T>({ of, children }: { of: Loaded<T>; children: (value: T) => JSX.Element }): JSX.Element {
  if (of.state === 'loading') return <Loading />;
  if (of.state === 'failed') return <Failure error={of.error} />;
  return children(of.value);
}

export function Failure({ error }: { error: ApiError }): JSX.Element {
  if (error.code === 'absent') return <p class="quiet" role="status">Not in this deployment.</p>;
  if (error.status === 401) return <p class="quiet" role="status">Sign in to see this.</p>;
  if (error.status === 403) return <p class="quiet" role="status">Your role does not allow this.</p>;
  return <p class="bad" role="alert">{error.message}</p>;
}

export interface Column<Row> { head: string; cell: (row: Row) => ComponentChildren; number?: boolean }

export function Table<Row>({ caption, columns, rows, empty, id }: {
  caption: string; columns: Column<Row>[]; rows: Row[]; empty: string; id: (row: Row) => string | number;
}): JSX.Element {
  return (
    <div class="scroll" role="group" aria-label={caption} tabIndex={0}>
      <table>
        <caption>{caption}</caption>
        <thead><tr>{columns.map((c) => <th key={c.head} scope="col" class={c.number ? 'number' : ''}>{c.head}</th>)}</tr></thead>
        <tbody>
          {rows.length === 0 && <tr><td class="quiet" colSpan={columns.length}>{empty}</td></tr>}
          {rows.map((row) => (
            <tr key={id(row)}>{columns.map((c) => <td key={c.head} class={c.number ? 'number' : ''}>{c.cell(row)}</td>)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const moods: Record<string, string> = {
  healthy: 'good', started: 'good', done: 'good', dead: 'bad', applied: 'good', kept: 'good', critical: 'bad', rolled_back: 'bad', failed: 'bad', down: 'bad', firing: 'bad',
};

// The word carries the meaning, not the colour.
export const Badge = ({ state }: { state: string }): JSX.Element =>
  <span class={`badge ${moods[state] ?? 'warn'}`}>{state}</span>;

// A button that says what its work came to.
export function Action({ label, work, confirm, disabled = false }: {
  label: string; work: () => Promise<string>; confirm?: string; disabled?: boolean;
}): JSX.Element {
  const [busy, setBusy] = useState(false);
  const [asked, setAsked] = useState(false);
  const [said, say] = useState<{ text: string; bad: boolean } | undefined>();
  const run = (): void => {
    setAsked(false);
    setBusy(true);
    say(undefined);
    work().then((text) => { say({ text, bad: false }); },
      (error: unknown) => { say({ text: error instanceof Error ? error.message : 'It failed.', bad: true }); })
      .finally(() => { setBusy(false); });
  };
  return (
    <span class="action">
      {asked
        ? <><span>{confirm}</span> <button type="button" onClick={run}>Yes</button> <button type="button" class="plain" onClick={() => { setAsked(false); }}>No</button></>
        : <button type="button" disabled={busy || disabled} onClick={() => { if (confirm) setAsked(true); else run(); }}>{busy ? 'Working…' : label}</button>}
      <span role="status" class={said?.bad ? 'bad' : 'good'}>{said?.text ?? ''}</span>
    </span>
  );
}

export const operates = (session: Session): boolean => session.rights?.includes('operate') ?? false;

// A change that is asked why it is made. What else it needs to know are its children.
export function Reasoned({ label, of, work, children }: {
  label: string; of: string; work: (reason: string) => Promise<string>; children?: ComponentChildren;
}): JSX.Element {
  const [open, setOpen] = useState(false);
  const [reason, setReason] = useState('');
  const [busy, setBusy] = useState(false);
  const [said, say] = useState<{ text: string; bad: boolean } | undefined>();
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => { if (open && !children) field.current?.focus(); }, [open]);
  const send = (event: Event): void => {
    event.preventDefault();
    setBusy(true);
    say(undefined);
    Promise.resolve().then(() => work(reason.trim())).then((text) => {
      say({ text, bad: false });
      setOpen(false);
      setReason('');
    }, (error: unknown) => { say({ text: error instanceof Error ? error.message : 'It failed.', bad: true }); })
      .finally(() => { setBusy(false); });
  };
  return (
    <span class="action">
      {!open && <button type="button" class="plain" aria-label={`${label}: ${of}`} onClick={() => {
        say(undefined);
        setOpen(true);
      }}>{label}</button>}
      {open && (
        <form class="reasoned" onSubmit={send}>
          {children}
          <label><span class="unseen">Why</span>
            <input value={reason} required maxLength={200} pattern=".*\S.*" placeholder="Why?" autoComplete="off" ref={field}
              onInput={(event) => { setReason(event.currentTarget.value); }} />
          </label>
          <button type="submit" disabled={busy}>{busy ? 'Working…' : label}</button>
          <button type="button" class="plain" onClick={() => { setOpen(false); }}>Never mind</button>
        </form>
      )}
      <span role="status" class={said?.bad ? 'bad' : 'good'}>{said?.text ?? ''}</span>
    </span>
  );
}

export const when = (ms: number): string =>
  (ms > 0 ? new Date(ms).toLocaleString(undefined, { dateStyle: 'short', timeStyle: 'medium' }) : '–');

export function duration(ns: number): string {
  if (ns < 1000) return `${ns} ns`;
  if (ns < 1e6) return `${(ns / 1e3).toFixed(1)} µs`;
  return ns < 1e9 ? `${(ns / 1e6).toFixed(1)} ms` : `${(ns / 1e9).toFixed(2)} s`;
}
