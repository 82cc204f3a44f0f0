import { expect, test } from "vitest";
import { commandOf, moveSelection, type Press } from "./keys.ts";

const press = (given: Partial<Press>): Press => ({
  key: "", code: "", alt: false, shift: false, ctrl: false, meta: false, field: "none", ...given,
});

test("Alt and a digit accept, with Shift decline, also while a field is filled and whatever the layout writes", () => {
  expect(commandOf(press({ key: "1", code: "Digit1", alt: true }))).toEqual({ do: "accept", index: 0 });
  expect(commandOf(press({ key: "¡", code: "Digit1", alt: true, field: "filled" }))).toEqual({ do: "accept", index: 0 });
  expect(commandOf(press({ key: "(", code: "Digit9", alt: true, shift: true }))).toEqual({ do: "decline", index: 8 });
  expect(commandOf(press({ key: "0", code: "Digit0", alt: true }))).toBeUndefined();
});

test("a slash goes to the product search, but stays a slash in a text that is being typed", () => {
  expect(commandOf(press({ key: "/", code: "Slash" }))).toEqual({ do: "focus-products" });
  expect(commandOf(press({ key: "/", code: "Slash", field: "filled" }))).toBeUndefined();
});

test("plus and minus step the quantity unless something is being typed", () => {
  expect(commandOf(press({ key: "+", shift: true }))).toEqual({ do: "step", by: 1 });
  expect(commandOf(press({ key: "-", field: "empty" }))).toEqual({ do: "step", by: -1 });
  expect(commandOf(press({ key: "-", field: "filled" }))).toBeUndefined();
});

test("the browser's own shortcuts are left alone", () => {
  expect(commandOf(press({ key: "+", ctrl: true }))).toBeUndefined();
  expect(commandOf(press({ key: "1", code: "Digit1", alt: true, meta: true }))).toBeUndefined();
});

test("arrows wrap around, and a shorter list keeps the selection inside", () => {
  expect(moveSelection(-1, "ArrowDown", 3)).toBe(0);
  expect(moveSelection(2, "ArrowDown", 3)).toBe(0);
  expect(moveSelection(0, "ArrowUp", 3)).toBe(2);
  expect(moveSelection(7, "Home", 3)).toBe(2);
  expect(moveSelection(0, "ArrowDown", 0)).toBe(-1);
});
