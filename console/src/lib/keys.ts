/** Which key does what on the order entry page. Pure, so that the map can be tested and printed. */

export interface Press {
  key: string;
  /** Position of the key (`Digit1`), for Alt+digit writes other characters on many keyboards. */
  code: string;
  alt: boolean;
  shift: boolean;
  ctrl: boolean;
  meta: boolean;
  /** Whether a text field has the focus, and whether anything stands in it. */
  field: "none" | "empty" | "filled";
}

export type Command =
  | { do: "focus-products" }
  | { do: "focus-customer" }
  | { do: "step"; by: 1 | -1 }
  | { do: "accept"; index: number }
  | { do: "decline"; index: number };

export function commandOf(press: Press): Command | undefined {
  if (press.ctrl || press.meta) return undefined;
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(press.code)?.[1];
  if (press.alt) {
    if (digit === undefined) return undefined;
    return { do: press.shift ? "decline" : "accept", index: Number(digit) - 1 };
  }
  // In an empty search field +, - and / keep their meaning: no product is searched by them.
  if (press.field === "filled") return undefined;
  if (press.key === "+") return { do: "step", by: 1 };
  if (press.key === "-") return { do: "step", by: -1 };
  if (press.key === "/") return { do: "focus-products" };
  if (press.field === "empty") return undefined;
  if (press.key === "c") return { do: "focus-customer" };
  return undefined;
}

/** Next place in a list of `length` options; -1 is none. Ends wrap around. */
export function moveSelection(current: number, key: string, length: number): number {
  if (length === 0) return -1;
  if (key === "ArrowDown") return current + 1 >= length ? 0 : current + 1;
  if (key === "ArrowUp") return current <= 0 ? length - 1 : current - 1;
  return Math.min(current, length - 1);
}
