/** What a list and a watch say, folded into one collection. Pure; the connection is kept by stream.ts. */
import type { Meta } from "./kube.ts";

export interface Named {
  metadata: Meta;
}

export interface Collection<T> {
  byName: ReadonlyMap<string, T>;
  /** Where a watch goes on. */
  resourceVersion: string;
}

export interface List<T> {
  metadata?: { resourceVersion?: string };
  items?: T[];
}

export interface WatchEvent {
  type: string;
  object: unknown;
}

export function collectionOf<T extends Named>(list: List<T>): Collection<T> {
  const byName = new Map((list.items ?? []).map((item) => [item.metadata.name, item]));
  return { byName, resourceVersion: list.metadata?.resourceVersion ?? "" };
}

/** The next collection; `"relist"` where the watch cannot go on and everything must be read again. */
export function applied<T extends Named>(collection: Collection<T>, event: WatchEvent): Collection<T> | "relist" {
  const object = event.object as T | undefined;
  const meta: Meta | undefined = object?.metadata;
  const resourceVersion = meta?.resourceVersion ?? collection.resourceVersion;
  switch (event.type) {
    case "ADDED":
    case "MODIFIED": {
      if (!object) return "relist";
      const byName = new Map(collection.byName).set(object.metadata.name, object);
      return { byName, resourceVersion };
    }
    case "DELETED": {
      if (!object) return "relist";
      const byName = new Map(collection.byName);
      byName.delete(object.metadata.name);
      return { byName, resourceVersion };
    }
    case "BOOKMARK":
      return { byName: collection.byName, resourceVersion };
    default:
      // ERROR: 410 (too old) or anything else that the server could not go on with.
      return "relist";
  }
}

/** Cuts a stream of text into lines; what is not yet ended waits for the rest. */
export class Lines {
  #rest = "";

  push(text: string): string[] {
    const parts = (this.#rest + text).split("\n");
    this.#rest = parts.pop() ?? "";
    return parts.filter((line) => line.trim() !== "");
  }
}

/** Wait before try number `failures` (from 1): doubling from half a second to 20 s, half of it by chance. */
export function backoffMs(failures: number, random: number): number {
  const whole = Math.min(20_000, 500 * 2 ** Math.max(0, failures - 1));
  return whole / 2 + (whole / 2) * random;
}
