// How the server works inside, and what an operator may do about it. Each page says when what it
// shows is not part of this deployment.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { operate, operation, type Session } from './api';
import { Recommendations } from './advice';
import { HistoryPage } from './history';
import { Jobs } from './jobs';
import { Overview } from './overview';
import { SettingsPage } from './settings';
import { Action, Badge, Loading, Reasoned, Shown, Table, duration, isLoading, operates, useLoaded, when } from './ui';

interface Props { session: Session }

export interface Report {
  state: string; ready: boolean;
  components: { plugin: string; component: string; state: string; reason: string; since: number }[];
}

function Health(_: Props): JSX.Element {
  const [report] = useLoaded(() => operation<Report>('status'), [], 5);
  return (
    <Shown of={report}>
      {(now) => (
        <>
          <p role="status">The server is <Badge state={now.state} />{now.ready ? ' and ready.' : ' and not ready.'}</p>
          <Table caption="Components" rows={now.components} empty="No component reports." id={(one) => `${one.plugin} ${one.component}`} columns={[
            { head: 'Plugin', cell: (one) => one.plugin },
            { head: 'Component', cell: (one) => one.component },
            { head: 'State', cell: (one) => <Badge state={one.state} /> },
            { head: 'Since', cell: (one) => when(one.since) },
            { head: 'Reason', cell: (one) => one.reason },
          ]} />
        </>
      )}
    </Shown>
  );
}

export interface AlertRow {
  rule: string; state: string; severity: string; labels: unknown; value: unknown; since_ms: number; fired_ms: number;
  silenced?: unknown; summary: string; runbook?: string;
}

export const labelsText = (labels: unknown): string => (typeof labels === 'string' ? labels : JSON.stringify(labels ?? {}));

function Alerts({ session }: Props): JSX.Element {
  const [alerts, again] = useLoaded(() => operation<{ at_ms: number; alerts: AlertRow[] }>('alerts'), [], 5);
  return (
    <>
      <Shown of={alerts}>
        {(now) => (
          <>
            <p class="quiet">Judged last: {when(now.at_ms)}</p>
            <Table caption="Alerts" rows={now.alerts} empty="Nothing is wrong." id={(one) => JSON.stringify([one.rule, one.severity, one.labels])} columns={[
              { head: 'Alert', cell: (one) => one.rule },
              { head: 'State', cell: (one) => <Badge state={one.silenced ? 'silenced' : one.state} /> },
              { head: 'Severity', cell: (one) => one.severity },
              { head: 'Since', cell: (one) => when(one.fired_ms || one.since_ms) },
              { head: 'What', cell: (one) => one.summary },
              { head: 'Of', cell: (one) => labelsText(one.labels) },
            ]} />
          </>
        )}
      </Shown>
      {operates(session) && <Action label="Read the rules again" work={async () => {
        await operate('alerts-reload');
        again();
        return 'Done';
      }} />}
    </>
  );
}

interface CacheRow { hit_rate: number; size: number; hits: number; misses: number; evictions: number; loads: number; load_errors: number }

function Caches({ session }: Props): JSX.Element {
  const [caches, again] = useLoaded(() => operation<Record<string, CacheRow>>('caches'), [], 5);
  return (
    <Shown of={caches}>
      {(now) => (
        <Table caption="Caches" rows={Object.entries(now).filter(([, one]) => typeof one === 'object' && 'hits' in one)} empty="There are no caches." id={([name]) => name} columns={[
          { head: 'Cache', cell: ([name]) => name },
          { head: 'Hit rate', number: true, cell: ([, one]) => (one.hits + one.misses === 0 ? '–' : `${(one.hit_rate * 100).toFixed(1)} %`) },
          { head: 'Entries', number: true, cell: ([, one]) => one.size },
          { head: 'Hits', number: true, cell: ([, one]) => one.hits },
          { head: 'Misses', number: true, cell: ([, one]) => one.misses },
          { head: 'Evicted', number: true, cell: ([, one]) => one.evictions },
          { head: 'Failed loads', number: true, cell: ([, one]) => one.load_errors },
          { head: 'Do', cell: ([name]) => (operates(session) ? <Action label="Empty" confirm={`Empty ${name}?`} work={async () => {
            await operate('cache-invalidate', { cache: name });
            again();
            return 'Emptied';
          }} /> : '') },
        ]} />
      )}
    </Shown>
  );
}

