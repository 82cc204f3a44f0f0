/** The order that is being typed. Pure: every change makes a new order; what it means for the log is `eventsOf`. */
import { add, compare, decimalText, moneyText, multiply, parseDecimal, round, subtract, wireMoney, minorDigits, ZERO, type Decimal } from "../lib/decimal.ts";
import type { NewEvent } from "../lib/events.ts";
import { wireQuantity } from "../lib/router.ts";

export interface Sold {
  productId: string;
  name: string;
  /** Decimal string; undefined where no price is known. */
  unitPrice: string | undefined;
}

export interface OrderLine extends Sold {
  /** Decimal string above 0. */
  quantity: string;
  /** What an accepted offer says, as long as the line keeps the quantity that it was said of. */
  offer?: { text: string; quantity: string } | undefined;
}

export interface Order {
  lines: readonly OrderLine[];
  /** The line that + and - change. */
  current: string | undefined;
}

export const EMPTY: Order = { lines: [], current: undefined };
const MAX_QUANTITY: Decimal = { units: 1_000_000n, scale: 0 };

/** A quantity as it is kept, or undefined when it is none: above 0, at most a million, at most three digits after the point. */
export function quantityOf(text: string | number): string | undefined {
  const value = parseDecimal(text);
  if (!value || value.units <= 0n || compare(value, MAX_QUANTITY) > 0) return undefined;
  return compare(round(value, 3), value) === 0 ? decimalText(value) : undefined;
}

export function lineOf(order: Order, productId: string): OrderLine | undefined {
  return order.lines.find((line) => line.productId === productId);
}

/** Sets a line's whole quantity; adds the line at the end where there is none. */
export function put(order: Order, sold: Sold, quantity: string, offer?: OrderLine["offer"]): Order {
  const line: OrderLine = { productId: sold.productId, name: sold.name, unitPrice: sold.unitPrice, quantity, offer };
  const known = lineOf(order, sold.productId);
  const lines = known
    ? order.lines.map((old) => (old === known ? { ...line, unitPrice: known.unitPrice ?? sold.unitPrice } : old))
    : [...order.lines, line];
  return { lines, current: sold.productId };
}

/** Adds one; the next unit on a line that is there. */
export function addOne(order: Order, sold: Sold): Order {
  const known = lineOf(order, sold.productId);
  const quantity = decimalText(add(parseDecimal(known?.quantity) ?? ZERO, { units: 1n, scale: 0 }));
  return put(order, sold, quantityOf(quantity) ?? known?.quantity ?? "1", known?.offer);
}

export function remove(order: Order, productId: string): Order {
  const index = order.lines.findIndex((line) => line.productId === productId);
  if (index < 0) return order;
  const lines = order.lines.filter((line) => line.productId !== productId);
  const next = lines[Math.min(index, lines.length - 1)];
  return { lines, current: order.current === productId ? next?.productId : order.current };
}

export function setQuantity(order: Order, productId: string, quantity: string): Order {
  const line = lineOf(order, productId);
  if (!line || line.quantity === quantity) return order;
  return put(order, line, quantity, line.offer);
}

/** One more or one less on the current line; less than something removes it. */
export function step(order: Order, by: 1 | -1): Order {
  const line = order.current === undefined ? undefined : lineOf(order, order.current);
  if (!line) return order;
  const next = add(parseDecimal(line.quantity) ?? ZERO, { units: BigInt(by), scale: 0 });
  if (next.units <= 0n) return remove(order, line.productId);
  return setQuantity(order, line.productId, quantityOf(decimalText(next)) ?? line.quantity);
}

export function select(order: Order, productId: string): Order {
  return { ...order, current: productId };
}

/** The accepted offer of a line, while its quantity is still the one that the offer was made for. */
export function standingOffer(line: OrderLine): string | undefined {
  return line.offer?.quantity === line.quantity ? line.offer.text : undefined;
}

function lineTotal(line: OrderLine, currency: string | undefined): Decimal | undefined {
  const price = parseDecimal(line.unitPrice);
  const quantity = parseDecimal(line.quantity);
  return price && quantity ? round(multiply(price, quantity), minorDigits(currency)) : undefined;
}

export function lineTotalText(line: OrderLine, currency: string | undefined): string {
  const total = lineTotal(line, currency);
  return total ? moneyText(total) : "no price";
}

/** The sum of the rounded line totals: what is printed adds up. */
export function total(order: Order, currency: string | undefined): Decimal {
  return order.lines.reduce((sum, line) => add(sum, lineTotal(line, currency) ?? ZERO), ZERO);
}

/** The cart events that lead from one order to the next. */
export function eventsOf(before: Order, after: Order): NewEvent[] {
  const events: NewEvent[] = [];
  for (const line of before.lines) {
    if (!lineOf(after, line.productId)) events.push({ type: "remove_from_cart", product_id: line.productId });
  }
  for (const line of after.lines) {
    const old = parseDecimal(lineOf(before, line.productId)?.quantity) ?? ZERO;
    const more = subtract(parseDecimal(line.quantity) ?? ZERO, old);
    if (more.units > 0n) {
      events.push({ type: "add_to_cart", product_id: line.productId, quantity: wireQuantity(decimalText(more)) });
    } else if (more.units < 0n) {
      const less = decimalText({ units: -more.units, scale: more.scale });
      events.push({ type: "remove_from_cart", product_id: line.productId, quantity: wireQuantity(less) });
    }
  }
  return events;
}

export function purchaseOf(order: Order, orderId: string, currency: string | undefined): NewEvent {
  return {
    type: "purchase",
    order_id: orderId,
    value: wireMoney(total(order, currency), currency),
    lines: order.lines.map((line) => ({
      product_id: line.productId,
      quantity: wireQuantity(line.quantity),
      ...(line.unitPrice === undefined ? {} : { unit_price: line.unitPrice }),
    })),
  };
}
