/** How long the answer took, as this browser measured it, and who gave it. */
import { PROMISE_MS, type Timed } from "../lib/router.ts";

interface Props {
  timed: Timed | undefined;
  times: readonly number[];
  asking: boolean;
}

const WIDTH = 100;
const HEIGHT = 22;

function Spark({ times }: { times: readonly number[] }) {
  const top = Math.max(PROMISE_MS / 4, ...times);
  const step = WIDTH / 40;
  return (
    <svg className="spark" width={WIDTH} height={HEIGHT} role="img" aria-label={`The last ${times.length} answer times`}>
      {times.map((ms, index) => {
        const height = Math.max(2, (ms / top) * HEIGHT);
        const x = WIDTH - (times.length - index) * step;
        return <rect key={index} x={x} y={HEIGHT - height} width={step - 1} height={height} className={ms < PROMISE_MS ? "good" : "slow"} />;
      })}
    </svg>
  );
}

export function AnswerMeter({ timed, times, asking }: Props) {
  if (!timed) return <p className="meter muted">{asking ? "Asking…" : "Not asked yet"}</p>;
  const { answer, elapsedMs } = timed;
  const sorted = [...times].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? elapsedMs;
  const slowest = sorted.at(-1) ?? elapsedMs;
  return (
    <div className="meter" aria-label="Answer">
      <span className={`pill ${elapsedMs < PROMISE_MS ? "good" : "warn"}`} data-testid="answer-time" title={`Promised: under ${PROMISE_MS} ms`}>
        {elapsedMs < 10 ? elapsedMs.toFixed(1) : Math.round(elapsedMs)} ms
      </span>
      <Spark times={times} />
      <span className="muted">
        median {median.toFixed(0)}, max {slowest.toFixed(0)}
      </span>
      <span className="grow" />
      <span data-testid="answer-version">{answer.version}</span>
      {answer.arm && <span className="pill plain">{answer.arm}</span>}
      {answer.experiment && <span className="pill plain">experiment {answer.experiment}</span>}
      {answer.degraded && (
        <span className="pill warn" title="Another rung of the fallback ladder answered">
          degraded: from {answer.degraded.from}, {answer.degraded.why.replaceAll("_", " ")}
        </span>
      )}
    </div>
  );
}