interface Limit { level: string; rate_per_second: number; burst: number; keys: number; taken: number; limited: number }

const levels = ['conservative', 'moderate', 'aggressive'];

function LevelChoice({ name, level, done }: { name: string; level: string; done: () => void }): JSX.Element {
  const [chosen, choose] = useState(levels.includes(level) ? level : levels[0] ?? '');
  return (
    <>
      <label><span class="unseen">Level of {name}</span>
        <select value={chosen} onChange={(event) => { choose(event.currentTarget.value); }}>{levels.map((one) => <option key={one}>{one}</option>)}</select>
      </label>{' '}
      <Action label="Set" disabled={chosen === level} work={async () => {
        await operate('throttle-level', { limit: name, level: chosen });
        done();
        return 'Set';
      }} />
    </>
  );
}

function Limits({ session }: Props): JSX.Element {
  const [limits, again] = useLoaded(() => operation<Record<string, Limit>>('throttles'), [], 5);
  return (
    <Shown of={limits}>
      {(now) => (
        <Table caption="Limits" rows={Object.entries(now).filter(([, one]) => typeof one === 'object')} empty="There are no limits." id={([name]) => name} columns={[
          { head: 'Limit', cell: ([name]) => name },
          { head: 'Level', cell: ([, one]) => one.level },
          { head: 'Per second', number: true, cell: ([, one]) => one.rate_per_second },
          { head: 'Burst', number: true, cell: ([, one]) => one.burst },
          { head: 'Keys', number: true, cell: ([, one]) => one.keys },
          { head: 'Let through', number: true, cell: ([, one]) => one.taken },
          { head: 'Refused', number: true, cell: ([, one]) => one.limited },
          { head: 'Do', cell: ([name, one]) => (operates(session) ? <LevelChoice name={name} level={one.level} done={again} /> : '') },
        ]} />
      )}
    </Shown>
  );
}

interface Sample { name: string; labels: string; value: string }

// What /metrics says of databases and their pools.
async function databaseSamples(): Promise<Sample[]> {
  const response = await fetch('/metrics', { headers: { 'X-Tenon-Background': '1' } });
  if (!response.ok) return [];
  const samples: Sample[] = [];
  for (const line of (await response.text()).split('\n')) {
    const match = /^(tenon_db_(?:pool|query_cache|errors|retries|follower|slow)[a-z_]*)(\{[^}]*\})? (\S+)/.exec(line);
    if (match && !match[1]?.endsWith('_bucket')) samples.push({ name: match[1] ?? '', labels: match[2] ?? '', value: match[3] ?? '' });
  }
  return samples;
}

interface StatementRow {
  fingerprint: string; sql: string; calls: number; rows: number; errors: number; slow: number; total_ns: number; max_ns: number; p95_ns: number;
}
interface PlanNode { depth: number; detail: string }
interface PlanRow { fingerprint: string; sql: string; plan: { nodes: PlanNode[] } | null; plan_changes: number }

const statementColumns = (plans: PlanRow[]) => [
  { head: 'Statement', cell: (one: StatementRow) => {
    const plan = plans.find((other) => other.fingerprint === one.fingerprint);
    return (
      <details>
        <summary><code>{one.sql.length > 90 ? `${one.sql.slice(0, 90)}…` : one.sql}</code></summary>
        <pre>{one.sql}</pre>
        <pre>{plan?.plan ? plan.plan.nodes.map((node) => `${'  '.repeat(node.depth)}${node.detail}`).join('\n') : 'No plan is known.'}</pre>
        {plan && plan.plan_changes > 0 && <p>Its plan has changed {plan.plan_changes} times.</p>}
      </details>
    );
  } },
  { head: 'Calls', number: true, cell: (one: StatementRow) => one.calls },
  { head: 'Slow', number: true, cell: (one: StatementRow) => one.slow },
  { head: 'p95', number: true, cell: (one: StatementRow) => duration(one.p95_ns) },
  { head: 'Longest', number: true, cell: (one: StatementRow) => duration(one.max_ns) },
  { head: 'All', number: true, cell: (one: StatementRow) => duration(one.total_ns) },
];

