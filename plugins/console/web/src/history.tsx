// How the server's measurements went, from its own history: one chart for each, with what was
// measured as a table for those who do not see it.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { ApiError, get } from './api';
import { Shown, duration, useLoaded, type Loaded } from './ui';

type Point = [number, number, number, number]; // time in ms, mean, least, most
interface Series { series: string; name: string; labels: Record<string, string>; title: string; unit: string; points: Point[] }
interface Answer { from_ms: number; to_ms: number; step_s: number; series: Series[]; all?: Record<string, number> }
interface Known { series: { series: string; name: string }[] }

// What is asked for has at most some 400 points: more than are seen.
const ranges = [
  { title: 'Hour', seconds: 3600, step: 10 },
  { title: '6 hours', seconds: 21_600, step: 60 },
  { title: 'Day', seconds: 86_400, step: 300 },
  { title: 'Week', seconds: 604_800, step: 1800 },
  { title: 'Month', seconds: 2_592_000, step: 7200 },
  { title: 'Year', seconds: 31_536_000, step: 86_400 },
];
const linesShown = 6;
const seriesAtOnce = 24;

export function amount(value: number, unit: string): string {
  if (unit === 'seconds') return duration(value * 1e9);
  if (unit === 'ratio') return `${(value * 100).toFixed(1)} %`;
  if (unit.startsWith('bytes')) {
    const power = Math.min(4, Math.floor(Math.log2(Math.max(1, Math.abs(value))) / 10));
    return `${(value / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][power] ?? ''}${unit === 'bytes/s' ? '/s' : ''}`;
  }
  const text = Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(2).replace(/\.?0+$/, '');
  return unit === 'ops' ? `${text} /s` : text;
}

async function absentIfNoPath<T>(path: string): Promise<T> {
  try {
    return await get<T>(path, true);
  } catch (error) {
    throw error instanceof ApiError && error.status === 404 ? new ApiError(404, 'absent', 'Not in this deployment.') : error;
  }
}

export const readHistory = (names: string[], seconds: number, step: number): Promise<Answer> =>
  absentIfNoPath<Answer>(`/api/history?series=${names.map(encodeURIComponent).join(',')}&from=-${seconds}&to=0&step=${step}`);

const width = 320;
const height = 96;

// Lines end where nothing was measured.
function path(points: Point[], x: (time: number) => number, y: (value: number) => number, gap: number): string {
  let text = '';
  let last = -Infinity;
  for (const [time, mean] of points) {
    text += `${time - last > gap ? 'M' : 'L'}${x(time).toFixed(1)} ${y(mean).toFixed(1)}`;
    last = time;
  }
  return text;
}

const nameOf = (one: Series): string => Object.values(one.labels).join(' ') || one.title;

export function Chart({ title, of, all, from, to, step }: { title: string; of: Series[]; all: number; from: number; to: number; step: number }): JSX.Element {
  const shown = of.slice(0, linesShown);
  const unit = of[0]?.unit ?? 'count';
  const means = shown.flatMap((one) => one.points.map((point) => point[1]));
  const most = means.reduce((a, b) => Math.max(a, b), 0) || 1;
  const least = means.reduce((a, b) => Math.min(a, b), 0);
  const x = (time: number): number => ((time - from) / Math.max(1, to - from)) * width;
  const y = (value: number): number => height - 2 - ((value - least) / (most - least)) * (height - 6);
  return (
    <figure class="panel trend">
      <figcaption>{title}</figcaption>
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={`${title}: a chart; its latest values are listed below it`}>
        {shown.map((one, index) => <path key={one.series} class={`line line${index}`} d={path(one.points, x, y, step * 2500)} />)}
      </svg>
      <p class="quiet scale">0 to {amount(most, unit)}</p>
      <ul>
        {shown.map((one, index) => {
          const last = one.points[one.points.length - 1];
          return <li key={one.series}><span class={`key key${index}`} aria-hidden="true" /> {nameOf(one)}: {last ? amount(last[1], unit) : 'nothing measured'}</li>;
        })}
        {all > linesShown && <li class="quiet">{all - linesShown} more are not drawn</li>}
      </ul>
    </figure>
  );
}

export function Charts({ answer }: { answer: Answer }): JSX.Element {
  const names = [...new Set(answer.series.map((one) => one.name))];
  if (names.length === 0) return <p class="quiet" role="status">Nothing has been measured yet.</p>;
  return (
    <div class="trends">
      {names.map((name) => {
        const of = answer.series.filter((one) => one.name === name);
        return <Chart key={name} title={of[0]?.title || name} of={of} all={answer.all?.[name] ?? of.length} from={answer.from_ms} to={answer.to_ms} step={answer.step_s} />;
      })}
    </div>
  );
}

// The server bounds an answer: so many series at once, one answer after the other.
async function readAll(known: Known, seconds: number, step: number): Promise<Answer> {
  const asked: string[] = [];
  const more: Record<string, number> = {};
  for (const { name } of known.series) more[name] = (more[name] ?? 0) + 1;
  const taken: Record<string, number> = {};
  for (const one of known.series) {
    taken[one.name] = (taken[one.name] ?? 0) + 1;
    if ((taken[one.name] ?? 0) <= linesShown) asked.push(one.series);
  }
  const all: Answer = { from_ms: 0, to_ms: 0, step_s: step, series: [], all: more };
  for (let at = 0; at < asked.length; at += seriesAtOnce) {
    const next = await readHistory(asked.slice(at, at + seriesAtOnce), seconds, step);
    Object.assign(all, { from_ms: next.from_ms, to_ms: next.to_ms, step_s: next.step_s });
    all.series.push(...next.series);
  }
  return all;
}

export function HistoryPage(): JSX.Element {
  const [chosen, choose] = useState(0);
  const range = ranges[chosen] ?? { title: '', seconds: 3600, step: 10 };
  const [answer]: [Loaded<Answer>, () => void] = useLoaded(async () => {
    const known = await absentIfNoPath<Known>('/api/history/series');
    return readAll(known, range.seconds, range.step);
  }, [chosen], range.step < 60 ? 20 : 60);
  return (
    <>
      <p><label>Over the last <select value={chosen} onChange={(event) => { choose(Number(event.currentTarget.value)); }}>
        {ranges.map((one, index) => <option key={one.title} value={index}>{one.title}</option>)}
      </select></label></p>
      <Shown of={answer}>{(now) => <Charts answer={now} />}</Shown>
    </>
  );
}
