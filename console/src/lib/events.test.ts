import { expect, test } from "vitest";
import { EventQueue, type QueueState, type WireEvent } from "./events.ts";
import { HttpError } from "./http.ts";

type Reply = Error | "accept" | "reject-first";

/** A queue with a clock that stands still until `run` moves it, and a log that answers as told. */
function bench(replies: Reply[]) {
  const posted: WireEvent[][] = [];
  const waits: number[] = [];
  const timers: (() => void)[] = [];
  let state: QueueState | undefined;
  let id = 0;
  const queue = new EventQueue({
    post: (batch) => {
      posted.push(batch);
      const reply = replies.shift() ?? "accept";
      if (reply instanceof Error) return Promise.reject(reply);
      const rejected = reply === "reject-first" ? 1 : 0;
      return Promise.resolve({
        accepted: batch.length - rejected, duplicates: 0, rejected,
        results: batch.map((event, index) =>
          index < rejected
            ? { status: "rejected" as const, index, pointer: "/quantity", detail: "must be above 0" }
            : { status: "accepted" as const, event_id: event.event_id, offset: index }),
      });
    },
    newId: () => `id-${++id}`,
    now: () => new Date("2026-11-21T10:00:00Z"),
    later: (run, ms) => {
      waits.push(ms);
      timers.push(run);
    },
    changed: (next) => (state = next),
  });
  const run = async () => {
    for (const timer of timers.splice(0)) timer();
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  return { queue, posted, waits, run, state: () => state };
}

const ids = (batch: WireEvent[] | undefined) => batch?.map((event) => event.event_id);

test("events of one moment go in one batch, in order", async () => {
  const { queue, posted, run, state } = bench([]);
  queue.push({ type: "add_to_cart", product_id: "a" }, { type: "recommendation_accepted", product_id: "a" });
  queue.push({ type: "select_item", product_id: "b" });
  await run();
  expect(posted.map(ids)).toEqual([["id-1", "id-2", "id-3"]]);
  expect(state()).toMatchObject({ waiting: 0, accepted: 3 });
});

test("a failed batch is sent again with the same ids and before what came later", async () => {
  const { queue, posted, waits, run, state } = bench([new TypeError("network"), new HttpError(503, "busy", undefined, 4)]);
  queue.push({ type: "purchase" });
  await run();
  expect(state()).toMatchObject({ waiting: 1, trouble: "network" });
  queue.push({ type: "view_item" });
  await run();
  await run();
  expect(posted.map(ids)).toEqual([["id-1"], ["id-1", "id-2"], ["id-1", "id-2"]]);
  expect(waits).toEqual([40, 500, 4000]);
  expect(state()).toMatchObject({ waiting: 0, accepted: 2, trouble: undefined });
});

test("waits grow and have a bound", async () => {
  const { queue, waits, run } = bench(Array.from({ length: 9 }, () => new TypeError("network")));
  queue.push({ type: "purchase" });
  for (let round = 0; round < 9; round++) await run();
  expect(waits).toEqual([40, 500, 1000, 2000, 4000, 8000, 15000, 15000, 15000, 15000]);
});

test("a batch that is too large is halved, not dropped", async () => {
  const { queue, posted, run, state } = bench([new HttpError(413, "too large")]);
  queue.push({ type: "view_item" }, { type: "view_item" }, { type: "view_item" });
  await run();
  await run();
  await run();
  expect(posted.map(ids)).toEqual([["id-1", "id-2", "id-3"], ["id-1", "id-2"], ["id-3"]]);
  expect(state()).toMatchObject({ waiting: 0, accepted: 3 });
});

test("what is refused for good is said and never sent again", async () => {
  const { queue, posted, run, state } = bench(["reject-first", new HttpError(400, "not JSON")]);
  queue.push({ type: "add_to_cart", quantity: -1 }, { type: "view_item" });
  await run();
  expect(state()).toMatchObject({ accepted: 1, refused: "/quantity must be above 0" });
  queue.push({ type: "view_item" });
  await run();
  await run();
  expect(posted).toHaveLength(2);
  expect(state()).toMatchObject({ waiting: 0, refused: "not JSON" });
});

test("drained waits for the log, not for the wire", async () => {
  const { queue, run } = bench([new TypeError("network")]);
  queue.push({ type: "recommendation_declined" });
  let settled = false;
  void queue.drained().then(() => (settled = true));
  await run();
  expect(settled).toBe(false);
  await run();
  expect(settled).toBe(true);
});

test("memory is bounded and the bound is said", () => {
  const { queue, state } = bench([]);
  for (let index = 0; index < 2001; index++) queue.push({ type: "view_item" });
  expect(state()).toMatchObject({ waiting: 2000 });
  expect(state()?.refused).toContain("2000 events wait");
});
