import { expect, test } from "vitest";
import { applied, backoffMs, collectionOf, Lines, type Collection, type Named } from "./watch.ts";

interface Thing extends Named {
  value?: number;
}

const thing = (name: string, resourceVersion: string, value?: number): Thing => ({ metadata: { name, resourceVersion }, ...(value === undefined ? {} : { value }) });
const start = (): Collection<Thing> => collectionOf({ metadata: { resourceVersion: "10" }, items: [thing("a", "3"), thing("b", "7")] });

function next(collection: Collection<Thing>, type: string, object: unknown): Collection<Thing> {
  const result = applied(collection, { type, object });
  if (result === "relist") throw new Error("relist");
  return result;
}

test("adds, changes and deletes are folded, and the place to go on moves along", () => {
  let collection = next(start(), "ADDED", thing("c", "11", 1));
  collection = next(collection, "MODIFIED", thing("a", "12", 2));
  collection = next(collection, "DELETED", thing("b", "13"));
  expect([...collection.byName.values()].map((found) => [found.metadata.name, found.value])).toEqual([["a", 2], ["c", 1]]);
  expect(collection.resourceVersion).toBe("13");
});

test("a bookmark moves the place and nothing else", () => {
  const before = start();
  const after = next(before, "BOOKMARK", { metadata: { resourceVersion: "99" } });
  expect(after.byName).toBe(before.byName);
  expect(after.resourceVersion).toBe("99");
});

test("an error such as 410 asks for a new list", () => {
  expect(applied(start(), { type: "ERROR", object: { kind: "Status", code: 410 } })).toBe("relist");
});

test("an earlier collection is never changed in place", () => {
  const before = start();
  next(before, "DELETED", thing("a", "11"));
  expect(before.byName.size).toBe(2);
});

test("lines are cut wherever the network cuts them", () => {
  const lines = new Lines();
  expect(lines.push('{"a"')).toEqual([]);
  expect(lines.push(':1}\n{"b":2}\n\n{"c')).toEqual(['{"a":1}', '{"b":2}']);
  expect(lines.push('":3}\n')).toEqual(['{"c":3}']);
});

test("waits grow to a bound and are spread", () => {
  expect([1, 2, 3].map((failures) => backoffMs(failures, 1))).toEqual([500, 1000, 2000]);
  expect(backoffMs(50, 1)).toBe(20_000);
  expect(backoffMs(1, 0)).toBe(250);
});