interface SlowRow { sql?: string; duration_ns?: number; real_ns?: number; rows?: number; fingerprint?: string }

function Data(_: Props): JSX.Element {
  const [samples] = useLoaded(databaseSamples, [], 5);
  const [statements] = useLoaded(() => operation<{ slow: SlowRow[]; costliest: StatementRow[] }>('slow-queries'), [], 15);
  const [plans] = useLoaded(() => operation<{ plans: PlanRow[] }>('plans'), [], 60);
  const known = plans.state === 'ready' ? plans.value.plans : [];
  if (isLoading(samples, statements, plans)) return <Loading />;
  return (
    <>
      <section><h2>Pools and query caches</h2>
        <Shown of={samples}>
          {(rows) => (
            <Table caption="Pools" rows={rows} empty="No database tells anything." id={(one) => one.name + one.labels} columns={[
              { head: 'Metric', cell: (one) => <code>{one.name}</code> },
              { head: 'Of', cell: (one) => one.labels.replace(/[{}"]/g, '') },
              { head: 'Value', number: true, cell: (one) => one.value },
            ]} />
          )}
        </Shown>
      </section>
      <section><h2>Slow statements</h2>
        <Shown of={statements}>
          {(now) => (
            <>
              <Table caption="Latest slow statements" rows={now.slow} empty="None was slow." id={(one) => JSON.stringify(one)} columns={[
                { head: 'Time', cell: (one) => when((one.real_ns ?? 0) / 1e6) },
                { head: 'Took', number: true, cell: (one) => duration(one.duration_ns ?? 0) },
                { head: 'Statement', cell: (one) => <code>{one.sql ?? one.fingerprint ?? ''}</code> },
              ]} />
              <Table caption="Costliest statements, with their plans" rows={now.costliest} empty="No statement has been captured." id={(one) => one.fingerprint} columns={statementColumns(known)} />
            </>
          )}
        </Shown>
      </section>
    </>
  );
}

interface Proposal { name?: string; table?: string; sql?: string; gain_ns?: number; size_bytes?: number; why?: string; reason?: string }
interface Advice { proposals?: Proposal[]; unused?: string[]; redundant?: { name: string; by: string }[]; complete?: boolean }

const AdvicePage = ({ session }: Props): JSX.Element => (
  <Recommendations session={session}>
    <section><h2>Indexes</h2><IndexAdvice session={session} /></section>
  </Recommendations>
);

function IndexAdvice({ session }: Props): JSX.Element {
  const [advice, setAdvice] = useState<Advice | undefined>();
  if (!operates(session)) return <p class="quiet" role="status">Advice is looked for and applied by operators.</p>;
  const columns = [
    { head: 'Index', cell: (one: Proposal) => one.name ?? '' },
    { head: 'Statement', cell: (one: Proposal) => <code>{one.sql ?? one.table ?? ''}</code> },
    { head: 'Gain', number: true, cell: (one: Proposal) => (one.gain_ns === undefined ? '–' : duration(one.gain_ns)) },
    { head: 'Why', cell: (one: Proposal) => one.reason ?? one.why ?? '' },
  ];
  return (
    <>
      <p>Indexes that would make the captured statements cheaper are tried on a copy of the database. That takes up to a minute.</p>
      <p><Action label="Look for advice" work={async () => {
        setAdvice(await operate<Advice>('advice'));
        return 'Looked';
      }} /></p>
      {advice && (
        <>
          <Table caption="Proposed indexes" rows={advice.proposals ?? []} empty="Nothing would gain." id={(one) => JSON.stringify(one)} columns={columns} />
          <Table caption="Indexes that nobody needs" empty="All are of use." id={(one) => one.name}
            rows={[...(advice.unused ?? []).map((name) => ({ name, why: 'in no plan' })), ...(advice.redundant ?? []).map((one) => ({ name: one.name, why: `covered by ${one.by}` }))]}
            columns={[{ head: 'Index', cell: (one) => one.name }, { head: 'Why', cell: (one) => one.why }]} />
          {advice.complete === false && <p class="warn">The time was up before all had been tried.</p>}
        </>
      )}
      <p><Action label="Apply what gains" confirm="Create the proposed indexes? Those that do not gain are dropped again." work={async () => {
        await operate('advice-apply');
        return 'Applied';
      }} /></p>
      <p><Action label="Which applied ones do not gain?" work={async () => {
        const said = await operate<Record<string, unknown>>('advice-withdraw');
        return JSON.stringify(said);
      }} /></p>
    </>
  );
}

export interface PluginRow { name: string; id: string; version: string; state: string; error: string; provides: string[] }

function Plugins({ session }: Props): JSX.Element {
  const [plugins, again] = useLoaded(() => operation<PluginRow[]>('plugins'), [], 10);
  return (
    <Shown of={plugins}>
      {(rows) => (
        <Table caption="Plugins, in the order of their start" rows={rows} empty="There are none." id={(one) => one.name} columns={[
          { head: 'Name', cell: (one) => one.name },
          { head: 'State', cell: (one) => <Badge state={one.state} /> },
          { head: 'Id', cell: (one) => one.id },
          { head: 'Version', cell: (one) => one.version },
          { head: 'Gives', cell: (one) => one.provides.join(', ') },
          { head: 'Error', cell: (one) => one.error },
          { head: 'Do', cell: (one) => (operates(session) && one.state === 'held' ? <Action label="Release" work={async () => {
            await operate('plugin-release', { plugin: one.name });
            again();
            return 'Starts again with the server';
          }} /> : operates(session) ? <Reasoned label="Restart" of={one.name} work={async (reason) => {
            await operate('plugin-restart', { plugin: one.name, reason });
            again();
            return 'Started again';
          }} /> : '') },
        ]} />
      )}
    </Shown>
  );
}

interface AuditRow { time?: string; time_ms?: number; at?: string; actor: string; action: string; subject?: string; detail?: unknown }

function Audit(_: Props): JSX.Element {
  const [audit, again] = useLoaded(() => operation<AuditRow[]>('audit'), []);
  // Reading it costs the server a walk through the whole log: only when asked.
  return (
    <>
    <p><button type="button" onClick={again}>Read again</button></p>
    <Shown of={audit}>
      {(rows) => (
        <Table caption="Who did what, newest first" rows={[...rows].reverse()} empty="Nothing has been done." id={(one) => JSON.stringify(one)} columns={[
          { head: 'Time', cell: (one) => one.time ?? one.at ?? when(one.time_ms ?? 0) },
          { head: 'Who', cell: (one) => one.actor },
          { head: 'What', cell: (one) => one.action },
          { head: 'To', cell: (one) => one.subject ?? '' },
          { head: 'Detail', cell: (one) => (one.detail === undefined || one.detail === null ? '' : JSON.stringify(one.detail)) },
        ]} />
      )}
    </Shown>
    </>
  );
}

export const serverPages: { path: string; title: string; right: string; view: (props: Props) => JSX.Element }[] = [
  { path: 'overview', title: 'Overview', right: 'watch', view: Overview },
  { path: 'health', title: 'Health', right: 'watch', view: Health },
  { path: 'alerts', title: 'Alerts', right: 'watch', view: Alerts },
  { path: 'history', title: 'History', right: 'watch', view: HistoryPage },
  { path: 'caches', title: 'Caches', right: 'watch', view: Caches },
  { path: 'limits', title: 'Limits', right: 'watch', view: Limits },
  { path: 'data', title: 'Data', right: 'watch', view: Data },
  { path: 'advice', title: 'Advice', right: 'watch', view: AdvicePage },
  { path: 'settings', title: 'Settings', right: 'watch', view: SettingsPage },
  { path: 'plugins', title: 'Plugins', right: 'watch', view: Plugins },
  { path: 'jobs', title: 'Jobs', right: 'watch', view: Jobs },
  { path: 'audit', title: 'Audit', right: 'operate', view: Audit },
];
