/** Keeps one collection up to date: list, watch, reconnect with growing waits, list again after 410. */
import { call, getJson, HttpError, messageOf } from "./http.ts";
import { applied, backoffMs, collectionOf, Lines, type Collection, type List, type Named, type WatchEvent } from "./watch.ts";

export type Link = { state: "connecting" } | { state: "live" } | { state: "lost"; why: string };

export interface Listener<T> {
  collection: (collection: Collection<T>) => void;
  link: (link: Link) => void;
}

const WATCH_SECONDS = 300;

/** Runs until `signal` aborts. */
export async function follow<T extends Named>(path: string, listener: Listener<T>, signal: AbortSignal): Promise<void> {
  let collection: Collection<T> | undefined;
  let failures = 0;
  while (!signal.aborted) {
    try {
      if (!collection) {
        collection = collectionOf(await getJson<List<T>>(path, signal));
        listener.collection(collection);
      }
      collection = await watch(path, collection, listener, signal, () => {
        failures = 0;
      });
    } catch (error) {
      if (stopped(signal)) return;
      if (error instanceof HttpError && error.status === 410) {
        collection = undefined;
        continue;
      }
      failures++;
      listener.link({ state: "lost", why: messageOf(error) });
      await pause(backoffMs(failures, Math.random()), signal);
    }
  }
}

/** Asked anew: the signal may have changed while we waited. */
function stopped(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** One watch until the server ends it; undefined where everything must be listed again. */
async function watch<T extends Named>(
  path: string,
  start: Collection<T>,
  listener: Listener<T>,
  signal: AbortSignal,
  connected: () => void,
): Promise<Collection<T> | undefined> {
  const query = new URLSearchParams({
    watch: "true", allowWatchBookmarks: "true", timeoutSeconds: String(WATCH_SECONDS), resourceVersion: start.resourceVersion,
  });
  // A connection that died in silence ends here at the latest.
  const bounded = AbortSignal.any([signal, AbortSignal.timeout((WATCH_SECONDS + 30) * 1000)]);
  const response = await call(`${path}?${query.toString()}`, { signal: bounded });
  if (!response.body) throw new Error("the watch has no body");
  connected();
  listener.link({ state: "live" });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const lines = new Lines();
  let collection = start;
  const opened = Date.now();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    let changed = false;
    for (const line of lines.push(value)) {
      const next = applied(collection, JSON.parse(line) as WatchEvent);
      if (next === "relist") {
        await reader.cancel();
        return undefined;
      }
      changed ||= next.byName !== collection.byName;
      collection = next;
    }
    if (changed) listener.collection(collection);
  }
  // A server that ends every watch at once must not be asked in a tight loop.
  if (Date.now() - opened < 1000) await pause(backoffMs(1, Math.random()), signal);
  return collection;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
