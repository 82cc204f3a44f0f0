/**
 * Events on their way to the log: batched, in order, each with an id that it keeps through every retry, so that sending a
 * batch again never counts twice.
 */
import type { components } from "../generated/api.ts";
import { HttpError } from "./http.ts";

export type WireEvent = components["schemas"]["Event"];
export type NewEvent = Omit<WireEvent, "event_id" | "at">;
type Outcome = components["schemas"]["EventsResponse"];

export interface Line {
  /** Posts one batch; throws HttpError for an answer that is no success. */
  post: (batch: WireEvent[], lastChance: boolean) => Promise<Outcome>;
  newId: () => string;
  now: () => Date;
  later: (run: () => void, ms: number) => void;
  changed: (state: QueueState) => void;
}

export interface QueueState {
  waiting: number;
  accepted: number;
  /** Set while the log does not take events; they wait and are sent again. */
  trouble: string | undefined;
  /** Said once for events that the log refuses for good. */
  refused: string | undefined;
}

const BATCH_DELAY_MS = 40;
const MAX_BATCH = 200;
const MAX_WAITING = 2000;
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 15_000;

export class EventQueue {
  readonly #line: Line;
  #waiting: WireEvent[] = [];
  #sending = false;
  #scheduled = false;
  #failures = 0;
  #maxBatch = MAX_BATCH;
  #state: QueueState = { waiting: 0, accepted: 0, trouble: undefined, refused: undefined };
  #drained: (() => void)[] = [];

  constructor(line: Line) {
    this.#line = line;
  }

  push(...events: NewEvent[]): void {
    for (const event of events) {
      if (this.#waiting.length >= MAX_WAITING) {
        this.#say({ refused: `${MAX_WAITING} events wait already; newer ones are not recorded until the log takes them` });
        break;
      }
      this.#waiting.push({ ...event, event_id: this.#line.newId(), at: this.#line.now().toISOString() });
    }
    this.#say({});
    this.#schedule(BATCH_DELAY_MS);
  }

  /** Resolves when nothing waits any more; at once when nothing does. */
  drained(): Promise<void> {
    if (this.#waiting.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  /** Before the page goes: one try that outlives it. What is sent twice has the same ids. */
  leave(): void {
    if (this.#waiting.length > 0) this.#line.post(this.#waiting.slice(0, this.#maxBatch), true).catch(() => undefined);
  }

  #schedule(ms: number): void {
    if (this.#scheduled || this.#sending || this.#waiting.length === 0) return;
    this.#scheduled = true;
    this.#line.later(() => {
      this.#scheduled = false;
      void this.#send();
    }, ms);
  }

  async #send(): Promise<void> {
    if (this.#sending || this.#waiting.length === 0) return;
    this.#sending = true;
    const batch = this.#waiting.slice(0, this.#maxBatch);
    let wait = BATCH_DELAY_MS;
    try {
      const outcome = await this.#line.post(batch, false);
      this.#done(batch.length, outcome);
    } catch (error) {
      wait = this.#failed(batch.length, error);
    }
    this.#sending = false;
    if (this.#waiting.length === 0) for (const resolve of this.#drained.splice(0)) resolve();
    this.#schedule(wait);
  }

  #done(count: number, outcome: Outcome): void {
    this.#waiting.splice(0, count);
    this.#failures = 0;
    this.#maxBatch = MAX_BATCH;
    const rejected = outcome.results.find((result) => result.status === "rejected");
    const accepted = this.#state.accepted + outcome.accepted + outcome.duplicates;
    this.#say({ accepted, trouble: undefined, ...(rejected ? { refused: `${rejected.pointer} ${rejected.detail}` } : {}) });
  }

  /** How long to wait before the next try. */
  #failed(count: number, error: unknown): number {
    const status = error instanceof HttpError ? error.status : undefined;
    const message = error instanceof Error ? error.message : String(error);
    if (status === 413 && count > 1) {
      this.#maxBatch = Math.ceil(count / 2);
      return 0;
    }
    if (status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429) {
      this.#waiting.splice(0, count);
      this.#say({ refused: message });
      return BATCH_DELAY_MS;
    }
    this.#failures++;
    this.#say({ trouble: message });
    const asked = error instanceof HttpError ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
    return Math.max(asked, Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (this.#failures - 1)));
  }

  #say(change: Partial<QueueState>): void {
    this.#state = { ...this.#state, ...change, waiting: this.#waiting.length };
    this.#line.changed(this.#state);
  }
}
