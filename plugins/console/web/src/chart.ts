// Candles, drawn by lightweight-charts, which is loaded when the first chart is shown.
import type { IChartApi, ISeriesApi, UTCTimestamp } from 'lightweight-charts';

export interface Candle { time: number; open: number; high: number; low: number; close: number }

const colour = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class CandleChart {
  private series: ISeriesApi<'Candlestick'> | undefined;
  private chart: IChartApi | undefined;
  private waiting: Candle[] = [];
  private decimals = 2;
  private gone = false;
  private timer: number | undefined;
  private readonly changed = new Map<number, Candle>();
  // Kept: each call of matchMedia makes another object, with listeners of its own.
  private readonly darkness = matchMedia('(prefers-color-scheme: dark)');
  private readonly onTheme = (): void => { this.paint(); };

  constructor(private readonly element: HTMLElement) {
    void this.load();
  }

  private async load(): Promise<void> {
    const { createChart, CandlestickSeries } = await import('lightweight-charts');
    if (this.gone) return;
    this.chart = createChart(this.element, {
      autoSize: true,
      layout: { attributionLogo: false },
      timeScale: { timeVisible: true, secondsVisible: false },
    });
    this.series = this.chart.addSeries(CandlestickSeries);
    this.paint();
    this.show(this.waiting, this.decimals);
    window.addEventListener('theme', this.onTheme);
    this.darkness.addEventListener('change', this.onTheme);
  }

  private paint(): void {
    const [paper, ink, line] = [colour('--paper'), colour('--ink'), colour('--line')];
    const [up, down] = [colour('--up'), colour('--down')];
    this.chart?.applyOptions({
      layout: { background: { color: paper }, textColor: ink, attributionLogo: false },
      grid: { vertLines: { color: line }, horzLines: { color: line } },
      rightPriceScale: { borderColor: line },
      timeScale: { borderColor: line },
    });
    this.series?.applyOptions({
      upColor: up, downColor: down, borderUpColor: up, borderDownColor: down, wickUpColor: up, wickDownColor: down,
    });
  }

  show(candles: Candle[], decimals: number): void {
    this.waiting = candles;
    this.decimals = decimals;
    this.changed.clear();
    this.series?.applyOptions({ priceFormat: { type: 'price', precision: decimals, minMove: 10 ** -decimals } });
    this.series?.setData(candles.map((one) => ({ ...one, time: one.time as UTCTimestamp })));
    this.chart?.timeScale().fitContent();
  }

  // Drawing the whole canvas is the dearest thing on the page: a few times a second is enough.
  update(candle: Candle): void {
    const last = this.waiting[this.waiting.length - 1];
    if (last && candle.time < last.time) return;
    if (last?.time === candle.time) this.waiting[this.waiting.length - 1] = candle;
    else this.waiting.push(candle);
    this.changed.set(candle.time, candle);
    this.timer ??= window.setTimeout(() => { this.draw(); }, 200);
  }

  private draw(): void {
    this.timer = undefined;
    for (const one of this.changed.values()) this.series?.update({ ...one, time: one.time as UTCTimestamp });
    this.changed.clear();
  }

  remove(): void {
    this.gone = true;
    window.clearTimeout(this.timer);
    window.removeEventListener('theme', this.onTheme);
    this.darkness.removeEventListener('change', this.onTheme);
    this.chart?.remove();
  }
}
