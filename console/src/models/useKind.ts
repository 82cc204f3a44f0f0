/** One kind of one namespace, live while the page is seen. A hidden tab lets its connections go: a browser has six per origin. */
import { useEffect, useState, useSyncExternalStore } from "react";
import { getJson, isAbort, messageOf } from "../lib/http.ts";
import { collectionPath, type Plural } from "../lib/kube.ts";
import { follow, type Link } from "../lib/stream.ts";
import { collectionOf, type List, type Named } from "../lib/watch.ts";

export interface Kind<T> {
  items: readonly T[];
  /** Whether a first answer is there. */
  known: boolean;
  link: Link;
}

function subscribe(changed: () => void): () => void {
  document.addEventListener("visibilitychange", changed);
  return () => {
    document.removeEventListener("visibilitychange", changed);
  };
}

export function useSeen(): boolean {
  return useSyncExternalStore(subscribe, () => document.visibilityState === "visible");
}

const START = { items: [], known: false, link: { state: "connecting" } } as const;

export function useWatched<T extends Named>(plural: Plural, namespace: string): Kind<T> {
  const [kind, setKind] = useState<Kind<T>>(START);
  const seen = useSeen();
  useEffect(() => {
    if (!seen) return;
    const controller = new AbortController();
    const listener = {
      collection: (collection: { byName: ReadonlyMap<string, T> }) => {
        setKind((before) => ({ ...before, items: [...collection.byName.values()], known: true }));
      },
      link: (link: Link) => {
        setKind((before) => ({ ...before, link }));
      },
    };
    void follow<T>(collectionPath(plural, namespace), listener, controller.signal);
    return () => {
      controller.abort();
    };
  }, [plural, namespace, seen]);
  return kind;
}

/** For kinds that change seldom: read again every so often instead of held open. */
export function usePolled<T extends Named>(plural: Plural, namespace: string, everyMs: number): Kind<T> {
  const [kind, setKind] = useState<Kind<T>>(START);
  const seen = useSeen();
  useEffect(() => {
    if (!seen) return;
    const controller = new AbortController();
    const read = () => {
      getJson<List<T>>(collectionPath(plural, namespace), controller.signal)
        .then((list) => {
          setKind({ items: [...collectionOf(list).byName.values()], known: true, link: { state: "live" } });
        })
        .catch((error: unknown) => {
          if (!isAbort(error)) setKind((before) => ({ ...before, link: { state: "lost", why: messageOf(error) } }));
        });
    };
    read();
    const timer = setInterval(read, everyMs);
    return () => {
      clearInterval(timer);
      controller.abort();
    };
  }, [plural, namespace, everyMs, seen]);
  return kind;
}

/** The time, again every few seconds, so that ages do not stand still. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => {
      setNow(Date.now());
    }, everyMs);
    return () => {
      clearInterval(timer);
    };
  }, [everyMs]);
  return now;
}
