// Recommendations: what was measured, what would be changed, what is promised and what may go wrong;
// applied as an experiment that is measured, and taken back where the promise is not kept.
import type { ComponentChildren, JSX } from 'preact';
import { operate, operation, type Session } from './api';
import { Action, Badge, Loading, Reasoned, Shown, Table, isLoading, operates, useLoaded, when, type Loaded } from './ui';

interface Promised { metric: string; direction: string; effect: number }
export interface Recommendation {
  id: string; kind: string; title: string; knob: { plugin: string; pointer: string } | null; from: unknown; to: unknown; unit?: string;
  promise: Promised | null; evidence: string; risk: string; confidence: number; applicable: boolean; why_not?: string; state: string; since_ms: number;
}
interface Experiment {
  id: string; phase: string; by: string; began_ms: number; ends_ms: number; windows_done: number; windows: number; metric: string;
  before: number | null; after: number | null;
}
export interface Advice { at_ms: number; auto: boolean; cool_down_until_ms?: number; experiment: Experiment | null; advice: Recommendation[] }
interface Entry { seq: number; time_ms: number; by: string; event: string; id: string; from?: unknown; to?: unknown; reason?: string; detail?: unknown }
export interface Entries { entries: Entry[] }

export const readAdvice = (): Promise<Advice> => operation<Advice>('recommendations');
export const readEntries = (): Promise<Entries> => operation<Entries>('recommendation-history');

const shown = (value: unknown): string => (value === undefined || value === null ? '–' : typeof value === 'string' ? value : JSON.stringify(value));
const percent = (share: number): string => `${Math.round(share * 100)} %`;
const measured = (value: number | null | undefined): string => (typeof value === 'number' ? value.toPrecision(3) : 'not yet');

function promised(one: Promised | null): string {
  return one === null ? 'Nothing that can be measured is promised.' : `${one.metric} ${one.direction} by at least ${percent(one.effect)}.`;
}

export function Trial({ of, session, done }: { of: Experiment; session: Session; done: () => void }): JSX.Element {
  return (
    <article class="panel finding">
      <h3>Being tried: {of.id}</h3>
      <p><Badge state={of.phase} /> {of.windows_done} of {of.windows} windows; ends {when(of.ends_ms)}; begun by {of.by}.</p>
      <p>{of.metric}: before {measured(of.before)}, after {measured(of.after)}.</p>
      {operates(session) && <Action label="Take back" work={async () => {
        await operate('recommendation-rollback', { id: of.id, reason: 'taken back in the console' });
        done();
        return 'Taken back';
      }} />}
    </article>
  );
}

export function Finding({ of, session, done }: { of: Recommendation; session: Session; done: () => void }): JSX.Element {
  return (
    <article class="panel finding">
      <h3>{of.title}</h3>
      <p>{of.evidence}</p>
      <dl class="facts">
        {of.knob && <div><dt>Change</dt><dd><code>{of.knob.plugin}{of.knob.pointer.replace(/\//g, '.')}</code> from {shown(of.from)} to {shown(of.to)} {of.unit ?? ''}</dd></div>}
        <div><dt>Promise</dt><dd>{promised(of.promise)}</dd></div>
        <div><dt>Risk</dt><dd>{of.risk}</dd></div>
        <div><dt>Confidence</dt><dd>{percent(of.confidence)}</dd></div>
      </dl>
      {!of.applicable && <p class="quiet">This one is for you to do{of.why_not ? `: ${of.why_not}` : '.'}</p>}
      {operates(session) && of.state === 'open' && (
        <p class="doing">
          {of.applicable && <Action label="Apply and measure" work={async () => {
            await operate('recommendation-apply', { id: of.id });
            done();
            return 'Begun: it is measured, and taken back if it does not keep its promise';
          }} />}{' '}
          <Reasoned label="Dismiss" of={of.title} work={async (reason) => {
            await operate('recommendation-dismiss', { id: of.id, reason });
            done();
            return 'Dismissed';
          }} />
        </p>
      )}
    </article>
  );
}

export function Findings({ advice, session, done }: { advice: Advice; session: Session; done: () => void }): JSX.Element {
  return (
    <>
      {advice.experiment && <Trial of={advice.experiment} session={session} done={done} />}
      {advice.advice.length === 0 && !advice.experiment && <p class="quiet">Nothing is recommended.</p>}
      {advice.advice.filter((one) => one.state !== 'trial').map((one) => <Finding key={one.id} of={one} session={session} done={done} />)}
    </>
  );
}

export function Deeds({ entries, session, done }: { entries: Entry[]; session: Session; done: () => void }): JSX.Element {
  // What was kept last can be taken back, once.
  const last = new Map<string, Entry>();
  for (const one of [...entries].sort((a, b) => a.seq - b.seq)) last.set(one.id, one);
  return (
    <Table caption="What was tried, and what came of it" rows={entries} empty="Nothing has been tried." id={(one) => one.seq} columns={[
      { head: 'Time', cell: (one) => when(one.time_ms) },
      { head: 'Who', cell: (one) => one.by },
      { head: 'What', cell: (one) => <Badge state={one.event} /> },
      { head: 'Of', cell: (one) => one.id },
      { head: 'From', cell: (one) => shown(one.from) },
      { head: 'To', cell: (one) => shown(one.to) },
      { head: 'Why', cell: (one) => one.reason ?? '' },
      { head: 'Measured', cell: (one) => (one.detail ? <details><summary>Figures</summary><pre>{JSON.stringify(one.detail, null, 1)}</pre></details> : '') },
      { head: 'Do', cell: (one) => (operates(session) && one.event === 'kept' && last.get(one.id) === one ? <Action label="Take back" work={async () => {
        await operate('recommendation-rollback', { id: one.id, reason: 'taken back in the console' });
        done();
        return 'Taken back';
      }} /> : '') },
    ]} />
  );
}

// What stands below comes when they are there: it would be moved.
export function Recommendations({ session, children }: { session: Session; children: ComponentChildren }): JSX.Element {
  const [both, again]: [Loaded<{ advice: Advice; entries: Entries }>, () => void] = useLoaded(async () => {
    const [advice, entries] = await Promise.all([readAdvice(), readEntries()]);
    return { advice, entries };
  }, [], 10);
  if (isLoading(both)) return <Loading />;
  return (
    <>
    <Shown of={both}>
      {({ advice, entries }) => (
        <>
          <p class="quiet">Judged last: {when(advice.at_ms)}. {advice.auto ? 'What is allowed is applied by itself.' : 'Nothing is applied by itself.'}</p>
          <Findings advice={advice} session={session} done={again} />
          <section><h2>History</h2><Deeds entries={entries.entries} session={session} done={again} /></section>
        </>
      )}
    </Shown>
    {children}
    </>
  );
}
