/** One queue of events per model for as long as the page lives. */
import { useEffect, useMemo, useState } from "react";
import { EventQueue, type QueueState } from "../lib/events.ts";
import type { components } from "../generated/api.ts";
import { call } from "../lib/http.ts";

const IDLE: QueueState = { waiting: 0, accepted: 0, trouble: undefined, refused: undefined };

export function useEvents(base: string): { queue: EventQueue; state: QueueState } {
  const [state, setState] = useState(IDLE);
  const queue = useMemo(
    () =>
      new EventQueue({
        post: async (batch, lastChance) => {
          const response = await call(`${base}/v1/events`, { method: "POST", body: batch, keepalive: lastChance });
          return (await response.json()) as components["schemas"]["EventsResponse"];
        },
        newId: () => crypto.randomUUID(),
        now: () => new Date(),
        later: (run, ms) => setTimeout(run, ms),
        changed: setState,
      }),
    [base],
  );
  useEffect(() => {
    const leave = () => {
      queue.leave();
    };
    window.addEventListener("pagehide", leave);
    return () => {
      window.removeEventListener("pagehide", leave);
    };
  }, [queue]);
  return { queue, state };
}
