// What runs by itself and what an operator looks after: the queue of jobs, backups, archives, moves, the schema.
import type { JSX } from 'preact';
import { operate, operation, type Session } from './api';
import { Action, Badge, Loading, Shown, Table, isLoading, operates, useLoaded, when } from './ui';

interface QueueRow { queued: number; running: number; dead: number; oldest_due_real_ns: number }
interface JobRow {
  id: number; queue: string; kind: string; status: string; attempts: number; attempts_max: number; updated_real_ns: number;
  owner: string | null; last_error: string;
}
interface ScheduleRow { name: string; rule: string; queue: string; kind: string; next_real_ns: number }
interface Archives {
  archives: { id: string; table: string; state: string; rows: number; bytes: number; from_real_ns: number; to_real_ns: number }[];
  holds: { id: string; table: string; reason: string; since_real_ns: number }[];
  damaged: string[];
}
interface BackupRow { id: string; label?: string; finished_at?: string; to?: string; bytes?: number; proven_at?: string | null; failed?: unknown }
interface MigrationRow { version: number; name: string; state: string; applied_at: number | null; ms: number | null }

function Fields({ of, caption }: { of: Record<string, unknown>; caption: string }): JSX.Element {
  return <Table caption={caption} rows={Object.entries(of)} empty="Nothing to tell." id={([key]) => key} columns={[
    { head: 'What', cell: ([key]) => key },
    { head: 'Value', cell: ([, value]) => (typeof value === 'object' ? JSON.stringify(value) : String(value)) },
  ]} />;
}

const jobColumns = [
  { head: 'Job', number: true, cell: (one: JobRow) => one.id },
  { head: 'Queue', cell: (one: JobRow) => one.queue },
  { head: 'Kind', cell: (one: JobRow) => one.kind },
  { head: 'State', cell: (one: JobRow) => <Badge state={one.status} /> },
  { head: 'Attempts', number: true, cell: (one: JobRow) => `${one.attempts} of ${one.attempts_max}` },
  { head: 'Changed', cell: (one: JobRow) => when(one.updated_real_ns / 1e6) },
  { head: 'Server', cell: (one: JobRow) => one.owner ?? '' },
  { head: 'Error', cell: (one: JobRow) => one.last_error },
];

