/** The Kubernetes-shaped API: types, paths, patches. */
import type { components } from "../generated/crds.ts";
import { call } from "./http.ts";

export interface Meta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  annotations?: Record<string, string>;
}

type Resource<S> = S & { kind?: string; metadata: Meta };
type Kinds = components["schemas"];
export type Model = Resource<Kinds["RecommenderModel"]>;
export type Version = Resource<Kinds["ModelVersion"]>;
export type Policy = Resource<Kinds["PromotionPolicy"]>;
export type Experiment = Resource<Kinds["Experiment"]>;

export type ModelSpec = Model["spec"];
export type ModelStatus = NonNullable<Model["status"]>;
export type Rollout = NonNullable<ModelStatus["rollout"]>;
export type Condition = NonNullable<ModelStatus["conditions"]>[number];

/** events.k8s.io/v1 */
export interface KubeEvent {
  metadata: Meta;
  regarding?: { kind?: string; name?: string; namespace?: string };
  type?: string;
  reason?: string;
  note?: string;
  eventTime?: string | null;
  deprecatedLastTimestamp?: string | null;
  series?: { count: number; lastObservedTime?: string } | null;
  reportingController?: string;
}

export type Plural = "recommendermodels" | "modelversions" | "promotionpolicies" | "experiments" | "events";

export function collectionPath(plural: Plural, namespace: string): string {
  const group = plural === "events" ? "events.k8s.io/v1" : "endcap.dev/v1alpha1";
  return `/apis/${group}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
}

/** Part of a spec; null takes a field away. */
export type SpecPatch = Record<string, unknown>;

/** One merge patch of a model's spec, as a person's own change. The answer is the object as it is stored then. */
export async function patchModel(namespace: string, name: string, spec: SpecPatch): Promise<Model> {
  const path = `${collectionPath("recommendermodels", namespace)}/${encodeURIComponent(name)}?fieldManager=endcap-console`;
  const response = await call(path, { method: "PATCH", body: { spec }, contentType: "application/merge-patch+json" });
  return (await response.json()) as Model;
}
