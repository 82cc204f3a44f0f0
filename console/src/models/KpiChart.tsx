/** Click-through over time, a line per version, from insights. The numbers are there as a table too. */
import { useEffect, useState } from "react";
import { isAbort, messageOf } from "../lib/http.ts";
import { kpis } from "../lib/insights.ts";
import { countOf, percentText } from "../lib/format.ts";
import { rangeOf, rateOf, scale, seriesOf, ticksOf, type Point, type Series } from "./series.ts";
import { useSeen } from "./useKind.ts";

const MINUTE = 60_000;
const SPANS = [
  { label: "1 h", ms: 60 * MINUTE, bucketMs: 2 * MINUTE, by: "minute" },
  { label: "6 h", ms: 360 * MINUTE, bucketMs: 10 * MINUTE, by: "minute" },
  { label: "24 h", ms: 1440 * MINUTE, bucketMs: 30 * MINUTE, by: "minute" },
  { label: "30 d", ms: 43_200 * MINUTE, bucketMs: 1440 * MINUTE, by: "day" },
] as const;
const REFRESH_MS = 30_000;
const BOX = { width: 720, height: 220, left: 48, right: 84, top: 10, bottom: 24 };

type Span = (typeof SPANS)[number];

interface Drawn {
  series: Series[];
  from: number;
  to: number;
}

function useSeries(insights: string, span: Span): { drawn: Drawn | undefined; error: string | undefined } {
  const [drawn, setDrawn] = useState<Drawn>();
  const [error, setError] = useState<string>();
  const seen = useSeen();
  useEffect(() => {
    if (!seen) return;
    const controller = new AbortController();
    const read = () => {
      const to = Date.now();
      // The oldest bucket is a whole one.
      const from = Math.ceil((to - span.ms) / span.bucketMs) * span.bucketMs;
      kpis(insights, new Date(from), new Date(to), span.by, controller.signal)
        .then((rows) => {
          setDrawn({ series: seriesOf(rows, span.bucketMs), from, to });
          setError(undefined);
        })
        .catch((failure: unknown) => {
          if (!isAbort(failure)) setError(messageOf(failure));
        });
    };
    read();
    const timer = setInterval(read, REFRESH_MS);
    return () => {
      clearInterval(timer);
      controller.abort();
    };
  }, [insights, span, seen]);
  return { drawn, error };
}

function clock(at: number, by: Span["by"]): string {
  const date = new Date(at);
  return by === "day"
    ? date.toLocaleDateString("en", { month: "short", day: "numeric" })
    : date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

/** Labels at the ends of lines must not cover each other. */
function spread(places: number[], gap: number): number[] {
  const order = places.map((_, index) => index).sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0));
  const moved = [...places];
  order.forEach((index, rank) => {
    const above = order[rank - 1];
    if (above !== undefined) moved[index] = Math.max(moved[index] ?? 0, (moved[above] ?? 0) + gap);
  });
  return moved;
}

