import { expect, test } from "vitest";
import { rateOf, scale, seriesOf, ticksOf } from "./series.ts";

const row = (minute: number, version: string, lists: number, clicked: number) => ({
  start: new Date(minute * 60_000).toISOString(), version, arm: "active", lists, clicked_lists: clicked,
});

test("rates of a bucket come from sums, so a quiet minute weighs little", () => {
  const [series] = seriesOf([row(0, "m-v1", 1000, 100), row(1, "m-v1", 1, 1), row(7, "m-v1", 10, 2)], 300_000);
  expect(series?.points.map((point) => [point.at, rateOf(point)])).toEqual([[150_000, 101 / 1001], [450_000, 0.2]]);
});

test("arms and placements of one version are one line; versions sort by number; empty buckets draw nothing", () => {
  const lines = seriesOf([row(0, "m-v10", 5, 1), row(0, "m-v2", 5, 1), { ...row(0, "m-v2", 5, 2), arm: "x" }, row(0, "m-v1", 0, 0)], 60_000);
  expect(lines.map((line) => [line.version, line.points.length])).toEqual([["m-v2", 1], ["m-v10", 1]]);
  expect(lines[0]?.points[0]).toMatchObject({ lists: 10, clicked: 3 });
});

test("ticks are round and cover the range", () => {
  expect(ticksOf(0.093, 0.142, 4)).toEqual([0.08, 0.1, 0.12, 0.14, 0.16]);
  expect(ticksOf(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  expect(ticksOf(-0.03, 0.12, 3)).toEqual([-0.05, 0, 0.05, 0.1, 0.15]);
  expect(ticksOf(0, 0, 4).length).toBeGreaterThan(1);
});

test("a scale without width maps to the middle", () => {
  expect(scale(5, { low: 0, high: 10 }, { low: 100, high: 0 })).toBe(50);
  expect(scale(5, { low: 5, high: 5 }, { low: 0, high: 10 })).toBe(5);
});
