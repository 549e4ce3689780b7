// An account: balances, positions with profit and loss, open orders, fills.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { get, type Session } from './api';
import { add, decimal, isZero, multiply, show, sign, subtract } from './decimal';
import { OpenOrders, useAccount, useAccountEvents } from './orders';
import { Loading, Shown, Table, isLoading, useLoaded, when } from './ui';

interface Balance { asset: string; free: string; locked: string }
interface Position {
  symbol: string; base: string; quote: string; quantity: string; cost: string; realized: string;
  sold_without_cost: string; exact: boolean; fills: number;
}
interface Fill {
  trade_id: string; symbol: string; side: string; maker: boolean; price: string; quantity: string; amount: string;
  fee: string; fee_asset: string; time_ms: number;
}

const signed = (text: string, n: number): JSX.Element => <span class={n > 0 ? 'up' : n < 0 ? 'down' : ''}>{n > 0 ? '+' : ''}{text}</span>;

export function AccountPage({ session }: { session: Session }): JSX.Element {
  const first = useAccount(session);
  const [account, setAccount] = useState(first);
  const all = session.accounts ?? [];
  return (
    <>
      <h1>Account</h1>
      {all.length === 0 && <p class="quiet" role="status">No account is bound to you: <code>tenon users roles --name NAME --roles ROLES --accounts NAMES</code></p>}
      {all.length > 1 && (
        <label>Account <select value={account} onChange={(event) => {
          localStorage.setItem('account', event.currentTarget.value);
          setAccount(event.currentTarget.value);
        }}>{all.map((one) => <option key={one}>{one}</option>)}</select></label>
      )}
      {account !== '' && <AccountView key={account} account={account} session={session} />}
    </>
  );
}

function AccountView({ account, session }: { account: string; session: Session }): JSX.Element {
  const query = `?account=${encodeURIComponent(account)}`;
  const [balances, balancesAgain] = useLoaded(() => get<{ balances: Balance[] }>(`/api/console/balances${query}`, true), [account], 30);
  const [positions, positionsAgain] = useLoaded(
    () => get<{ positions: Position[]; complete: boolean }>(`/api/console/positions${query}`, true), [account], 30);
  const [prices] = useLoaded(() => get<{ symbol: string; price: string }[]>('/api/v3/ticker/price', true), [], 3);
  useAccountEvents(account, () => {
    balancesAgain();
    positionsAgain();
  });
  const priceOf = (symbol: string): string | undefined =>
    (prices.state === 'ready' ? prices.value.find((one) => one.symbol === symbol)?.price : undefined);
  const unrealized = (one: Position): JSX.Element | string => {
    const price = priceOf(one.symbol);
    if (price === undefined || isZero(decimal(one.quantity))) return '–';
    const gain = subtract(multiply(decimal(one.quantity), decimal(price)), decimal(one.cost));
    return signed(`${show(gain, 2)} ${one.quote}`, sign(gain));
  };
  if (isLoading(balances, positions)) return <Loading />;
  return (
    <>
      <section><h2>Balances</h2>
        <Shown of={balances}>
          {({ balances: rows }) => (
            <Table caption="Balances" rows={rows} empty="Nothing has been paid in." id={(one) => one.asset} columns={[
              { head: 'Asset', cell: (one) => one.asset },
              { head: 'Free', number: true, cell: (one) => show(decimal(one.free), 8) },
              { head: 'In orders', number: true, cell: (one) => show(decimal(one.locked), 8) },
              { head: 'Total', number: true, cell: (one) => show(add(decimal(one.free), decimal(one.locked)), 8) },
            ]} />
          )}
        </Shown>
      </section>
      <section><h2>Positions, profit and loss</h2>
        <p class="quiet">What was bought here and is still held, by average cost. What was paid in has no cost.</p>
        <Shown of={positions}>
          {({ positions: rows, complete }) => (
            <>
              <Table caption="Positions" rows={rows} empty="No fills yet." id={(one) => one.symbol} columns={[
                { head: 'Market', cell: (one) => one.symbol },
                { head: 'Held', number: true, cell: (one) => `${show(decimal(one.quantity), 8)} ${one.base}` },
                { head: 'Cost', number: true, cell: (one) => `${show(decimal(one.cost), 2)} ${one.quote}` },
                { head: 'Realized', number: true, cell: (one) => signed(`${show(decimal(one.realized), 2)} ${one.quote}`, sign(decimal(one.realized))) },
                { head: 'Unrealized', number: true, cell: unrealized },
                { head: 'Sold without cost', number: true, cell: (one) => show(decimal(one.sold_without_cost), 8) },
                { head: 'Fills', number: true, cell: (one) => (one.exact ? one.fills : `${one.fills}, too large to sum`) },
              ]} />
              {!complete && <p class="warn">Only the newest 1,000 fills of 64 markets are counted.</p>}
            </>
          )}
        </Shown>
      </section>
      <section><h2>Open orders</h2><OpenOrders account={account} session={session} /></section>
      <Fills account={account} symbols={positions.state === 'ready' ? positions.value.positions.map((one) => one.symbol) : []} />
    </>
  );
}

function Fills({ account, symbols }: { account: string; symbols: string[] }): JSX.Element {
  const [chosen, choose] = useState('');
  const symbol = symbols.includes(chosen) ? chosen : symbols[0] ?? '';
  const [fills] = useLoaded(async () => (symbol === '' ? { trades: [] }
    : get<{ trades: Fill[] }>(`/api/console/trades?account=${encodeURIComponent(account)}&symbol=${encodeURIComponent(symbol)}`, true)),
  [account, symbol], 15);
  return (
    <section><h2>Fills</h2>
      {symbols.length > 1 && <label>Market <select value={symbol} onChange={(event) => { choose(event.currentTarget.value); }}>
        {symbols.map((one) => <option key={one}>{one}</option>)}</select></label>}
      <Shown of={fills}>
        {({ trades }) => (
          <Table caption="Fills" rows={[...trades].reverse()} empty="No fills yet." id={(one) => `${one.symbol} ${one.trade_id}`} columns={[
            { head: 'Time', cell: (one) => when(one.time_ms) },
            { head: 'Market', cell: (one) => one.symbol },
            { head: 'Side', cell: (one) => <span class={one.side === 'BUY' ? 'up' : 'down'}>{one.side.toLowerCase()}</span> },
            { head: 'Price', number: true, cell: (one) => one.price },
            { head: 'Quantity', number: true, cell: (one) => one.quantity },
            { head: 'Amount', number: true, cell: (one) => one.amount },
            { head: 'Fee', number: true, cell: (one) => `${one.fee} ${one.fee_asset}` },
          ]} />
        )}
      </Shown>
    </section>
  );
}