function Lines({ drawn, span }: { drawn: Drawn; span: Span }) {
  const [hovered, setHovered] = useState<number>();
  const { series, from, to } = drawn;
  const rates = series.flatMap((line) => line.points.map(rateOf));
  const ticks = ticksOf(Math.min(...rates), Math.max(...rates), 4);
  const across = { low: BOX.left, high: BOX.width - BOX.right };
  const up = { low: BOX.height - BOX.bottom, high: BOX.top };
  const x = (at: number) => scale(at, { low: from, high: to }, across);
  const y = (rate: number) => scale(rate, rangeOf(ticks), up);
  const hours = [0, 0.25, 0.5, 0.75, 1].map((share) => from + share * (to - from));
  const ends = spread(series.map((line) => y(rateOf(line.points.at(-1) ?? { at: 0, clicked: 0, lists: 1 }))), 14);
  const nearest = (line: Series): Point | undefined =>
    hovered === undefined
      ? undefined
      : line.points.find((point) => Math.abs(point.at - hovered) <= span.bucketMs / 2);
  return (
    <svg
      className="chart"
      viewBox={`0 0 ${BOX.width} ${BOX.height}`}
      role="img"
      aria-label={`Click-through over the last ${span.label}, a line per version: ${series.map((line) => line.version).join(", ")}`}
      onPointerMove={(event) => {
        const box = event.currentTarget.getBoundingClientRect();
        const at = scale(((event.clientX - box.left) / box.width) * BOX.width, across, { low: from, high: to });
        setHovered(at >= from && at <= to ? at : undefined);
      }}
      onPointerLeave={() => {
        setHovered(undefined);
      }}
    >
      {ticks.map((tick) => (
        <g key={tick}>
          <line className="grid" x1={across.low} x2={across.high} y1={y(tick)} y2={y(tick)} />
          <text className="tick" x={across.low - 8} y={y(tick) + 4} textAnchor="end">
            {percentText(tick, ticks.some((other) => Math.round(other * 1000) % 10 !== 0) ? 1 : 0)}
          </text>
        </g>
      ))}
      {hours.map((at, index) => (
        <text key={at} className="tick" x={x(at)} y={BOX.height - 6} textAnchor={index === 0 ? "start" : index === hours.length - 1 ? "end" : "middle"}>
          {clock(at, span.by)}
        </text>
      ))}
      {series.map((line, index) => (
        <g key={line.version} className={`series s${(index % 4) + 1}`}>
          <polyline points={line.points.map((point) => `${x(point.at).toFixed(1)},${y(rateOf(point)).toFixed(1)}`).join(" ")} />
          {line.points.length === 1 && line.points[0] && <circle cx={x(line.points[0].at)} cy={y(rateOf(line.points[0]))} r={3} />}
          <text x={across.high + 8} y={(ends[index] ?? 0) + 4}>
            {line.version}
          </text>
        </g>
      ))}
      {hovered !== undefined && <line className="cross" x1={x(hovered)} x2={x(hovered)} y1={up.high} y2={up.low} />}
      {series.map((line, index) => {
        const point = nearest(line);
        return point ? (
          <g key={line.version} className={`series s${(index % 4) + 1} at`}>
            <circle cx={x(point.at)} cy={y(rateOf(point))} r={3.5} />
            <text x={across.low + 6} y={up.high + 10 + 14 * index}>
              {clock(point.at, span.by)} {line.version} {percentText(rateOf(point), 2)} of {countOf(point.lists)} lists
            </text>
          </g>
        ) : null;
      })}
    </svg>
  );
}

export function KpiChart({ insights }: { insights: string }) {
  const [span, setSpan] = useState<Span>(SPANS[1]);
  const { drawn, error } = useSeries(insights, span);
  const sums = (drawn?.series ?? []).map((line) => ({
    version: line.version,
    at: 0,
    clicked: line.points.reduce((sum, point) => sum + point.clicked, 0),
    lists: line.points.reduce((sum, point) => sum + point.lists, 0),
  }));
  return (
    <section className="panel" aria-label="Click-through">
      <div className="head-row">
        <h2>Click-through per version</h2>
        <span className="grow" />
        <div className="spans" role="group" aria-label="Span">
          {SPANS.map((choice) => (
            <button
              key={choice.label}
              type="button"
              aria-pressed={choice === span}
              onClick={() => {
                setSpan(choice);
              }}
            >
              {choice.label}
            </button>
          ))}
        </div>
      </div>
      {error && <p className="pill warn">Figures are not available: {error}</p>}
      {drawn?.series.length === 0 && <p className="empty">No list was shown in the last {span.label}.</p>}
      {drawn && drawn.series.length > 0 && (
        <>
          <Lines drawn={drawn} span={span} />
          <ul className="sums small">
            {sums.map((sum, index) => (
              <li key={sum.version}>
                <span className={`swatch s${(index % 4) + 1}`} aria-hidden /> {sum.version}: {percentText(rateOf(sum), 2)}{" "}
                <span className="muted">
                  {countOf(sum.clicked)} of {countOf(sum.lists)} lists clicked
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}
