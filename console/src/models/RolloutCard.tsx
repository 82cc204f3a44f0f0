/** The rollout as a line of steps: where it stands, what holds it, what is asked for and what is on the wire. */
import type { Model, Policy, Rollout } from "../lib/kube.ts";
import { countOf, relativeText, weightText } from "../lib/format.ts";
import { approve, stepsOf, type Action, type Step } from "./actions.ts";

function approvalOf(model: Model, rollout: Rollout, steps: readonly Step[]): Step | undefined {
  const next = steps[steps.findIndex((step) => step.name === rollout.step) + 1];
  const given = model.spec.rollout?.approvedStep;
  if (!next?.requireApproval || (given?.version === rollout.version && given.step === next.name)) return undefined;
  return next;
}

function StepLine({ steps, rollout }: { steps: readonly Step[]; rollout: Rollout }) {
  const current = steps.findIndex((step) => step.name === rollout.step);
  return (
    <ol className="steps">
      {steps.map((step, index) => {
        const state = index < current ? "done" : index === current ? "now" : "ahead";
        return (
          <li key={step.name} className={state} aria-current={state === "now" ? "step" : undefined}>
            <span className="dot" aria-hidden>
              {state === "done" ? "✓" : ""}
            </span>
            <span className="weight">{step.weight} %</span>
            <span className="step-name">{step.name}</span>
            {step.requireApproval && <span className="muted small">needs approval</span>}
          </li>
        );
      })}
    </ol>
  );
}

function Traffic({ model }: { model: Model }) {
  const traffic = model.status?.traffic ?? [];
  if (traffic.length === 0) return null;
  return (
    <table className="traffic">
      <caption className="hidden">Traffic</caption>
      <thead>
        <tr>
          <th scope="col">Arm</th>
          <th scope="col">Version</th>
          <th scope="col" className="wide">
            On the wire
          </th>
          <th scope="col" className="num">
            Acknowledged
          </th>
          <th scope="col" className="num">
            Asked
          </th>
          <th scope="col" className="num">
            Ready
          </th>
        </tr>
      </thead>
      <tbody>
        {traffic.map((arm) => (
          <tr key={`${arm.arm}/${arm.version}`}>
            <th scope="row">{arm.arm}</th>
            <td>{arm.version}</td>
            <td className="wide">
              <svg className="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden>
                <rect className="track" width="100" height="8" rx="1" />
                <rect className="asked" width={arm.weight / 100} height="8" />
                <rect className="acked" width={arm.ackedWeight / 100} height="8" />
              </svg>
            </td>
            <td className="num">{weightText(arm.ackedWeight)}</td>
            <td className={arm.weight === arm.ackedWeight ? "num" : "num warn-text"}>{weightText(arm.weight)}</td>
            <td className="num">{arm.readyReplicas}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

type Verdicts = NonNullable<NonNullable<NonNullable<Model["status"]>["rollout"]>["gates"]>;

/** What the last window measured of each gate, with its interval and its limit. */
function Gates({ gates }: { gates: Verdicts }) {
  const window = gates[0]?.window;
  return (
    <table className="grid" aria-label="Gates">
      <thead>
        <tr>
          <th scope="col">Gates{window === undefined ? "" : `, window ${window}`}</th>
          <th scope="col" className="num">measured</th>
          <th scope="col" className="num">interval</th>
          <th scope="col" className="num">limit</th>
          <th scope="col" className="num">n</th>
          <th scope="col">verdict</th>
        </tr>
      </thead>
      <tbody>
        {gates.map((gate) => (
          <tr key={gate.name} data-testid="gate">
            <th scope="row">{gate.name}</th>
            <td className="num">{gate.value ?? "-"}</td>
            <td className="num">{gate.low === undefined || gate.high === undefined ? "-" : `${gate.low} to ${gate.high}`}</td>
            <td className="num">{gate.threshold ?? "-"}</td>
            <td className="num">{gate.samples === undefined ? "-" : countOf(gate.samples)}</td>
            <td>
              <span className={`pill ${gate.verdict === "Pass" ? "good" : gate.verdict === "Fail" ? "bad" : "warn"}`}>{gate.verdict}</span>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface Props {
  model: Model;
  policy: Policy | undefined;
  acting: boolean;
  now: number;
  onAct: (action: Action) => void;
}

export function RolloutCard({ model, policy, acting, now, onAct }: Props) {
  const steps = stepsOf(policy);
  const rollout = model.status?.rollout;
  const waitsFor = rollout ? approvalOf(model, rollout, steps) : undefined;
  const gates = rollout?.gates ?? (rollout?.lastGate ? [rollout.lastGate] : []);
  return (
    <section className="panel" aria-label="Rollout">
      <div className="head-row">
        <h2>{rollout ? `Rollout of ${rollout.version}` : "Traffic"}</h2>
        {rollout && <span className="muted small">started {relativeText(rollout.startedAt, now)}</span>}
        <span className="grow" />
        {acting && rollout && waitsFor && (
          <button
            type="button"
            className="primary"
            onClick={() => {
              onAct(approve(rollout.version, waitsFor));
            }}
          >
            Approve {waitsFor.weight} %…
          </button>
        )}
      </div>
      {!rollout && <p className="muted small">No rollout is under way; {model.status?.trafficOwner?.startsWith("Experiment") ? "an experiment owns the traffic." : "the active version answers."}</p>}
      {rollout && <StepLine steps={steps} rollout={rollout} />}
      {rollout?.heldReason && (
        <p className="held">
          <span className="pill warn">Held</span> {rollout.heldReason}
        </p>
      )}
      {rollout && (
        <dl className="facts">
          <div>
            <dt>Step since</dt>
            <dd>{relativeText(rollout.stepStartedAt, now)}</dd>
          </div>
          {rollout.deadline && (
            <div>
              <dt>Deadline</dt>
              <dd>{relativeText(rollout.deadline, now)}</dd>
            </div>
          )}
        </dl>
      )}
      {gates.length > 0 && <Gates gates={gates} />}
      <Traffic model={model} />
    </section>
  );
}
