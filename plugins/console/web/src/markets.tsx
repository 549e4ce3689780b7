// One market, live: candles, book, trades; and what one may do in it.
import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { get, type Session } from './api';
import { CandleChart, type Candle } from './chart';
import { decimalsOf, showText } from './decimal';
import { OpenOrders, OrderEntry, useAccount } from './orders';
import { markets } from './streams';
import { Shown, useLoaded } from './ui';

interface Filter { filterType: string; tickSize?: string; stepSize?: string }
interface SymbolInfo { symbol: string; status: string; baseAsset: string; quoteAsset: string; filters: Filter[] }
interface Ticker { symbol: string; lastPrice: string; priceChangePercent: string; volume: string }

export interface Market { symbol: string; base: string; quote: string; price: number; quantity: number; open: boolean }

const filter = (info: SymbolInfo, name: string): Filter | undefined => info.filters.find((one) => one.filterType === name);

export const marketOf = (info: SymbolInfo): Market => ({
  symbol: info.symbol, base: info.baseAsset, quote: info.quoteAsset, open: info.status === 'TRADING',
  price: decimalsOf(filter(info, 'PRICE_FILTER')?.tickSize), quantity: decimalsOf(filter(info, 'LOT_SIZE')?.stepSize),
});

// What comes faster than it can be seen is drawn once a frame.
function useFrame<T>(first: T): [T, (next: T) => void] {
  const [value, set] = useState(first);
  const next = useRef<{ value: T; asked: number | undefined }>({ value: first, asked: undefined });
  useEffect(() => () => { if (next.current.asked !== undefined) cancelAnimationFrame(next.current.asked); }, []);
  return [value, (to) => {
    next.current.value = to;
    next.current.asked ??= requestAnimationFrame(() => {
      next.current.asked = undefined;
      set(next.current.value);
    });
  }];
}

const intervals = ['1m', '5m', '15m', '1h', '4h', '1d'];

function Candles({ market }: { market: Market }): JSX.Element {
  const element = useRef<HTMLDivElement>(null);
  const [interval, setInterval] = useState('1m');
  const [said, say] = useState('Loading…');
  useEffect(() => {
    const chart = new CandleChart(element.current as HTMLDivElement);
    let live = true;
    const number = (text: unknown): number => Number(text); // drawn, not counted with
    say('Loading…');
    get<unknown[][]>(`/api/v3/klines?symbol=${encodeURIComponent(market.symbol)}&interval=${interval}&limit=500`, true)
      .then((rows) => {
        if (!live) return;
        say(rows.length === 0 ? 'No candles yet.' : '');
        chart.show(rows.map(([time, open, high, low, close]): Candle => ({
          time: Math.floor(number(time) / 1000), open: number(open), high: number(high), low: number(low), close: number(close),
        })), market.price);
      }, (error: unknown) => { say(error instanceof Error ? error.message : 'No candles.'); });
    const stop = markets.on(`${market.symbol.toLowerCase()}@kline_${interval}`, (data) => {
      const { k } = data as { k: Record<string, unknown> };
      say('');
      chart.update({ time: Math.floor(number(k.t) / 1000), open: number(k.o), high: number(k.h), low: number(k.l), close: number(k.c) });
    });
    return () => {
      live = false;
      stop();
      chart.remove();
    };
  }, [market.symbol, interval]);
  return (
    <section class="panel chart" aria-labelledby="candles">
      <div class="head"><h2 id="candles">Candles</h2>
        <label><span class="unseen">Interval</span>
          <select value={interval} onChange={(event) => { setInterval(event.currentTarget.value); }}>
            {intervals.map((one) => <option key={one}>{one}</option>)}
          </select>
        </label>
        <span class="quiet" role="status">{said}</span>
      </div>
      <div class="canvas" ref={element} role="img" aria-label={`Candles of ${market.symbol}, ${interval}`} />
    </section>
  );
}

type Level = [string, string];
interface Depth { bids: Level[]; asks: Level[] }

const rowsShown = 12;