export function Jobs({ session }: { session: Session }): JSX.Element {
  const [backups, again] = useLoaded(() => operation<BackupRow[] | { backups: BackupRow[] }>('backups'), [], 15);
  const [imports] = useLoaded(() => operation<Record<string, unknown>>('imports'), [], 10);
  const [copy] = useLoaded(() => operation<Record<string, unknown>>('copy'), [], 10);
  const [schema] = useLoaded(() => operation<{ current: number; latest: number; migrations: MigrationRow[] }>('schema'), [], 60);
  const [queues, queuesAgain] = useLoaded(() => operation<Record<string, QueueRow>>('job-queues'), [], 5);
  const [dead, deadAgain] = useLoaded(() => operation<JobRow[]>('dead-jobs'), [], 10);
  const [latest, latestAgain] = useLoaded(() => operation<JobRow[]>('jobs'), [], 5);
  const [schedules] = useLoaded(() => operation<ScheduleRow[]>('job-schedules'), [], 15);
  const [archives, archivesAgain] = useLoaded(() => operation<Archives>('archives'), [], 30);
  if (isLoading(queues, dead, latest, schedules, backups, archives, imports, copy, schema)) return <Loading />;
  const seeAgain = (): void => {
    queuesAgain();
    deadAgain();
    latestAgain();
  };
  return (
    <>
      <section><h2>Queues</h2>
        <Shown of={queues}>
          {(now) => (
            <Table caption="Queues, of all servers" rows={Object.entries(now)} empty="No job waits, runs or is dead." id={([name]) => name} columns={[
              { head: 'Queue', cell: ([name]) => name },
              { head: 'Waiting', number: true, cell: ([, one]) => one.queued },
              { head: 'Running', number: true, cell: ([, one]) => one.running },
              { head: 'Dead', number: true, cell: ([, one]) => one.dead },
              { head: 'Oldest due', cell: ([, one]) => (one.oldest_due_real_ns === 0 ? '–' : when(one.oldest_due_real_ns / 1e6)) },
            ]} />
          )}
        </Shown>
      </section>
      {dead.state === 'ready' && (
        <section><h2>Dead jobs</h2>
          <p class="quiet">They failed in each of their attempts. Replayed they are tried anew, discarded they are gone.</p>
          <Table caption="Dead jobs" rows={dead.value} empty="None is dead." id={(one) => one.id} columns={[
            ...jobColumns,
            { head: 'Do', cell: (one) => (operates(session) ? (
              <>
                <Action label="Replay" work={async () => {
                  await operate('job-replay', { id: String(one.id) });
                  seeAgain();
                  return 'Queued again';
                }} />{' '}
                <Action label="Discard" confirm={`Discard job ${one.id}?`} work={async () => {
                  await operate('job-discard', { id: String(one.id) });
                  seeAgain();
                  return 'Gone';
                }} />
              </>
            ) : '') },
          ]} />
        </section>
      )}
      {latest.state === 'ready' && (
        <section><h2>Latest jobs</h2>
          <Table caption="Latest jobs" rows={latest.value} empty="There are none." id={(one) => one.id} columns={jobColumns} />
        </section>
      )}
      {schedules.state === 'ready' && (
        <section><h2>Schedules</h2>
          <Table caption="Schedules" rows={schedules.value} empty="Nothing is scheduled." id={(one) => one.name} columns={[
            { head: 'Schedule', cell: (one) => one.name },
            { head: 'When (UTC)', cell: (one) => <code>{one.rule}</code> },
            { head: 'Queue', cell: (one) => one.queue },
            { head: 'Kind', cell: (one) => one.kind },
            { head: 'Next', cell: (one) => when(one.next_real_ns / 1e6) },
          ]} />
        </section>
      )}
      <section><h2>Backups</h2>
        <Shown of={backups}>
          {(now) => (
            <>
              <Table caption="Backups" rows={Array.isArray(now) ? now : now.backups ?? []} empty="There is no backup yet." id={(one) => one.id ?? ''} columns={[
                { head: 'Backup', cell: (one) => one.id ?? '' },
                { head: 'Made', cell: (one) => one.finished_at ?? '' },
                { head: 'Label', cell: (one) => one.label ?? '' },
                { head: 'Reaches', cell: (one) => one.to ?? '' },
                { head: 'Bytes', number: true, cell: (one) => one.bytes ?? '' },
                { head: 'Proven by a restore', cell: (one) => (one.failed ? <span class="bad">failed: {String(one.failed)}</span> : one.proven_at ?? 'not yet') },
              ]} />
              {operates(session) && (
                <p>
                  <Action label="Make a backup" work={async () => {
                    await operate('backup-create', { label: 'console' });
                    again();
                    return 'Made';
                  }} />{' '}
                  <Action label="Prove the newest" work={async () => {
                    await operate('backup-drill');
                    again();
                    return 'Restored and checked';
                  }} />
                </p>
              )}
            </>
          )}
        </Shown>
      </section>
      <section><h2>Archives</h2>
        <Shown of={archives}>
          {(now) => (
            <>
              {now.damaged.map((one) => <p key={one} class="bad" role="alert">{one}</p>)}
              <Table caption="Archives" rows={now.archives} empty="Nothing has been archived." id={(one) => `${one.table} ${one.id}`} columns={[
                { head: 'Table', cell: (one) => one.table },
                { head: 'Archive', cell: (one) => one.id },
                { head: 'State', cell: (one) => <Badge state={one.state} /> },
                { head: 'Rows', number: true, cell: (one) => one.rows },
                { head: 'Bytes', number: true, cell: (one) => one.bytes },
                { head: 'From', cell: (one) => when(one.from_real_ns / 1e6) },
                { head: 'To', cell: (one) => when(one.to_real_ns / 1e6) },
              ]} />
              <Table caption="Holds" rows={now.holds} empty="Nothing is held." id={(one) => one.id} columns={[
                { head: 'Table', cell: (one) => one.table },
                { head: 'Why', cell: (one) => one.reason },
                { head: 'Since', cell: (one) => when(one.since_real_ns / 1e6) },
              ]} />
              {operates(session) && <Action label="Archive now" confirm="Archive what the policies give up, without waiting for a quiet time?" work={async () => {
                await operate('archive-run');
                archivesAgain();
                return 'Done';
              }} />}
            </>
          )}
        </Shown>
      </section>
      <section><h2>Import</h2><Shown of={imports}>{(now) => <Fields of={now} caption="Import from another system" />}</Shown></section>
      <section><h2>Move to another database</h2><Shown of={copy}>{(now) => <Fields of={now} caption="Copy of the database" />}</Shown></section>
      <section><h2>Schema</h2>
        <Shown of={schema}>
          {(now) => (
            <>
              <p>Version {now.current} of {now.latest}.</p>
              <Table caption="Migrations" rows={now.migrations} empty="There are none." id={(one) => one.version} columns={[
                { head: 'Version', number: true, cell: (one) => one.version },
                { head: 'Name', cell: (one) => one.name },
                { head: 'State', cell: (one) => <Badge state={one.state} /> },
                { head: 'Applied', cell: (one) => when(one.applied_at ?? 0) },
                { head: 'Took', number: true, cell: (one) => (one.ms === null ? '–' : `${one.ms} ms`) },
              ]} />
            </>
          )}
        </Shown>
      </section>
    </>
  );
}
