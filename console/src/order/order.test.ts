import { expect, test } from "vitest";
import { moneyText } from "../lib/decimal.ts";
import { addOne, EMPTY, eventsOf, lineTotalText, purchaseOf, put, quantityOf, remove, setQuantity, standingOffer, step, total, type Sold } from "./order.ts";

const pen: Sold = { productId: "10218C", name: "PEN", unitPrice: "1.35" };
const cup: Sold = { productId: "10001", name: "CUP", unitPrice: "0.15" };

test("adding what is there adds one and makes it the current line", () => {
  const order = addOne(addOne(addOne(EMPTY, pen), cup), pen);
  expect(order.lines.map((line) => [line.productId, line.quantity])).toEqual([["10218C", "2"], ["10001", "1"]]);
  expect(order.current).toBe("10218C");
});

test("steps change the current line, and the last unit takes the line away", () => {
  let order = step(addOne(addOne(EMPTY, pen), cup), 1);
  expect(order.lines[1]?.quantity).toBe("2");
  order = step(step(order, -1), -1);
  expect(order.lines.map((line) => line.productId)).toEqual(["10218C"]);
  expect(order.current).toBe("10218C");
  expect(step(EMPTY, 1)).toBe(EMPTY);
});

test("totals are exact, and what is printed adds up", () => {
  const order = put(put(EMPTY, pen, "7"), cup, "0.5");
  expect(order.lines.map((line) => lineTotalText(line, "GBP"))).toEqual(["9.45", "0.08"]);
  expect(moneyText(total(order, "GBP"), "GBP")).toBe("9.53 GBP");
});

test("quantities are decimals above nothing", () => {
  expect(["6", "0.5", 7, "6.0", "0", "-1", "1e3", "0.0001", "1000001", ""].map(quantityOf)).toEqual([
    "6", "0.5", "7", "6", undefined, undefined, undefined, undefined, undefined, undefined,
  ]);
});

test("events say the difference", () => {
  const six = put(EMPTY, pen, "6");
  expect(eventsOf(EMPTY, six)).toEqual([{ type: "add_to_cart", product_id: "10218C", quantity: 6 }]);
  expect(eventsOf(six, setQuantity(six, "10218C", "6.5"))).toEqual([{ type: "add_to_cart", product_id: "10218C", quantity: "0.5" }]);
  expect(eventsOf(six, setQuantity(six, "10218C", "2"))).toEqual([{ type: "remove_from_cart", product_id: "10218C", quantity: 4 }]);
  expect(eventsOf(six, remove(six, "10218C"))).toEqual([{ type: "remove_from_cart", product_id: "10218C" }]);
  expect(eventsOf(six, six)).toEqual([]);
});

test("an accepted offer stands only for the quantity that it was made for", () => {
  const order = put(EMPTY, pen, "7", { text: "2 free", quantity: "7" });
  expect(order.lines.map(standingOffer)).toEqual(["2 free"]);
  expect(step(order, 1).lines.map(standingOffer)).toEqual([undefined]);
  expect(step(step(order, 1), -1).lines.map(standingOffer)).toEqual(["2 free"]);
});

test("a purchase carries lines, prices and the value", () => {
  expect(purchaseOf(put(EMPTY, pen, "7"), "C-1", "GBP")).toEqual({
    type: "purchase", order_id: "C-1", value: "9.45", lines: [{ product_id: "10218C", quantity: 7, unit_price: "1.35" }],
  });
});