// Drawn anew when it is another one alone: of a book that moves, most levels stay.
function LevelRow({ price, quantity, market, onPrice }: { price: string; quantity: string; market: Market; onPrice: (price: string) => void }): JSX.Element {
  return useMemo(() => (
    <tr>
      <td class="number">{price === '' ? '\u00a0' : <button type="button" class="price" onClick={() => { onPrice(price); }}>{showText(price, market.price)}</button>}</td>
      <td class="number">{quantity === '' ? '' : showText(quantity, market.quantity)}</td>
    </tr>
  ), [price, quantity, market, onPrice]);
}

function Side({ name, levels, market, onPrice }: { name: string; levels: Level[]; market: Market; onPrice: (price: string) => void }): JSX.Element {
  const rows = [...levels.slice(0, rowsShown)];
  while (rows.length < rowsShown) rows.push(['', '']);
  return (
    <table class={`levels ${name}`}>
      <caption class="unseen">{name === 'bids' ? 'Bids' : 'Asks'}</caption>
      <thead><tr><th scope="col" class="number">Price</th><th scope="col" class="number">Quantity</th></tr></thead>
      <tbody>
        {(name === 'asks' ? rows.reverse() : rows).map(([price, quantity], index) => (
          <LevelRow key={index} price={price} quantity={quantity} market={market} onPrice={onPrice} />
        ))}
      </tbody>
    </table>
  );
}

function Book({ market, onPrice }: { market: Market; onPrice: (price: string) => void }): JSX.Element {
  const [depth, setDepth] = useFrame<Depth>({ bids: [], asks: [] });
  useEffect(() => {
    let live = true;
    let fresh = false;
    setDepth({ bids: [], asks: [] });
    get<Depth>(`/api/v3/depth?symbol=${encodeURIComponent(market.symbol)}&limit=20`, true)
      .then((first) => { if (live && !fresh) setDepth(first); }, () => undefined);
    const stop = markets.on(`${market.symbol.toLowerCase()}@depth20@16ms`, (data) => {
      fresh = true;
      setDepth(data as Depth);
    });
    return () => {
      live = false;
      stop();
    };
  }, [market.symbol]);
  return (
    <section class="panel book" aria-labelledby="book">
      <h2 id="book">Book</h2>
      <Side name="asks" levels={depth.asks} market={market} onPrice={onPrice} />
      <Side name="bids" levels={depth.bids} market={market} onPrice={onPrice} />
    </section>
  );
}

interface Trade { id: number; price: string; quantity: string; time: number; sold: boolean }

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

function TradeRow({ of, market }: { of: Trade; market: Market }): JSX.Element {
  return useMemo(() => (
    <tr>
      <td>{clock.format(of.time)}</td>
      <td class={of.sold ? 'down' : 'up'}>{of.sold ? 'sell' : 'buy'}</td>
      <td class="number">{showText(of.price, market.price)}</td>
      <td class="number">{showText(of.quantity, market.quantity)}</td>
    </tr>
  ), [of, market]);
}

const tradesShown = 25;

