/** Drift, the policy's gates, what was promoted by whom, and what happened. */
import type { KubeEvent, Model, Policy } from "../lib/kube.ts";
import { ageText, countOf, relativeText } from "../lib/format.ts";
import { wordsOf } from "./health.ts";

export function DriftCard({ model, now }: { model: Model; now: number }) {
  const drift = model.status?.drift;
  const worst = drift?.worst;
  const needed = model.spec.retraining?.onDrift?.consecutiveWindows ?? 3;
  const share = worst ? Math.min(1.25, Number(worst.value) / Number(worst.threshold)) : 0;
  const over = share >= 1;
  return (
    <section className="panel" aria-label="Drift">
      <div className="head-row">
        <h2>Drift</h2>
        <span className="grow" />
        {drift?.lastCheckedAt && <span className="muted small">checked {relativeText(drift.lastCheckedAt, now)}</span>}
      </div>
      {!worst && <p className="muted small">Not measured yet.</p>}
      {worst && (
        <>
          <p>
            <strong>{worst.name}</strong> {worst.stat.toUpperCase()} <span className={over ? "bad-text" : "good-text"}>{worst.value}</span>{" "}
            <span className="muted">limit {worst.threshold}</span>
          </p>
          <svg className="bar tall" viewBox="0 0 125 8" preserveAspectRatio="none" role="img" aria-label={`${worst.value} of a limit of ${worst.threshold}`}>
            <rect className="track" width="125" height="8" />
            <rect className={over ? "over" : "under"} width={share * 100} height="8" />
            <rect className="limit" x="99.5" width="1" height="8" />
          </svg>
          <p className="muted small">
            {drift.consecutive ?? 0} of {needed} windows in a row
            {drift.samples !== undefined && `, n=${countOf(drift.samples)}`}
            {model.spec.retraining?.onDrift?.enabled ? "; then a training starts" : "; drift starts no training here"}
          </p>
        </>
      )}
    </section>
  );
}

interface Gate {
  name: string;
  min?: string;
  max?: string;
  maxRegressionPercent?: string;
  dryRun?: boolean;
}

function limitOf(gate: Gate): string {
  const parts = [];
  if (gate.min !== undefined) parts.push(`≥ ${gate.min}`);
  if (gate.max !== undefined) parts.push(`≤ ${gate.max}`);
  if (gate.maxRegressionPercent !== undefined) parts.push(`at most ${gate.maxRegressionPercent} % worse than active`);
  return parts.join(", ") + (gate.dryRun ? " (watched only)" : "");
}

export function GatesCard({ policy }: { policy: Policy | undefined }) {
  const offline = policy?.spec.offline?.gates ?? [];
  const online = policy?.spec.online?.gates ?? [];
  return (
    <section className="panel" aria-label="Gates">
      <h2>Gates{policy ? ` of ${policy.metadata.name}` : ""}</h2>
      {!policy && <p className="muted small">The built-in policy: ndcg@10 at most 1 % worse, success rate, latency, empty and fallback answers.</p>}
      <dl className="gates">
        {offline.map((gate) => (
          <div key={`offline/${gate.name}`}>
            <dt>
              {gate.metric} <span className="muted small">before traffic</span>
            </dt>
            <dd>{limitOf(gate)}</dd>
          </div>
        ))}
        {online.map((gate) => (
          <div key={`online/${gate.name}`}>
            <dt>
              {gate.name} <span className="muted small">{wordsOf(gate.builtin)}</span>
            </dt>
            <dd>{limitOf(gate)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

const OUTCOME_TONES = { Promoted: "good", RolledBack: "bad", Aborted: "bad", Superseded: "plain" };

export function HistoryCard({ model, now }: { model: Model; now: number }) {
  const history = [...(model.status?.history ?? [])].sort((a, b) => Date.parse(b.time) - Date.parse(a.time));
  return (
    <section className="panel" aria-label="History">
      <h2>History</h2>
      {history.length === 0 && <p className="muted small">Nothing was promoted yet.</p>}
      <ol className="history">
        {history.map((entry) => (
          <li key={`${entry.time}/${entry.version}`}>
            <span className={`pill ${OUTCOME_TONES[entry.outcome]}`}>{wordsOf(entry.outcome)}</span>{" "}
            <strong>{entry.version}</strong>
            {entry.from && <span className="muted"> from {entry.from}</span>}
            <span className="muted">
              {" "}
              {relativeText(entry.time, now)}
              {entry.by && ` by ${entry.by}`}
            </span>
            {entry.reason && <p className="small muted">{entry.reason}</p>}
          </li>
        ))}
      </ol>
    </section>
  );
}

const timeOf = (event: KubeEvent): string =>
  event.series?.lastObservedTime ?? event.eventTime ?? event.deprecatedLastTimestamp ?? event.metadata.creationTimestamp ?? "";

const SHOWN_EVENTS = 30;

export function EventsCard({ events, names, now }: { events: readonly KubeEvent[]; names: ReadonlySet<string>; now: number }) {
  const told = events
    .filter((event) => names.has(event.regarding?.name ?? ""))
    .sort((a, b) => Date.parse(timeOf(b)) - Date.parse(timeOf(a)))
    .slice(0, SHOWN_EVENTS);
  return (
    <section className="panel" aria-label="Events">
      <h2>Events</h2>
      {told.length === 0 && <p className="muted small">Nothing happened yet.</p>}
      {told.length > 0 && (
        <div className="scroll">
          <table className="events">
            <thead className="hidden">
              <tr>
                <th scope="col">When</th>
                <th scope="col">What</th>
                <th scope="col">About</th>
                <th scope="col">Note</th>
              </tr>
            </thead>
            <tbody>
              {told.map((event) => (
                <tr key={event.metadata.name}>
                  <td className="num muted">{ageText(timeOf(event), now)}</td>
                  <td className={event.type === "Warning" ? "warn-text" : undefined}>
                    {event.reason}
                    {event.series && event.series.count > 1 && <span className="muted small"> ×{event.series.count}</span>}
                  </td>
                  <td className="muted">{event.regarding?.name}</td>
                  <td>{event.note}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
