/** Questions to a model's router. */
import type { components } from "../generated/api.ts";
import { call } from "./http.ts";

export type Schemas = components["schemas"];
export type Item = Schemas["Item"];
export type Question = Schemas["RecommendationRequest"];
export type Answer = Schemas["RecommendationResponse"];

export interface Timed {
  answer: Answer;
  /** From the call to the read body, as this browser measured it. */
  elapsedMs: number;
}

/** What the order management system is promised. */
export const PROMISE_MS = 200;

export async function ask(base: string, question: Question, signal: AbortSignal): Promise<Timed> {
  const started = performance.now();
  const response = await call(`${base}/v1/recommendations`, { method: "POST", body: question, signal });
  const answer = (await response.json()) as Answer;
  return { answer, elapsedMs: performance.now() - started };
}

/** A quantity as the wire wants it: an integer, or a decimal string where the unit can be split (the schema says number). */
export function wireQuantity(quantity: string): number {
  return (/^\d{1,15}$/.test(quantity) ? Number(quantity) : quantity) as number;
}
