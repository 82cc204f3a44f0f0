/** The registry of a model's versions. */
import type { Model, Policy, Version } from "../lib/kube.ts";
import { ageText, bytesText, countOf, shortDigest, signedPercentText } from "../lib/format.ts";
import { abort, promote, rollBack, tokenOf, type Action } from "./actions.ts";
import { phaseTone, wordsOf } from "./health.ts";

const METRIC = "ndcg@10";

type Metrics = NonNullable<Version["status"]>["metrics"];

function metricOf(metrics: Metrics, split?: string): { value: string; split: string } | undefined {
  const named = (metrics ?? []).filter((metric) => metric.name === METRIC);
  return named.find((metric) => metric.split === (split ?? "test")) ?? named[0];
}

function Metric({ version }: { version: Version }) {
  const own = metricOf(version.status?.metrics);
  const baseline = metricOf(version.status?.baselineMetrics, own?.split);
  if (!own) return <span className="muted">–</span>;
  const lift = baseline ? Number(own.value) / Number(baseline.value) - 1 : undefined;
  return (
    <span title={baseline ? `Baseline ${baseline.value} on the same data (${own.split})` : `On ${own.split}`}>
      {own.value}
      {lift !== undefined && Number.isFinite(lift) && <span className={`lift ${lift >= 0 ? "good-text" : "bad-text"}`}>{signedPercentText(lift)}</span>}
    </span>
  );
}

interface Props {
  model: Model;
  versions: readonly Version[];
  policy: Policy | undefined;
  acting: boolean;
  now: number;
  onAct: (action: Action) => void;
}

function Act({ model, version, policy, onAct }: { model: Model; version: Version; policy: Policy | undefined; onAct: (action: Action) => void }) {
  const name = version.metadata.name;
  const status = model.status ?? {};
  const token = () => tokenOf(new Date());
  if (version.status?.phase !== "Ready" || status.rollout?.version === name) return null;
  if (status.activeVersion === name) {
    return status.previousVersion ? (
      <button
        type="button"
        className="quiet"
        onClick={() => {
          onAct(abort(model, name));
        }}
      >
        Leave…
      </button>
    ) : null;
  }
  const older = (status.history ?? []).some((entry) => entry.version === name && entry.outcome === "Promoted");
  return (
    <button
      type="button"
      onClick={() => {
        onAct(older ? rollBack(model, name, policy, token()) : promote(model, name, policy, token()));
      }}
    >
      {older ? "Roll back…" : "Promote…"}
    </button>
  );
}

export function VersionsTable({ model, versions, policy, acting, now, onAct }: Props) {
  const sorted = [...versions].sort((a, b) => b.spec.version - a.spec.version);
  const rejected = new Map((model.status?.rejectedVersions ?? []).map((entry) => [entry.version, entry.reason]));
  return (
    <section className="panel" aria-label="Versions">
      <h2>Versions</h2>
      {sorted.length === 0 && <p className="empty">No version yet.</p>}
      {sorted.length > 0 && (
        <div className="scroll">
          <table className="versions">
            <thead>
              <tr>
                <th scope="col">Version</th>
                <th scope="col">Phase</th>
                <th scope="col">In use</th>
                <th scope="col" className="num">
                  {METRIC}
                </th>
                <th scope="col">Trigger</th>
                <th scope="col" className="num minor">
                  Rows
                </th>
                <th scope="col" className="num minor">
                  Size
                </th>
                <th scope="col" className="minor">Digest</th>
                <th scope="col" className="num">
                  Age
                </th>
                {acting && (
                  <th scope="col">
                    <span className="hidden">Actions</span>
                  </th>
                )}
              </tr>
            </thead>
            <tbody>
              {sorted.map((version) => {
                const { name, creationTimestamp } = version.metadata;
                const status = version.status ?? {};
                return (
                  <tr key={name}>
                    <th scope="row">
                      {name} <span className="muted small">{version.spec.architecture}</span>
                    </th>
                    <td>
                      <span className={`pill ${phaseTone(status.phase)}`}>{wordsOf(status.phase ?? "Pending")}</span>
                      {status.phase === "Training" && status.progressPercent !== undefined && <span className="muted small"> {status.progressPercent} %</span>}
                      {rejected.has(name) && (
                        <span className="pill bad" title={rejected.get(name)}>
                          Rejected
                        </span>
                      )}
                    </td>
                    <td>{(status.usedBy ?? []).join(", ")}</td>
                    <td className="num">
                      <Metric version={version} />
                    </td>
                    <td title={version.spec.trigger.reason}>{wordsOf(version.spec.trigger.type)}</td>
                    <td className="num minor">{status.dataset ? countOf(status.dataset.rows) : ""}</td>
                    <td className="num minor">{status.artifact ? bytesText(status.artifact.sizeBytes) : ""}</td>
                    <td className="mono minor" title={status.artifact?.sha256}>
                      {status.artifact ? shortDigest(status.artifact.sha256) : ""}
                    </td>
                    <td className="num">{ageText(creationTimestamp, now)}</td>
                    {acting && (
                      <td className="num">
                        <Act model={model} version={version} policy={policy} onAct={onAct} />
                      </td>
                    )}
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
