/**
 * What a person can do to a model. Pure: each action is a merge patch of spec, the words that say what will happen, and the
 * kubectl command that does the same.
 */
import type { Model, Policy, SpecPatch } from "../lib/kube.ts";

export interface Action {
  title: string;
  /** What happens, one sentence each. */
  effects: string[];
  spec: SpecPatch;
  button: string;
  danger: boolean;
}

export interface Step {
  name: string;
  weight: number;
  minDuration?: string;
  minSamples?: number;
  requireApproval?: boolean;
}

/** The built-in policy's steps, for a model that names none. */
export const BUILT_IN_STEPS: readonly Step[] = [
  { name: "one", weight: 1, minDuration: "10m" },
  { name: "five", weight: 5, minDuration: "15m" },
  { name: "quarter", weight: 25, minDuration: "30m" },
  { name: "half", weight: 50, minDuration: "30m" },
  { name: "all", weight: 100 },
];

export function stepsOf(policy: Policy | undefined): readonly Step[] {
  const steps = policy?.spec.steps;
  return steps && steps.length > 0 ? steps : BUILT_IN_STEPS;
}

/** A value for tokens that must only differ from the last one. */
export function tokenOf(now: Date): string {
  return `console-${now.toISOString().replace(/[-:]|\.\d+/g, "").toLowerCase()}`;
}

function stepWords(steps: readonly Step[]): string {
  return steps.map((step) => `${step.weight} %${step.requireApproval ? " (after approval)" : ""}`).join(", ");
}

/** What stands in the way of a version and has to be taken back with the promotion. */
function clearing(model: Model, version: string, token: string): { rollout?: SpecPatch; effects: string[] } {
  const rollout: SpecPatch = {};
  const effects: string[] = [];
  if (model.spec.rollout?.abortVersion === version) {
    rollout.abortVersion = null;
    effects.push(`The earlier abort of ${version} is taken back.`);
  }
  if (model.status?.rejectedVersions?.some((rejected) => rejected.version === version)) {
    rollout.retryToken = token;
    effects.push(`${version} was rejected before; it is tried again.`);
  }
  return { ...(effects.length > 0 ? { rollout } : {}), effects };
}

export function promote(model: Model, version: string, policy: Policy | undefined, token: string): Action {
  const active = model.status?.activeVersion;
  const running = model.status?.rollout?.version;
  const cleared = clearing(model, version, token);
  const effects = [
    active
      ? `${version} takes over from ${active} in steps: ${stepWords(stepsOf(policy))} of the customers.`
      : `${version} becomes the first version that answers.`,
    "Every step waits for its gates; a failed gate takes the traffic back.",
  ];
  if (running && running !== version) {
    effects.push(policy?.spec.superseding === "Queue" ? `The rollout of ${running} ends first.` : `The rollout of ${running} ends at once.`);
  }
  if (model.spec.rollout?.paused) effects.push("The model is on hold: no weight rises until it is resumed.");
  return {
    title: `Promote ${version}`,
    effects: [...effects, ...cleared.effects],
    spec: { promotedVersion: version, ...(cleared.rollout ? { rollout: cleared.rollout } : {}) },
    button: `Promote ${version}`,
    danger: false,
  };
}

export function rollBack(model: Model, version: string, policy: Policy | undefined, token: string): Action {
  const active = model.status?.activeVersion ?? "the active version";
  const window = policy?.spec.rollback?.window ?? 3;
  const cleared = clearing(model, version, token);
  return {
    title: `Roll back to ${version}`,
    effects: [
      `${version} answers all customers in place of ${active}.`,
      window > 0
        ? `Without steps if ${version} is among the last ${window} versions that served everybody; with the policy's steps otherwise.`
        : "With the policy's steps: this policy restores no version without them.",
      "Nothing is trained or rebuilt.",
      ...cleared.effects,
    ],
    spec: { promotedVersion: version, ...(cleared.rollout ? { rollout: cleared.rollout } : {}) },
    button: `Roll back to ${version}`,
    danger: true,
  };
}

export function approve(version: string, step: Step): Action {
  return {
    title: `Approve step ${step.name} for ${version}`,
    effects: [
      `${version} may go to ${step.weight} % of the customers once the gates of the step before have passed.`,
      "The approval holds for this version and this step alone.",
    ],
    spec: { rollout: { approvedStep: { version, step: step.name } } },
    button: "Approve",
    danger: false,
  };
}

export function hold(model: Model): Action {
  const rollout = model.status?.rollout;
  return {
    title: "Hold the rollout",
    effects: [
      rollout ? `${rollout.version} stays at ${rollout.weight} % of the customers.` : "No candidate gets more weight.",
      "A failed gate still takes the traffic back.",
    ],
    spec: { rollout: { paused: true } },
    button: "Hold",
    danger: false,
  };
}

export function resume(): Action {
  return {
    title: "Resume the rollout",
    effects: ["The weight rises again with the next step whose gates pass."],
    spec: { rollout: { paused: false } },
    button: "Resume",
    danger: false,
  };
}

export function abort(model: Model, version: string): Action {
  const { activeVersion, previousVersion } = model.status ?? {};
  const back = version === activeVersion ? (previousVersion ?? "the previous version") : (activeVersion ?? "the active version");
  return {
    title: `Abort ${version}`,
    effects: [
      `All customers of ${version} go back to ${back} within seconds.`,
      `This wins over everything, also over promotedVersion: ${version} stays out until the abort is taken back.`,
    ],
    spec: { rollout: { abortVersion: version } },
    button: `Abort ${version}`,
    danger: true,
  };
}

export function retrain(model: Model, token: string): Action {
  const budget = model.spec.retraining?.budget;
  const runs = model.status?.retraining?.runsInWindow;
  return {
    title: "Train a new version",
    effects: [
      `One training starts with the newest data; its version becomes ${model.metadata.name}-v${(model.status?.versionHighWater ?? 0) + 1} unless another takes that number first.`,
      budget
        ? `It counts to the budget: ${runs ?? 0} of ${budget.maxRuns ?? 14} trainings in the last ${budget.window ?? "168h"}. The cool-down is not waited for.`
        : "No budget is set. The cool-down is not waited for.",
      "What answers now does not change.",
    ],
    spec: { retraining: { trigger: token } },
    button: "Train",
    danger: false,
  };
}

/** The same with kubectl, quoted for a POSIX shell. */
export function kubectlOf(namespace: string, name: string, spec: SpecPatch): string {
  const quoted = JSON.stringify({ spec }).replaceAll("'", String.raw`'\''`);
  return `kubectl patch recm ${name} -n ${namespace} --type=merge -p '${quoted}'`;
}
