/** Models: the list, and one model's whole life, live. */
import { useState } from "react";
import type { Config, ModelRef } from "../lib/config.ts";
import type { Experiment, KubeEvent, Model, Policy, Version } from "../lib/kube.ts";
import { addressOf } from "../lib/route.ts";
import { ActionDialog } from "./ActionDialog.tsx";
import type { Action } from "./actions.ts";
import { ExperimentCard } from "./ExperimentCard.tsx";
import { phaseTone, wordsOf } from "./health.ts";
import { KpiChart } from "./KpiChart.tsx";
import { ModelHeader } from "./ModelHeader.tsx";
import { RolloutCard } from "./RolloutCard.tsx";
import { DriftCard, EventsCard, GatesCard, HistoryCard } from "./SideCards.tsx";
import { useNow, usePolled, useWatched } from "./useKind.ts";
import { VersionsTable } from "./VersionsTable.tsx";

const POLL_MS = 20_000;
const TICK_MS = 5_000;

function ModelList({ models, chosen }: { models: readonly Model[]; chosen: ModelRef }) {
  return (
    <nav className="model-list" aria-label="Models">
      {models.map((model) => {
        const { name, namespace = chosen.namespace } = model.metadata;
        return (
          <a key={name} href={addressOf({ page: "models", namespace, name })} aria-current={name === chosen.name ? "true" : undefined}>
            <strong>{name}</strong>
            <span className="muted small">{model.status?.activeVersion ?? "no version"}</span>
            <span className={`pill ${phaseTone(model.status?.phase)}`}>{wordsOf(model.status?.phase ?? "Pending")}</span>
          </a>
        );
      })}
    </nav>
  );
}

export function ModelsPage({ config, model: chosen }: { config: Config; model: ModelRef }) {
  const models = useWatched<Model>("recommendermodels", chosen.namespace);
  const versions = useWatched<Version>("modelversions", chosen.namespace);
  const events = useWatched<KubeEvent>("events", chosen.namespace);
  const policies = usePolled<Policy>("promotionpolicies", chosen.namespace, POLL_MS);
  const experiments = usePolled<Experiment>("experiments", chosen.namespace, POLL_MS);
  const now = useNow(TICK_MS);
  const [action, setAction] = useState<Action>();
  const [said, setSaid] = useState("");

  const model = models.items.find((known) => known.metadata.name === chosen.name);
  const policyName = model?.spec.promotionPolicyRef?.name;
  const policy = policies.items.find((known) => known.metadata.name === policyName);
  const own = versions.items.filter((version) => version.spec.modelRef.name === chosen.name);
  const ownExperiments = experiments.items.filter((experiment) => experiment.spec.modelRef.name === chosen.name);
  const names = new Set([chosen.name, ...[...own, ...ownExperiments].map((object) => object.metadata.name)]);
  const lost = [models.link, versions.link, events.link].find((link) => link.state === "lost");
  const card = { policy, acting: config.acting, now, onAct: setAction };

  return (
    <main className="models-page">
      {models.items.length > 1 && <ModelList models={models.items} chosen={chosen} />}
      <p className={lost ? "link-state lost" : "link-state"} role="status">
        {lost ? `Connection lost (${lost.why}); what is shown may be old. Trying again.` : models.link.state === "live" ? "Live" : "Connecting…"}
        <span className="grow" />
        {said}
      </p>
      {models.known && !model && <p className="notice">The model {chosen.name} is gone.</p>}
      {model && (
        <div className="model">
          <ModelHeader model={model} {...card} />
          <div className="columns">
            <RolloutCard model={model} {...card} />
            <div className="column">
              <DriftCard model={model} now={now} />
              <GatesCard policy={policy} />
            </div>
          </div>
          <VersionsTable model={model} versions={own} {...card} />
          <div className="columns">
            <div className="column">
              <KpiChart insights={chosen.insights} />
              {ownExperiments.length > 0 && (
                <section className="panel" aria-label="Experiments">
                  <h2>Experiments</h2>
                  {ownExperiments.map((experiment) => (
                    <ExperimentCard key={experiment.metadata.name} experiment={experiment} now={now} />
                  ))}
                </section>
              )}
            </div>
            <HistoryCard model={model} now={now} />
          </div>
          <EventsCard events={events.items} names={names} now={now} />
        </div>
      )}
      {action && (
        <ActionDialog
          key={action.title}
          namespace={chosen.namespace}
          name={chosen.name}
          action={action}
          onClose={(done) => {
            if (done) setSaid(`${action.title}: asked for`);
            setAction(undefined);
          }}
        />
      )}
    </main>
  );
}
