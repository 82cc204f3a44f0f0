import { expect, test } from "vitest";
import { add, compare, decimalText, moneyText, multiply, parseDecimal, round, subtract, wireMoney, ZERO, type Decimal } from "./decimal.ts";

function decimal(text: string | number): Decimal {
  const value = parseDecimal(text);
  if (!value) throw new Error(`${text} is no decimal`);
  return value;
}

test("sums are exact where floating point is not", () => {
  expect(0.1 + 0.2).not.toBe(0.3);
  expect(decimalText(add(decimal("0.1"), decimal("0.2")))).toBe("0.3");
  const thousand = Array.from({ length: 1000 }, () => decimal("0.15")).reduce(add, ZERO);
  expect(wireMoney(thousand)).toBe("150.00");
});

test("line totals round halves away from zero, once", () => {
  expect(wireMoney(multiply(decimal("0.5"), decimal("2.95")))).toBe("1.48");
  expect(wireMoney(multiply(decimal("-0.5"), decimal("2.95")))).toBe("-1.48");
  expect(wireMoney(multiply(decimal(3), decimal("0.335")))).toBe("1.01");
});

test("reads decimal strings and integers, and nothing else", () => {
  expect(parseDecimal("1e3")).toBeUndefined();
  expect(parseDecimal("1,5")).toBeUndefined();
  expect(parseDecimal("")).toBeUndefined();
  expect(parseDecimal(null)).toBeUndefined();
  expect(parseDecimal("999999999999999999.999999999")).toEqual({ units: 999999999999999999999999999n, scale: 9 });
});

test("compares across scales", () => {
  expect(compare(decimal("2.50"), decimal("2.5"))).toBe(0);
  expect(compare(decimal("2.49"), decimal("2.5"))).toBe(-1);
  expect(compare(subtract(decimal(7), decimal("0.5")), decimal("6.4"))).toBe(1);
});

test("writes money with the currency's digits and grouping", () => {
  expect(moneyText(decimal("1234567.5"), "GBP")).toBe("1,234,567.50 GBP");
  expect(moneyText(decimal("-1234.5"), "GBP")).toBe("-1,234.50 GBP");
  expect(moneyText(decimal("1234.5"), "JPY")).toBe("1,235 JPY");
  expect(moneyText(decimal("0.005"))).toBe("0.01");
  expect(decimalText(round(decimal("10"), 2))).toBe("10");
});
