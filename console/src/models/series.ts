/** Key figures to lines of a chart. Pure. */
import type { KpiRow } from "../lib/insights.ts";

export interface Point {
  /** Milliseconds; the middle of the bucket. */
  at: number;
  /** Lists of which something was clicked. */
  clicked: number;
  lists: number;
}

export interface Series {
  version: string;
  points: Point[];
}

/** Sums rows into buckets per version. Rates come from sums: the mean of rates would favour quiet minutes. */
export function seriesOf(rows: readonly KpiRow[], bucketMs: number): Series[] {
  const versions = new Map<string, Map<number, Point>>();
  for (const row of rows) {
    const bucket = Math.floor(Date.parse(row.start) / bucketMs) * bucketMs;
    const points = versions.get(row.version) ?? new Map<number, Point>();
    versions.set(row.version, points);
    const point = points.get(bucket) ?? { at: bucket + bucketMs / 2, clicked: 0, lists: 0 };
    points.set(bucket, { at: point.at, clicked: point.clicked + row.clicked_lists, lists: point.lists + row.lists });
  }
  return [...versions]
    .map(([version, points]) => ({ version, points: [...points.values()].filter((point) => point.lists > 0).sort((a, b) => a.at - b.at) }))
    .filter((series) => series.points.length > 0)
    .sort((a, b) => a.version.localeCompare(b.version, "en", { numeric: true }));
}

export function rateOf(point: Point): number {
  return point.clicked / point.lists;
}

/** Round ticks that cover [low, high]: steps of 1, 2 or 5 times a power of ten. */
export function ticksOf(low: number, high: number, wanted: number): number[] {
  if (low === high) return ticksOf(low, low + (Math.abs(low) || 1), wanted);
  const span = high - low;
  const rough = span / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

export interface Range {
  low: number;
  high: number;
}

export function rangeOf(ticks: readonly number[]): Range {
  return { low: ticks[0] ?? 0, high: ticks.at(-1) ?? 1 };
}

export function scale(value: number, from: Range, to: Range): number {
  const share = from.high === from.low ? 0.5 : (value - from.low) / (from.high - from.low);
  return to.low + share * (to.high - to.low);
}
