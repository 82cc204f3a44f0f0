/** How a condition looks: some are good when they hold, some are bad, some only say something. Pure. */
import type { Condition } from "../lib/kube.ts";

export type Tone = "good" | "warn" | "bad" | "plain";

/** Tone when the status is True, and when it is False. */
const TONES: Record<string, [Tone, Tone]> = {
  Ready: ["good", "bad"],
  Progressing: ["plain", "plain"],
  Degraded: ["bad", "good"],
  PromotionComplete: ["good", "plain"],
  TrafficSynced: ["good", "warn"],
  LatestVersionReady: ["good", "warn"],
  DriftDetected: ["warn", "good"],
  RetrainingSuspended: ["warn", "good"],
  Accepted: ["good", "bad"],
  DataCovered: ["good", "warn"],
  Paused: ["warn", "plain"],
};

export function toneOf({ type, status }: Condition): Tone {
  if (status === "Unknown") return "plain";
  const tones = TONES[type] ?? ["plain", "plain"];
  return tones[status === "True" ? 0 : 1];
}

/** What needs eyes first. */
export function byUrgency(conditions: readonly Condition[]): Condition[] {
  const rank: Record<Tone, number> = { bad: 0, warn: 1, plain: 2, good: 3 };
  return [...conditions].sort((a, b) => rank[toneOf(a)] - rank[toneOf(b)]);
}

const PHASE_TONES: Record<string, Tone> = {
  Serving: "good", Ready: "good", Completed: "good", Running: "plain", RollingOut: "plain", Training: "plain",
  RollingBack: "warn", Degraded: "bad", Paused: "warn", Failed: "bad", Expired: "plain",
};

export function phaseTone(phase: string | null | undefined): Tone {
  return PHASE_TONES[phase ?? ""] ?? "plain";
}

/** `RollingOut` -> `Rolling out` */
export function wordsOf(camel: string | null | undefined): string {
  const words = (camel ?? "").replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
