// Placing, seeing and cancelling orders of an account that is bound to who is signed in.
import type { JSX, TargetedEvent } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { get, post, type Session } from './api';
import type { Market } from './markets';
import { accountEvents } from './streams';
import { Action, Shown, Table, useLoaded, when } from './ui';

export interface Order {
  order_id: string; client_id: string; symbol: string; side: string; type: string; status: string;
  price: string; stop_price: string; quantity: string; quote_quantity: string; filled: string; created_ms: number; reason: string;
}

// The chosen account of the session; empty when there is none.
export function useAccount(session: Session): string {
  const kept = localStorage.getItem('account') ?? '';
  const all = session.rights?.some((one) => one === 'account' || one === 'trade') ? session.accounts ?? [] : [];
  return all.includes(kept) ? kept : all[0] ?? '';
}

const CONDITIONAL = [
  ['STOP_LOSS_LIMIT', 'Stop-loss, then limit'], ['STOP_LOSS', 'Stop-loss, then market'],
  ['TAKE_PROFIT_LIMIT', 'Take-profit, then limit'], ['TAKE_PROFIT', 'Take-profit, then market'],
] as const;

export function OrderEntry({ market, session, account, price }: {
  market: Market; session: Session; account: string; price: string;
}): JSX.Element {
  const [side, setSide] = useState('BUY');
  const [type, setType] = useState('LIMIT');
  const [limit, setLimit] = useState('');
  const [stop, setStop] = useState('');
  const [quantity, setQuantity] = useState('');
  const [inForce, setInForce] = useState('GTC');
  const [busy, setBusy] = useState(false);
  const [said, say] = useState<{ text: string; bad: boolean }>({ text: '', bad: false });
  useEffect(() => { if (price !== '') setLimit(price.replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '')); }, [price]);
  useEffect(() => { setLimit(''); setStop(''); }, [market.symbol]);
  const waits = CONDITIONAL.some(([one]) => one === type);
  const priced = !['MARKET', 'STOP_LOSS', 'TAKE_PROFIT'].includes(type);
  const allowed = session.rights?.includes('trade') && account !== '';
  const send = (event: TargetedEvent<HTMLFormElement>): void => {
    event.preventDefault();
    setBusy(true);
    say({ text: '', bad: false });
    const body: Record<string, string> = {
      account, symbol: market.symbol, side, type, quantity,
      // Sent twice by accident, the second one is refused.
      client_id: `web-${crypto.getRandomValues(new Uint32Array(4)).reduce((text, part) => text + part.toString(36), '')}`.slice(0, 36),
    };
    if (priced) body.price = limit;
    if (waits) body.stop_price = stop;
    if (priced && type !== 'LIMIT_MAKER') body.time_in_force = inForce;
    post<{ orders: Order[] }>('/api/console/orders', body).then(({ orders }) => {
      const order = orders[0];
      say({ text: order ? `Order ${order.order_id}: ${order.status.toLowerCase().replace('_', ' ')}` : 'Done', bad: order?.status === 'REJECTED' });
    }, (error: unknown) => { say({ text: error instanceof Error ? error.message : 'It failed.', bad: true }); })
      .finally(() => { setBusy(false); });
  };
  return (
    <section class="panel entry" aria-labelledby="entry">
      <h2 id="entry">Order</h2>
      {!session.signed_in && <p class="quiet"><a href="#/sign-in">Sign in</a> to trade.</p>}
      {session.signed_in && !allowed && <p class="quiet">Your role does not allow trading.</p>}
      {allowed && (
        <form onSubmit={send}>
          <fieldset class="choice">
            <legend class="unseen">Side</legend>
            {['BUY', 'SELL'].map((one) => (
              <label key={one} class={one === 'BUY' ? 'up' : 'down'}>
                <input type="radio" name="side" value={one} checked={side === one} onChange={() => { setSide(one); }} /> {one === 'BUY' ? 'Buy' : 'Sell'}
              </label>
            ))}
          </fieldset>
          <label>Type
            <select value={type} onChange={(event) => { setType(event.currentTarget.value); }}>
              <option value="LIMIT">Limit</option>
              <option value="LIMIT_MAKER">Limit, post only</option>
              <option value="MARKET">Market</option>
              {CONDITIONAL.map(([one, name]) => <option key={one} value={one}>{name}</option>)}
            </select>
          </label>
          {waits && (
            <label>Stop price ({market.quote})
              <input name="stop" inputMode="decimal" autoComplete="off" required pattern="[0-9]+([.][0-9]+)?"
                value={stop} onInput={(event) => { setStop(event.currentTarget.value); }} />
            </label>
          )}
          <label>Price ({market.quote})
            <input name="price" inputMode="decimal" autoComplete="off" required={priced} disabled={!priced}
              pattern="[0-9]+([.][0-9]+)?" value={priced ? limit : ''} onInput={(event) => { setLimit(event.currentTarget.value); }} />
          </label>
          <label>Quantity ({market.base})
            <input name="quantity" inputMode="decimal" autoComplete="off" required pattern="[0-9]+([.][0-9]+)?"
              value={quantity} onInput={(event) => { setQuantity(event.currentTarget.value); }} />
          </label>
          <label>In force
            <select value={inForce} disabled={!priced || type === 'LIMIT_MAKER'} onChange={(event) => { setInForce(event.currentTarget.value); }}>
              <option value="GTC">until cancelled</option>
              <option value="IOC">now or never (IOC)</option>
              <option value="FOK">whole or not (FOK)</option>
            </select>
          </label>
          <button type="submit" disabled={busy}>{busy ? 'Working…' : `${side === 'BUY' ? 'Buy' : 'Sell'} ${market.base}`}</button>
          <p class={`said ${said.bad ? 'bad' : 'good'}`} role="status">{said.text}</p>
        </form>
      )}
    </section>
  );
}

