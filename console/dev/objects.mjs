// An in-memory stand-in for the Kubernetes-shaped part of `endcap up`, for the development of the console alone:
// lists, watches and merge-patches objects that were read from YAML. Nothing here decides; a patch of spec changes spec.
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";

const PLURALS = {
  RecommenderModel: "recommendermodels",
  ModelVersion: "modelversions",
  PromotionPolicy: "promotionpolicies",
  Experiment: "experiments",
  Event: "events",
};
const KEPT_CHANGES = 500;

/** RFC 7386. */
export function mergePatch(target, patch) {
  if (patch === null || typeof patch !== "object" || Array.isArray(patch)) return patch;
  const base = target !== null && typeof target === "object" && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete base[key];
    else base[key] = mergePatch(base[key], value);
  }
  return base;
}

/** `@-90m` in the YAML means 90 minutes before the start, `@+2h` two hours after it. */
function times(value, now) {
  if (typeof value === "string") {
    const found = /^@([+-])(\d+)([smhd])$/.exec(value);
    if (!found) return value;
    const unit = { s: 1, m: 60, h: 3600, d: 86400 }[found[3]];
    const seconds = Number(found[2]) * unit * (found[1] === "-" ? -1 : 1);
    return new Date(now + seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
  }
  if (Array.isArray(value)) return value.map((entry) => times(entry, now));
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, times(entry, now)]));
  }
  return value;
}

export class Objects {
  #revision = 1000;
  #objects = new Map();
  #changes = [];
  #watchers = new Set();

  static async read(folder) {
    const store = new Objects();
    for (const file of (await readdir(folder)).filter((name) => name.endsWith(".yaml")).sort()) {
      for (const document of parseAllDocuments(await readFile(join(folder, file), "utf8"))) {
        const object = times(document.toJS(), Date.now());
        if (object) store.put(object);
      }
    }
    return store;
  }

  put(object) {
    const plural = PLURALS[object.kind];
    if (!plural) throw new Error(`failed to keep an object of kind ${object.kind}: use one of ${Object.keys(PLURALS)}`);
    const { namespace = "default", name } = object.metadata;
    const key = `${plural}/${namespace}/${name}`;
    const before = this.#objects.get(key);
    const specChanged = JSON.stringify(before?.spec) !== JSON.stringify(object.spec);
    const generation = (before?.metadata.generation ?? 0) + (specChanged ? 1 : 0);
    const stamped = {
      ...object,
      metadata: {
        creationTimestamp: new Date().toISOString(),
        uid: `uid-${key.replaceAll("/", "-")}`,
        ...object.metadata,
        namespace,
        generation: object.kind === "Event" ? undefined : generation,
        resourceVersion: String(++this.#revision),
      },
    };
    this.#objects.set(key, stamped);
    this.#record(plural, namespace, before ? "MODIFIED" : "ADDED", stamped);
    return stamped;
  }

  delete(plural, namespace, name) {
    const key = `${plural}/${namespace}/${name}`;
    const object = this.#objects.get(key);
    if (!object) return undefined;
    this.#objects.delete(key);
    const last = { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#revision) } };
    this.#record(plural, namespace, "DELETED", last);
    return last;
  }

  get(plural, namespace, name) {
    return this.#objects.get(`${plural}/${namespace}/${name}`);
  }

  list(plural, namespace) {
    const prefix = `${plural}/${namespace}/`;
    const items = [...this.#objects].filter(([key]) => key.startsWith(prefix)).map(([, object]) => object);
    return { items, resourceVersion: String(this.#revision) };
  }

  /** Calls `send` with every change after `since`, then with each new one; undefined when `since` is too old. */
  watch(plural, namespace, since, send) {
    const oldest = this.#changes[0]?.revision ?? this.#revision + 1;
    if (since + 1 < oldest && since < this.#revision) return undefined;
    for (const change of this.#changes) {
      if (change.revision > since && change.plural === plural && change.namespace === namespace) send(change);
    }
    const watcher = { plural, namespace, send };
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  #record(plural, namespace, type, object) {
    const change = { revision: this.#revision, plural, namespace, type, object };
    this.#changes.push(change);
    if (this.#changes.length > KEPT_CHANGES) this.#changes.shift();
    for (const watcher of this.#watchers) {
      if (watcher.plural === plural && watcher.namespace === namespace) watcher.send(change);
    }
  }
}
