import { expect, test } from "vitest";
import { ageText, bytesText, relativeText, signedPercentText, weightText } from "./format.ts";

const now = Date.parse("2026-11-21T12:00:00Z");

test("ages use one unit", () => {
  expect(["2026-11-21T11:59:48Z", "2026-11-21T11:00:00Z", "2026-11-21T10:00:00Z", "2026-11-18T12:00:00Z"].map((time) => ageText(time, now))).toEqual([
    "12 s", "60 min", "2 h", "3 d",
  ]);
  expect(ageText(undefined, now)).toBe("");
});

test("deadlines say in or ago", () => {
  expect(relativeText("2026-11-21T12:12:00Z", now)).toBe("in 12 min");
  expect(relativeText("2026-11-21T11:56:00Z", now)).toBe("4 min ago");
});

test("sizes, weights and lifts", () => {
  expect([999, 7304604, 20111458, 999_600_000].map(bytesText)).toEqual(["999 B", "7.3 MB", "20 MB", "1.0 GB"]);
  expect([10000, 2500, 50, 1].map(weightText)).toEqual(["100 %", "25 %", "0.5 %", "0.01 %"]);
  expect([0.0948, -0.01, 0].map((ratio) => signedPercentText(ratio))).toEqual(["+9.5 %", "-1.0 %", "0.0 %"]);
});
