/**
 * Exact decimals: money and quantities come as decimal strings and are never turned into floating point.
 * A value is `units / 10^scale`.
 */
export interface Decimal {
  readonly units: bigint;
  readonly scale: number;
}

const FORM = /^(-?)(\d{1,18})(?:\.(\d{1,9}))?$/;

export const ZERO: Decimal = { units: 0n, scale: 0 };

/** Reads `"2.95"` or `6`; undefined for anything that is not a plain decimal. */
export function parseDecimal(value: string | number | null | undefined): Decimal | undefined {
  if (value === null || value === undefined) return undefined;
  const found = FORM.exec(String(value).trim());
  if (!found) return undefined;
  const [, sign = "", whole = "", fraction = ""] = found;
  const units = BigInt(whole + fraction);
  return { units: sign === "-" ? -units : units, scale: fraction.length };
}

function rescaled(value: Decimal, scale: number): bigint {
  return value.units * 10n ** BigInt(scale - value.scale);
}

export function add(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(a.scale, b.scale);
  return { units: rescaled(a, scale) + rescaled(b, scale), scale };
}

export function subtract(a: Decimal, b: Decimal): Decimal {
  return add(a, { units: -b.units, scale: b.scale });
}

export function multiply(a: Decimal, b: Decimal): Decimal {
  return { units: a.units * b.units, scale: a.scale + b.scale };
}

export function compare(a: Decimal, b: Decimal): number {
  const scale = Math.max(a.scale, b.scale);
  const [left, right] = [rescaled(a, scale), rescaled(b, scale)];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Rounds to `digits` after the point, halves away from zero, as tills do. */
export function round(value: Decimal, digits: number): Decimal {
  if (value.scale <= digits) return { units: rescaled(value, digits), scale: digits };
  const divisor = 10n ** BigInt(value.scale - digits);
  const magnitude = value.units < 0n ? -value.units : value.units;
  const rounded = (magnitude + divisor / 2n) / divisor;
  return { units: value.units < 0n ? -rounded : rounded, scale: digits };
}

/** The shortest decimal string: `2.50` becomes `2.5`, `6.0` becomes `6`. */
export function decimalText(value: Decimal): string {
  const text = plain(value);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** With every digit of its scale. */
function plain({ units, scale }: Decimal): string {
  const sign = units < 0n ? "-" : "";
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, "0");
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** Digits after the point that a currency has: 2 for GBP, 0 for JPY. */
export function minorDigits(currency: string | undefined): number {
  if (!currency) return 2;
  try {
    return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;
  } catch {
    return 2;
  }
}

/** Money for people: grouped thousands, the currency's digits, its code behind: `1,234.50 GBP`. */
export function moneyText(value: Decimal, currency?: string): string {
  const text = wireMoney(value, currency);
  const [whole = "0", fraction] = text.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  const number = fraction === undefined ? grouped : `${grouped}.${fraction}`;
  return currency ? `${number} ${currency}` : number;
}

/** Money for the wire: `1234.50`. */
export function wireMoney(value: Decimal, currency?: string): string {
  return plain(round(value, minorDigits(currency)));
}