// Calls `changed` when something happens to the account, at most a few times a second.
export function useAccountEvents(account: string, changed: () => void): void {
  useEffect(() => {
    if (account === '') return undefined;
    let timer: number | undefined;
    const soon = (): void => {
      timer ??= window.setTimeout(() => {
        timer = undefined;
        changed();
      }, 100);
    };
    const stop = accountEvents((event) => { if (!event || event.account === account) soon(); });
    return () => {
      stop();
      window.clearTimeout(timer);
    };
  }, [account]);
}

export function OpenOrders({ account, session }: { account: string; session: Session }): JSX.Element {
  if (!session.signed_in) return <p class="quiet"><a href="#/sign-in">Sign in</a> to see orders.</p>;
  if (account === '') return <p class="quiet">No account is bound to you.</p>;
  return <OrderList account={account} mayTrade={session.rights?.includes('trade') ?? false} />;
}

function OrderList({ account, mayTrade }: { account: string; mayTrade: boolean }): JSX.Element {
  const [orders, again] = useLoaded(
    () => get<{ orders: Order[] }>(`/api/console/orders?account=${encodeURIComponent(account)}`, true), [account], 15);
  useAccountEvents(account, again);
  const cancel = async (order: Order): Promise<string> => {
    await post('/api/console/orders/cancel', { account, symbol: order.symbol, order_id: order.order_id });
    again();
    return 'Cancelled';
  };
  return (
    <Shown of={orders}>
      {({ orders: rows }) => (
        <Table caption="Open orders" rows={rows} empty="No open orders." id={(one) => `${one.symbol} ${one.order_id}`} columns={[
          { head: 'Time', cell: (one) => when(one.created_ms) },
          { head: 'Market', cell: (one) => one.symbol },
          { head: 'Side', cell: (one) => <span class={one.side === 'BUY' ? 'up' : 'down'}>{one.side.toLowerCase()}</span> },
          { head: 'Type', cell: (one) => one.type.toLowerCase().replaceAll('_', ' ') },
          { head: 'Price', number: true, cell: (one) => one.price },
          { head: 'Stop', number: true, cell: (one) => (one.stop_price === '0' ? '' : one.stop_price) },
          { head: 'Quantity', number: true, cell: (one) => one.quantity },
          { head: 'Filled', number: true, cell: (one) => one.filled },
          { head: 'Client id', cell: (one) => one.client_id },
          { head: 'Do', cell: (one) => (mayTrade ? <Action label="Cancel" work={() => cancel(one)} /> : '') },
        ]} />
      )}
    </Shown>
  );
}