function Trades({ market }: { market: Market }): JSX.Element {
  const [trades, setTrades] = useFrame<Trade[]>([]);
  useEffect(() => {
    let live = true;
    let kept: Trade[] = [];
    const put = (more: Trade[]): void => {
      const newest = Math.max(0, ...kept.map((one) => one.id));
      kept = [...more.filter((one) => one.id > newest).reverse(), ...kept].slice(0, tradesShown);
      setTrades(kept);
    };
    setTrades([]);
    get<Record<string, unknown>[]>(`/api/v3/trades?symbol=${encodeURIComponent(market.symbol)}&limit=${tradesShown}`, true)
      .then((rows) => {
        if (!live) return;
        const first = rows.map((one) => ({ id: Number(one.id), price: String(one.price), quantity: String(one.qty), time: Number(one.time), sold: one.isBuyerMaker === true }));
        const before = kept;
        kept = [];
        put(first);
        put([...before].reverse());
      }, () => undefined);
    const stop = markets.on(`${market.symbol.toLowerCase()}@trade`, (data) => {
      const one = data as Record<string, unknown>;
      put([{ id: Number(one.t), price: String(one.p), quantity: String(one.q), time: Number(one.T), sold: one.m === true }]);
    });
    return () => {
      live = false;
      stop();
    };
  }, [market.symbol]);
  return (
    <section class="panel trades" aria-labelledby="trades">
      <h2 id="trades">Trades</h2>
      <table class="levels">
        <thead><tr><th scope="col">Time</th><th scope="col">Side</th><th scope="col" class="number">Price</th><th scope="col" class="number">Quantity</th></tr></thead>
        <tbody>
          {trades.length === 0 && <tr><td colSpan={4} class="quiet">No trades yet.</td></tr>}
          {/* By place: rows stay where they are, and what is in them changes. */}
          {trades.map((one, index) => <TradeRow key={index} of={one} market={market} />)}
        </tbody>
      </table>
    </section>
  );
}

interface Info { symbols: SymbolInfo[] }

const readInfo = (): Promise<Info> => get<Info>('/api/v3/exchangeInfo', true);
// Asked for while it is asked who is signed in; taken once.
let early: Promise<Info> | undefined = /^(#\/?(markets.*)?)?$/.test(location.hash) ? readInfo() : undefined;
early?.catch(() => undefined);

function firstInfo(): Promise<Info> {
  const taken = early ?? readInfo();
  early = undefined;
  return taken;
}

export function MarketsPage({ symbol, session }: { symbol: string | undefined; session: Session }): JSX.Element {
  const [info] = useLoaded(firstInfo, []);
  const [tickers] = useLoaded(() => get<Ticker[]>('/api/v3/ticker/24hr', true), [], 5);
  return (
    <>
      <h1 class="unseen">Markets</h1>
      <Shown of={info}>
        {({ symbols }) => {
          const chosen = symbols.find((one) => one.symbol === decodeURIComponent(symbol ?? '')) ?? symbols[0];
          if (!chosen) return <p class="quiet" role="status">This server has no markets.</p>;
          return <MarketView info={chosen} symbols={symbols} tickers={tickers.state === 'ready' ? tickers.value : []} session={session} />;
        }}
      </Shown>
    </>
  );
}

function MarketView({ info, symbols, tickers, session }: {
  info: SymbolInfo; symbols: SymbolInfo[]; tickers: Ticker[]; session: Session;
}): JSX.Element {
  const market = useMemo(() => marketOf(info), [info]);
  const [price, setPrice] = useState('');
  const account = useAccount(session);
  const ticker = tickers.find((one) => one.symbol === market.symbol);
  return (
    <div class="market">
      <div class="panel summary">
        <label><span class="unseen">Market</span>
          <select value={market.symbol} onChange={(event) => { location.hash = `#/markets/${encodeURIComponent(event.currentTarget.value)}`; }}>
            {symbols.map((one) => <option key={one.symbol} value={one.symbol}>{one.symbol}</option>)}
          </select>
        </label>
        <dl>
          <div><dt>Last</dt><dd class="last">{ticker ? showText(ticker.lastPrice, market.price) : '–'}</dd></div>
          <div><dt>24 h</dt><dd>{ticker ? `${ticker.priceChangePercent} %` : '–'}</dd></div>
          <div><dt>Volume</dt><dd>{ticker ? `${showText(ticker.volume, 2)} ${market.base}` : '–'}</dd></div>
          <div><dt>State</dt><dd>{market.open ? 'open' : info.status.toLowerCase()}</dd></div>
        </dl>
      </div>
      <Candles market={market} />
      <Book market={market} onPrice={setPrice} />
      <Trades market={market} />
      <OrderEntry market={market} session={session} account={account} price={price} />
      <section class="panel orders" aria-labelledby="open-orders">
        <h2 id="open-orders">Open orders</h2>
        <OpenOrders account={account} session={session} />
      </section>
    </div>
  );
}
