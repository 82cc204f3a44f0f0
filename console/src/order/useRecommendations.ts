/** Asks the router whenever the order changes; an answer to an older order never replaces one to a newer. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { isAbort, messageOf } from "../lib/http.ts";
import { Latest } from "../lib/latest.ts";
import { ask, type Question, type Timed } from "../lib/router.ts";

/** Long enough to swallow the digits of a quantity, too short to be felt. */
const DEBOUNCE_MS = 60;
const KEPT_TIMES = 40;

export interface Recommendations {
  timed: Timed | undefined;
  /** Answer times, the newest last. */
  times: readonly number[];
  asking: boolean;
  error: string | undefined;
  /** Asks the same once more. */
  again: () => void;
}

/** `shown`: nobody is asked for a list that nobody sees, for every answer counts as an exposure. */
export function useRecommendations(base: string, question: Question, shown: boolean): Recommendations {
  const [timed, setTimed] = useState<Timed>();
  const [times, setTimes] = useState<readonly number[]>([]);
  const [error, setError] = useState<string>();
  const [asking, setAsking] = useState(false);
  const [round, setRound] = useState(0);
  const latest = useRef(new Latest());
  const key = JSON.stringify(question);
  const asked = useMemo(() => JSON.parse(key) as Question, [key]);

  useEffect(() => {
    if (!shown) return;
    const ticket = latest.current.next();
    const timer = setTimeout(() => {
      setAsking(true);
      ask(base, asked, ticket.signal)
        .then((next) => {
          if (!ticket.isCurrent()) return;
          setTimed(next);
          setTimes((before) => [...before.slice(1 - KEPT_TIMES), next.elapsedMs]);
          setError(undefined);
          setAsking(false);
        })
        .catch((failure: unknown) => {
          if (!ticket.isCurrent() || isAbort(failure)) return;
          setError(messageOf(failure));
          setAsking(false);
        });
    }, DEBOUNCE_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [base, asked, round, shown]);

  const again = useCallback(() => {
    setRound((before) => before + 1);
  }, []);
  return { timed, times, asking, error, again };
}
