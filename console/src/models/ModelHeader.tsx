/** Who answers, in what state, and what can be done about it. */
import { useState } from "react";
import type { Condition, Model, Policy } from "../lib/kube.ts";
import { ageText, relativeText } from "../lib/format.ts";
import { abort, hold, resume, retrain, tokenOf, type Action } from "./actions.ts";
import { byUrgency, phaseTone, toneOf, wordsOf } from "./health.ts";

const MARKS = { good: "✓", warn: "!", bad: "✕", plain: "·" };

function Conditions({ conditions, generation, now }: { conditions: readonly Condition[]; generation: number | undefined; now: number }) {
  const [chosen, setChosen] = useState<string>();
  const sorted = byUrgency(conditions);
  const told = sorted.filter((condition) => condition.type === chosen || ["bad", "warn"].includes(toneOf(condition)));
  return (
    <div className="conditions">
      <ul className="chips">
        {sorted.map((condition) => (
          <li key={condition.type}>
            <button
              type="button"
              className={`pill chip ${toneOf(condition)}`}
              aria-pressed={chosen === condition.type}
              title={condition.message}
              onClick={() => {
                setChosen(chosen === condition.type ? undefined : condition.type);
              }}
            >
              <span aria-hidden>{MARKS[toneOf(condition)]}</span> {condition.type}
              {condition.status !== "True" && `: ${condition.status === "False" ? "no" : "unknown"}`}
            </button>
          </li>
        ))}
      </ul>
      <ul className="told">
        {told.map((condition) => (
          <li key={condition.type}>
            <strong>
              {condition.type}={condition.status}
            </strong>{" "}
            {wordsOf(condition.reason)}: {condition.message}{" "}
            <span className="muted">
              for {ageText(condition.lastTransitionTime, now)}
              {generation !== undefined && (condition.observedGeneration ?? generation) < generation ? ", of an earlier spec" : ""}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

interface Props {
  model: Model;
  policy: Policy | undefined;
  acting: boolean;
  now: number;
  onAct: (action: Action) => void;
}

export function ModelHeader({ model, policy, acting, now, onAct }: Props) {
  const status = model.status ?? {};
  const running = status.rollout?.version;
  const paused = model.spec.rollout?.paused ?? false;
  const aborted = model.spec.rollout?.abortVersion;
  const training = status.training;
  const facts: [string, string][] = [
    ["Active", status.activeVersion ?? "none"],
    ["Target", status.targetVersion && status.targetVersion !== status.activeVersion ? status.targetVersion : ""],
    ["Previous", status.previousVersion ?? ""],
    ["Replicas", status.replicas === undefined ? "" : `${status.readyReplicas ?? 0} of ${status.replicas} ready`],
    ["Routers", status.routing ? `${status.routing.routersSynced} of ${status.routing.routersTotal} at revision ${status.routing.revision}` : ""],
    ["Policy", model.spec.promotionPolicyRef?.name ?? "built in"],
    ["Mode", policy?.spec.mode ?? "Manual"],
    ["Address", status.url ?? ""],
  ];
  return (
    <section className="panel model-head" aria-label="Model">
      <div className="head-row">
        <h1>
          {model.metadata.name} <span className={`pill ${phaseTone(status.phase)}`}>{wordsOf(status.phase ?? "Pending")}</span>
          {paused && <span className="pill warn">On hold</span>}
        </h1>
        <span className="grow" />
        {acting && (
          <div className="buttons">
            <button
              type="button"
              onClick={() => {
                onAct(retrain(model, tokenOf(new Date())));
              }}
            >
              Retrain…
            </button>
            <button
              type="button"
              onClick={() => {
                onAct(paused ? resume() : hold(model));
              }}
            >
              {paused ? "Resume…" : "Hold…"}
            </button>
            {running && aborted !== running && (
              <button
                type="button"
                className="danger"
                onClick={() => {
                  onAct(abort(model, running));
                }}
              >
                Abort {running}…
              </button>
            )}
          </div>
        )}
      </div>
      <dl className="facts">
        {facts
          .filter(([, value]) => value !== "")
          .map(([key, value]) => (
            <div key={key}>
              <dt>{key}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
      {training && (
        <div className="training">
          <span>
            Training <strong>{training.version}</strong>
            {(training.attempt ?? 1) > 1 && `, attempt ${training.attempt}`}
          </span>
          <progress max={100} value={training.progressPercent ?? 0} aria-label="Training" />
          <span className="muted">
            {training.progressPercent ?? 0} %{training.etaSeconds !== undefined && `, about ${Math.ceil(training.etaSeconds / 60)} min left`}
            {training.lastReportTime && `, reported ${relativeText(training.lastReportTime, now)}`}
          </span>
        </div>
      )}
      <Conditions conditions={status.conditions ?? []} generation={model.metadata.generation} now={now} />
    </section>
  );
}
