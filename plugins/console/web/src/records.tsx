// News and signals that the platform keeps.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { get } from './api';
import { Shown, Table, useLoaded, when } from './ui';

interface News { symbol: string; title: string; summary: string; url: string; source: string; sentiment: number; at_ms: number }
interface Signal { symbol: string; side: string; strategy: string; source: string; price: string; confidence: number; at_ms: number; expires_ms: number }

// A link goes to the web alone: whoever writes news does not get a script run.
const isWeb = (url: string): boolean => /^https?:\/\//i.test(url);
const share = (value: number): string => `${Math.round(value * 100)} %`;

function Older({ rows, go, newest }: { rows: { at_ms: number }[]; go: (before: number) => void; newest: boolean }): JSX.Element {
  const last = rows[rows.length - 1];
  return (
    <p>
      <button type="button" class="plain" disabled={newest} onClick={() => { go(0); }}>Newest</button>{' '}
      <button type="button" class="plain" disabled={rows.length < 100 || !last} onClick={() => { go(last?.at_ms ?? 0); }}>Older</button>
    </p>
  );
}

export function NewsPage(): JSX.Element {
  const [symbol, setSymbol] = useState('');
  const [newsBefore, setNewsBefore] = useState(0);
  const [signalsBefore, setSignalsBefore] = useState(0);
  const query = (before: number): string => `?symbol=${encodeURIComponent(symbol)}${before > 0 ? `&before=${before}` : ''}`;
  const [both] = useLoaded(async () => {
    const [news, signals] = await Promise.all([
      get<{ news: News[] }>(`/api/console/news${query(newsBefore)}`, true),
      get<{ signals: Signal[] }>(`/api/console/signals${query(signalsBefore)}`, true)]);
    return { news: news.news, signals: signals.signals };
  }, [symbol, newsBefore, signalsBefore], 30);
  return (
    <>
      <p><label>Symbol <input value={symbol} maxLength={32} autoComplete="off" autoCapitalize="characters" spellcheck={false} onChange={(event) => {
        setNewsBefore(0);
        setSignalsBefore(0);
        setSymbol(event.currentTarget.value.trim().toUpperCase());
      }} /></label></p>
      <Shown of={both}>
        {({ news, signals }) => (
          <>
            <section><h2>Signals</h2>
              <Table caption="Signals, newest first" rows={signals} empty="There are no signals." id={(one) => JSON.stringify(one)} columns={[
                { head: 'Time', cell: (one) => when(one.at_ms) },
                { head: 'Market', cell: (one) => one.symbol },
                { head: 'Side', cell: (one) => <span class={one.side === 'buy' ? 'up' : 'down'}>{one.side}</span> },
                { head: 'Price', number: true, cell: (one) => one.price },
                { head: 'Confidence', number: true, cell: (one) => share(one.confidence) },
                { head: 'Strategy', cell: (one) => one.strategy },
                { head: 'From', cell: (one) => one.source },
                { head: 'Expires', cell: (one) => when(one.expires_ms) },
              ]} />
              <Older rows={signals} go={setSignalsBefore} newest={signalsBefore === 0} />
            </section>
            <section><h2>News</h2>
              <Table caption="News, newest first" rows={news} empty="There is no news." id={(one) => JSON.stringify(one)} columns={[
                { head: 'Time', cell: (one) => when(one.at_ms) },
                { head: 'About', cell: (one) => one.symbol || 'the market' },
                { head: 'Title', cell: (one) => (
                  <details>
                    <summary>{one.title}</summary>
                    <p>{one.summary || 'There is no more to it.'}</p>
                    {isWeb(one.url) && <p><a href={one.url} rel="noopener noreferrer">Read it there</a></p>}
                  </details>
                ) },
                { head: 'Mood', number: true, cell: (one) => share(one.sentiment) },
                { head: 'From', cell: (one) => one.source },
              ]} />
              <Older rows={news} go={setNewsBefore} newest={newsBefore === 0} />
            </section>
          </>
        )}
      </Shown>
    </>
  );
}
