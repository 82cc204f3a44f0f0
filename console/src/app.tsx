/** The frame: which page of which model is shown. Pages are named by the address behind `#`, so that any file server will do. */
import { useEffect, useState, useSyncExternalStore } from "react";
import { readConfig, type Config, type ModelRef } from "./lib/config.ts";
import { isAbort, messageOf } from "./lib/http.ts";
import { ModelsPage } from "./models/ModelsPage.tsx";
import { OrderPage } from "./order/OrderPage.tsx";
import { addressOf, routeOf } from "./lib/route.ts";

const RETRY_MS = 2000;

function useConfig(): { config: Config | undefined; error: string | undefined } {
  const [config, setConfig] = useState<Config>();
  const [error, setError] = useState<string>();
  useEffect(() => {
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = () => {
      readConfig(controller.signal)
        .then((next) => {
          setConfig(next);
          setError(undefined);
        })
        .catch((failure: unknown) => {
          if (isAbort(failure)) return;
          setError(messageOf(failure));
          timer = setTimeout(read, RETRY_MS);
        });
    };
    read();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, []);
  return { config, error };
}

function subscribe(changed: () => void): () => void {
  window.addEventListener("hashchange", changed);
  return () => {
    window.removeEventListener("hashchange", changed);
  };
}

function useRoute(): ReturnType<typeof routeOf> {
  return routeOf(useSyncExternalStore(subscribe, () => window.location.hash));
}

export function App() {
  const { config, error } = useConfig();
  const route = useRoute();
  const model: ModelRef | undefined =
    config?.models.find((known) => known.namespace === route.namespace && known.name === route.name) ?? config?.models[0];
  const names = model ?? { namespace: "", name: "" };
  return (
    <>
      <header className="top">
        <span className="brand">
          <img src="/mark.svg" alt="" width={22} height={22} /> Endcap
        </span>
        <nav aria-label="Pages">
          <a href={addressOf({ page: "order", ...names })} aria-current={route.page === "order" ? "page" : undefined}>
            Order entry
          </a>
          <a href={addressOf({ page: "models", ...names })} aria-current={route.page === "models" ? "page" : undefined}>
            Models
          </a>
        </nav>
        <span className="grow" />
        {config && config.models.length > 1 && model && (
          <label className="model-choice">
            Model{" "}
            <select
              value={`${model.namespace}/${model.name}`}
              onChange={(event) => {
                const [namespace = "", name = ""] = event.target.value.split("/");
                window.location.hash = addressOf({ page: route.page, namespace, name });
              }}
            >
              {config.models.map((known) => (
                <option key={`${known.namespace}/${known.name}`}>{`${known.namespace}/${known.name}`}</option>
              ))}
            </select>
          </label>
        )}
        {config?.models.length === 1 && model && (
          <span className="muted small">
            {model.namespace}/{model.name}
          </span>
        )}
        {config && !config.acting && <span className="pill plain">Read only</span>}
      </header>
      {error && !config && <p className="notice bad-text">Failed to reach the server ({error}); trying again.</p>}
      {config && !model && <p className="notice">No model yet. Apply a RecommenderModel, then reload this page.</p>}
      {config && model && (
        <>
          <OrderPage key={model.router} model={model} config={config} shown={route.page === "order"} />
          {route.page === "models" && <ModelsPage key={`${model.namespace}/${model.name}`} config={config} model={model} />}
        </>
      )}
    </>
  );
}
