// Exact decimals as BigInt with a scale: money is never a floating point number here. Number is used
// for what is drawn alone.
export interface Decimal { value: bigint; scale: number }

export function decimal(text: string): Decimal {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  if (!match) return { value: 0n, scale: 0 };
  const digits = match[3] ?? '';
  const value = BigInt((match[2] ?? '0') + digits);
  return { value: match[1] === '-' ? -value : value, scale: digits.length };
}

function at(a: Decimal, scale: number): bigint {
  return a.value * 10n ** BigInt(scale - a.scale);
}

export function add(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(a.scale, b.scale);
  return { value: at(a, scale) + at(b, scale), scale };
}

export const subtract = (a: Decimal, b: Decimal): Decimal => add(a, { value: -b.value, scale: b.scale });
export const multiply = (a: Decimal, b: Decimal): Decimal => ({ value: a.value * b.value, scale: a.scale + b.scale });
export const isZero = (a: Decimal): boolean => a.value === 0n;
export const sign = (a: Decimal): number => (a.value > 0n ? 1 : a.value < 0n ? -1 : 0);

// Cut, not rounded, to so many decimals; groups of three digits.
export function show(a: Decimal, decimals: number): string {
  const value = a.scale > decimals ? a.value / 10n ** BigInt(a.scale - decimals) : at(a, decimals);
  const digits = (value < 0n ? -value : value).toString().padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals).replace(/\B(?=(\d{3})+$)/g, '\u202f');
  return `${value < 0n ? '−' : ''}${whole}${decimals > 0 ? `.${digits.slice(-decimals)}` : ''}`;
}

export const showText = (text: string, decimals: number): string => show(decimal(text), decimals);

// How many decimals a step such as "0.01000000" leaves.
export function decimalsOf(step: string | undefined): number {
  const match = /\.(\d*?)0*$/.exec(step ?? '');
  return match?.[1]?.length ?? 0;
}
