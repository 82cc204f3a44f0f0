/** What the server says about itself at `/console/config`. */
import { getJson } from "./http.ts";

export interface ModelRef {
  namespace: string;
  name: string;
  /** Paths on this origin. */
  router: string;
  insights: string;
}

export interface Config {
  namespaces: string[];
  /** False where the console may only look: every button that acts is hidden. */
  acting: boolean;
  models: ModelRef[];
}

export function readConfig(signal: AbortSignal): Promise<Config> {
  return getJson<Config>("/console/config", signal);
}
