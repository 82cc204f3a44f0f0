/** What an experiment has found: each arm with its interval, as a forest plot, and whether the arms got their shares. */
import type { Experiment } from "../lib/kube.ts";
import { countOf, relativeText, signedPercentText } from "../lib/format.ts";
import { phaseTone, wordsOf } from "./health.ts";
import { rangeOf, scale, ticksOf } from "./series.ts";

type Arm = NonNullable<NonNullable<Experiment["status"]>["arms"]>[number];

const ROW = 30;
const BOX = { width: 420, left: 12, right: 12, top: 8, bottom: 24 };

const known = (text: string | undefined): number | undefined => {
  const value = text === undefined ? undefined : Number(text);
  return value !== undefined && Number.isFinite(value) ? value : undefined;
};

function Forest({ arms, control, metric }: { arms: readonly Arm[]; control: string | undefined; metric: string }) {
  const values = arms.flatMap((arm) => [arm.value, arm.ciLow, arm.ciHigh].map(known).filter((value) => value !== undefined));
  if (values.length === 0) return <p className="empty">No figure yet.</p>;
  const ticks = ticksOf(Math.min(...values), Math.max(...values), 4);
  const height = BOX.top + arms.length * ROW + BOX.bottom;
  const x = (value: number) => scale(value, rangeOf(ticks), { low: BOX.left, high: BOX.width - BOX.right });
  const baseline = known(arms.find((arm) => arm.name === control)?.value);
  const percent = metric !== "RevenuePerUser";
  const label = arms.map((arm) => `${arm.name} ${arm.value ?? "unknown"} (${arm.ciLow ?? "?"} to ${arm.ciHigh ?? "?"})`).join("; ");
  return (
    <svg className="forest" viewBox={`0 0 ${BOX.width} ${height}`} role="img" aria-label={`${metric} by arm with intervals: ${label}`}>
      {ticks.map((tick, index) => (
        <g key={tick}>
          <line className="grid" x1={x(tick)} x2={x(tick)} y1={BOX.top} y2={height - BOX.bottom} />
          <text className="tick" x={x(tick)} y={height - 8} textAnchor={index === 0 ? "start" : index === ticks.length - 1 ? "end" : "middle"}>
            {percent ? `${Number((tick * 100).toPrecision(6))} %` : tick}
          </text>
        </g>
      ))}
      {baseline !== undefined && <line className="baseline" x1={x(baseline)} x2={x(baseline)} y1={BOX.top} y2={height - BOX.bottom} />}
      {arms.map((arm, index) => {
        const middle = BOX.top + index * ROW + ROW / 2;
        const [value, low, high] = [arm.value, arm.ciLow, arm.ciHigh].map(known);
        return (
          <g key={arm.name} className={arm.name === control ? "arm control" : "arm"}>
            {low !== undefined && high !== undefined && (
              <>
                <line x1={x(low)} x2={x(high)} y1={middle} y2={middle} />
                <line x1={x(low)} x2={x(low)} y1={middle - 5} y2={middle + 5} />
                <line x1={x(high)} x2={x(high)} y1={middle - 5} y2={middle + 5} />
              </>
            )}
            {value !== undefined && <rect x={x(value) - 4.5} y={middle - 4.5} width={9} height={9} />}
          </g>
        );
      })}
    </svg>
  );
}

export function ExperimentCard({ experiment, now }: { experiment: Experiment; now: number }) {
  const { spec, status = {} } = experiment;
  const control = spec.arms.find((arm) => arm.control)?.name;
  const arms = status.arms ?? [];
  const versionOf = new Map(spec.arms.map((arm) => [arm.name, arm.versionRef]));
  const srm = known(status.srmPValue);
  const srmBad = srm !== undefined && srm < Number(spec.analysis?.srmAlpha ?? "0.001");
  return (
    <article className="experiment">
      <div className="head-row">
        <h3>{experiment.metadata.name}</h3>
        <span className={`pill ${phaseTone(status.phase)}`}>{wordsOf(status.phase ?? "Pending")}</span>
        {status.conclusion && (
          <span className={`pill ${status.conclusion === "Winner" ? "good" : "warn"}`}>
            {wordsOf(status.conclusion)}
            {status.winner ? `: ${status.winner}` : ""}
          </span>
        )}
        <span className="grow" />
        <span className="muted small">
          {spec.primaryMetric.name}, {status.endsAt ? `${Date.parse(status.endsAt) < now ? "ended" : "ends"} ${relativeText(status.endsAt, now)}` : "not started"}
        </span>
      </div>
      {arms.length > 0 && (
        <div className="forest-row">
          <table>
            <thead>
              <tr>
                <th scope="col">Arm</th>
                <th scope="col" className="num">
                  Users
                </th>
                <th scope="col" className="num">
                  Lift
                </th>
                <th scope="col" className="num">
                  p
                </th>
              </tr>
            </thead>
            <tbody>
              {arms.map((arm) => (
                <tr key={arm.name}>
                  <th scope="row">
                    {arm.name} <span className="muted small">{arm.name === control ? "control" : versionOf.get(arm.name)}</span>
                  </th>
                  <td className="num">{countOf(arm.users)}</td>
                  <td className="num">{arm.lift === undefined ? "" : signedPercentText(Number(arm.lift))}</td>
                  <td className="num">{arm.pValue === undefined ? "" : Number(arm.pValue) < 0.0001 ? "< 0.0001" : arm.pValue}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <Forest arms={arms} control={control} metric={spec.primaryMetric.name} />
        </div>
      )}
      <p className="small muted">
        {srm !== undefined && (
          <span className={srmBad ? "bad-text" : undefined}>
            {srmBad ? "The arms did not get their shares" : "The arms got their shares"} (p = {status.srmPValue}).{" "}
          </span>
        )}
        {status.requiredSamplePerArm !== undefined && `Needs ${countOf(status.requiredSamplePerArm)} users an arm.`}
      </p>
    </article>
  );
}
