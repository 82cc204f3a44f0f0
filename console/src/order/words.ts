/** What the order entry page says, in words. */
import { decimalText, moneyText, parseDecimal } from "../lib/decimal.ts";
import type { Item } from "../lib/router.ts";

export const KIND_WORDS: Record<Item["kind"], string> = {
  cross_sell: "Goes with it",
  upsell_quantity: "More of it",
  upsell_product: "Better one",
  reorder: "Usual order",
  popular: "Popular",
};

export const STOCK_WORDS: Record<Item["stock"], string> = {
  in_stock: "In stock",
  low_stock: "Low stock",
  backordered: "Backordered",
  unknown: "Stock unknown",
};

export function countText(value: string | number): string {
  const decimal = parseDecimal(value);
  return decimal ? decimalText(decimal) : String(value);
}

export function priceText(value: string | null | undefined, currency: string | undefined): string {
  const price = parseDecimal(value);
  return price ? moneyText(price, currency) : "no price";
}

/** The offer's arithmetic: `Add 1, get 2 free, save 2.70 GBP; these lines cost 9.45 GBP`. */
export function offerText(offer: NonNullable<Item["offer"]>, currency: string | undefined): string {
  const parts = [];
  if (offer.add > 0) parts.push(`add ${countText(offer.add)}`);
  if (offer.free > 0) parts.push(`get ${countText(offer.free)} free`);
  parts.push(`save ${priceText(offer.saves, currency)}`);
  const first = parts.join(", ");
  return `${first.charAt(0).toUpperCase()}${first.slice(1)}; then ${priceText(offer.line_total, currency)}`;
}

export function acceptLabel(item: Item): string {
  const quantity = countText(item.suggested_quantity);
  if (item.kind === "upsell_quantity") return `Make it ${quantity}`;
  return item.instead_of ? "Swap" : `Add ${quantity}`;
}

/** `similar_customers_reached` -> `similar customers reached` */
export function evidenceWords(evidence: Record<string, unknown>): [string, string][] {
  return Object.entries(evidence).map(([key, value]) => [key.replaceAll("_", " "), evidenceValue(value)]);
}

function evidenceValue(value: unknown): string {
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : String(Math.round(value * 1000) / 1000);
  if (Array.isArray(value)) return value.map(evidenceValue).join(", ");
  return typeof value === "string" ? value : JSON.stringify(value);
}
