import { expect, test } from "vitest";
import type { Model, Policy } from "../lib/kube.ts";
import { abort, approve, hold, kubectlOf, promote, retrain, rollBack, stepsOf, tokenOf } from "./actions.ts";

const model = (spec: Partial<Model["spec"]> = {}, status: Model["status"] = {}): Model => ({
  metadata: { name: "shop", namespace: "default" },
  spec: { data: { sources: [] }, artifacts: { uri: "file:///a" }, ...spec },
  status: { activeVersion: "shop-v1", previousVersion: "shop-v0", versionHighWater: 2, ...status },
});
const policy = (spec: Policy["spec"]): Policy => ({ metadata: { name: "p" }, spec });

test("a promotion is one field, and says the steps of the policy", () => {
  const action = promote(model(), "shop-v2", policy({ steps: [{ name: "a", weight: 10 }, { name: "b", weight: 100, requireApproval: true }] }), "t");
  expect(action.spec).toEqual({ promotedVersion: "shop-v2" });
  expect(action.effects[0]).toBe("shop-v2 takes over from shop-v1 in steps: 10 %, 100 % (after approval) of the customers.");
});

test("promoting what was aborted and rejected takes both back, for an abort would win", () => {
  const stuck = model({ rollout: { abortVersion: "shop-v2" } }, { rejectedVersions: [{ version: "shop-v2", reason: "gate", time: "2026-01-01T00:00:00Z" }] });
  expect(promote(stuck, "shop-v2", undefined, "t-1").spec).toEqual({ promotedVersion: "shop-v2", rollout: { abortVersion: null, retryToken: "t-1" } });
  expect(promote(stuck, "shop-v3", undefined, "t-1").spec).toEqual({ promotedVersion: "shop-v3" });
  expect(rollBack(stuck, "shop-v2", undefined, "t-1").spec).toEqual({ promotedVersion: "shop-v2", rollout: { abortVersion: null, retryToken: "t-1" } });
});

test("an abort names where the customers go: from a candidate to the active version, from that to the previous", () => {
  expect(abort(model(), "shop-v2").effects[0]).toContain("back to shop-v1");
  expect(abort(model(), "shop-v1").effects[0]).toContain("back to shop-v0");
  expect(abort(model(), "shop-v2").spec).toEqual({ rollout: { abortVersion: "shop-v2" } });
});

test("an approval names version and step", () => {
  expect(approve("shop-v2", { name: "half", weight: 50 }).spec).toEqual({ rollout: { approvedStep: { version: "shop-v2", step: "half" } } });
});

test("holding says where the weight stays", () => {
  expect(hold(model({}, { rollout: { version: "shop-v2", phase: "Stepping", weight: 25 } })).effects[0]).toBe("shop-v2 stays at 25 % of the customers.");
});

test("a training says the number it will get and what the budget says", () => {
  const action = retrain(model({ retraining: { budget: { maxRuns: 5, window: "24h" } } }, { retraining: { runsInWindow: 4 } }), "t-2");
  expect(action.spec).toEqual({ retraining: { trigger: "t-2" } });
  expect(action.effects.join(" ")).toMatch(/shop-v3 .*4 of 5 trainings in the last 24h/);
});

test("the command is quoted for a shell", () => {
  expect(kubectlOf("default", "shop", { promotedVersion: "shop-v2" })).toBe(
    `kubectl patch recm shop -n default --type=merge -p '{"spec":{"promotedVersion":"shop-v2"}}'`,
  );
  expect(kubectlOf("default", "shop", { x: "it's" })).toContain(String.raw`it'\''s`);
});

test("tokens fit the field and differ with time", () => {
  const token = tokenOf(new Date("2026-11-21T10:11:12.345Z"));
  expect(token).toBe("console-20261121t101112z");
  expect(token.length).toBeLessThanOrEqual(64);
  expect(tokenOf(new Date("2026-11-21T10:11:13Z"))).not.toBe(token);
});

test("without a policy the built-in steps are shown", () => {
  expect(stepsOf(undefined).map((step) => step.weight)).toEqual([1, 5, 25, 50, 100]);
});
