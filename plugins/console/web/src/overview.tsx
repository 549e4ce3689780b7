// One page for who is called at night: what is wrong, why, what to do about it, and the button.
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Deeds, Findings, readAdvice, readEntries, type Advice, type Entries } from './advice';
import { ApiError, operate, operation, type Session } from './api';
import { Charts, readHistory } from './history';
import { Badge, Failure, Reasoned, Shown, operates, useLoaded, when } from './ui';
import { labelsText, type AlertRow, type PluginRow, type Report } from './server';

type Part<T> = { value: T } | { error: ApiError };

// Each part may be missing without the others.
const part = <T,>(read: Promise<T>): Promise<Part<T>> => read.then(
  (value) => ({ value }),
  (error: unknown) => ({ error: error instanceof ApiError ? error : new ApiError(0, 'failed', 'Something went wrong.') }));

function Of<T>({ of, children }: { of: Part<T>; children: (value: T) => JSX.Element }): JSX.Element {
  return 'error' in of ? <Failure error={of.error} /> : children(of.value);
}

// The page of etc/runbooks.md, loaded when it is opened first.
function Runbook({ at }: { at: string }): JSX.Element {
  const name = at.slice(at.lastIndexOf('#') + 1);
  const [open, setOpen] = useState(false);
  const [content, setContent] = useState('Loading…');
  useEffect(() => {
    if (!open) return;
    import('./runbooks').then(({ runbooks }) => { setContent(runbooks[name] ?? `See ${at}.`); }, () => { setContent(`See ${at}.`); });
  }, [open, name]);
  return (
    <details onToggle={(event) => { setOpen(event.currentTarget.open); }}>
      <summary>What to do</summary>
      <pre>{content}</pre>
    </details>
  );
}

function Firing({ alerts }: { alerts: AlertRow[] }): JSX.Element {
  const firing = alerts.filter((one) => one.state === 'firing' && !one.silenced)
    .sort((a, b) => Number(b.severity === 'critical') - Number(a.severity === 'critical') || a.fired_ms - b.fired_ms);
  if (firing.length === 0) return <p class="quiet">No alert fires.</p>;
  return (
    <>
      {firing.map((one) => (
        <article class="panel finding" key={JSON.stringify([one.rule, one.severity, one.labels])}>
          <h3><Badge state={one.severity} /> {one.summary || one.rule}</h3>
          <p>{one.rule} since {when(one.fired_ms || one.since_ms)}: {String(one.value ?? '–')} {labelsText(one.labels)}</p>
          {one.runbook && <Runbook at={one.runbook} />}
        </article>
      ))}
    </>
  );
}

function Restart({ plugin, session, done }: { plugin: string; session: Session; done: () => void }): JSX.Element | null {
  if (!operates(session)) return null;
  return <Reasoned label="Restart" of={plugin} work={async (reason) => {
    await operate('plugin-restart', { plugin, reason });
    done();
    return 'Started again';
  }} />;
}

function Unwell({ report, plugins, session, done }: { report: Report; plugins: PluginRow[]; session: Session; done: () => void }): JSX.Element {
  const failed = plugins.filter((one) => one.state !== 'started');
  const unwell = report.components.filter((one) => one.state !== 'healthy');
  if (failed.length === 0 && unwell.length === 0) return <p class="quiet">All plugins and components are well.</p>;
  return (
    <>
      {failed.map((one) => (
        <article class="panel finding" key={`plugin ${one.name}`}>
          <h3><Badge state={one.state} /> plugin {one.name}</h3>
          <p>{one.error || 'It gives no reason.'}</p>
          {one.state === 'failed' && <Restart plugin={one.name} session={session} done={done} />}
        </article>
      ))}
      {unwell.map((one) => (
        <article class="panel finding" key={`${one.plugin} ${one.component}`}>
          <h3><Badge state={one.state} /> {one.plugin} / {one.component}</h3>
          <p>{one.reason || 'It gives no reason.'} Since {when(one.since)}.</p>
          {one.state === 'critical' && plugins.some((plugin) => plugin.name === one.plugin) && <Restart plugin={one.plugin} session={session} done={done} />}
        </article>
      ))}
    </>
  );
}

const trends = ['cpu', 'http_p99', 'http_errors', 'db_p95'];

export function Overview({ session }: { session: Session }): JSX.Element {
  // Together, so that nothing moves when one comes later.
  const [all, again] = useLoaded(async () => {
    const [report, plugins, alerts, advice, entries, history] = await Promise.all([
      part(operation<Report>('status')), part(operation<PluginRow[]>('plugins')), part(operation<{ alerts: AlertRow[] }>('alerts')),
      part<Advice>(readAdvice()), part<Entries>(readEntries()), part(readHistory(trends, 3600, 30))]);
    return { report, plugins, alerts, advice, entries, history };
  }, [], 5);
  return (
    <Shown of={all}>
      {({ report, plugins, alerts, advice, entries, history }) => (
        <>
          <Of of={report}>{(now) => <p role="status">The server is <Badge state={now.state} />{now.ready ? ' and ready.' : ' and not ready.'}</p>}</Of>
          <div class="columns">
            <section><h2>Alerts</h2><Of of={alerts}>{(now) => <Firing alerts={now.alerts} />}</Of></section>
            <section><h2>Health</h2>
              <Of of={report}>{(now) => <Unwell report={now} plugins={'value' in plugins ? plugins.value : []} session={session} done={again} />}</Of>
            </section>
            <section><h2>Recommendations</h2><Of of={advice}>{(now) => <Findings advice={now} session={session} done={again} />}</Of></section>
          </div>
          <section><h2>The last hour</h2><Of of={history}>{(now) => <Charts answer={now} />}</Of></section>
          {'value' in entries && entries.value.entries.length > 0 && (
            <section><h2>Done lately</h2><Deeds entries={entries.value.entries.slice(0, 5)} session={session} done={again} /></section>
          )}
        </>
      )}
    </Shown>
  );
}
