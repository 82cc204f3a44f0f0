#!/usr/bin/env python3
"""Schemas of Kubernetes' kinds for kubeconform, made from the OpenAPI document inside the Go module k8s.io/kubernetes.

Nothing is fetched but that module (which the test cluster is built from). Prints the folder, which lies in the cache.
"""
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FALLBACK = "v1.36.4"


def version():
    """The version that the test cluster runs."""
    go_mod = ROOT / "cluster" / "kube-tools" / "go.mod"
    if go_mod.exists():
        found = re.search(r"k8s\.io/kubernetes (v[\d.]+)", go_mod.read_text())
        if found:
            return found.group(1)
    return FALLBACK


def document(kubernetes):
    asked = ["go", "mod", "download", "-json", f"k8s.io/kubernetes@{kubernetes}"]
    answer = subprocess.run(asked, cwd="/", capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        sys.exit(f"failed to get the module k8s.io/kubernetes@{kubernetes}: {answer.stdout}{answer.stderr}")
    folder = pathlib.Path(json.loads(answer.stdout)["Dir"])
    return json.loads((folder / "api" / "openapi-spec" / "swagger.json").read_text())


def strict(name, schema):
    """No field that Kubernetes does not know; the two types whose JSON is wider than OpenAPI says."""
    if name.endswith(".intstr.IntOrString"):
        return {"type": ["string", "integer"]}
    if name.endswith(".resource.Quantity"):
        return {"type": ["string", "number"]}
    if "properties" in schema and "additionalProperties" not in schema:
        schema["additionalProperties"] = False
    return schema


def main():
    cache = pathlib.Path(os.environ.get("ENDCAP_CACHE") or pathlib.Path.home() / ".cache" / "endcap")
    kubernetes = version()
    out = cache / "kubernetes-schemas" / kubernetes
    if not (out / "complete").exists():
        out.mkdir(parents=True, exist_ok=True)
        definitions = document(kubernetes)["definitions"]
        definitions = {name: strict(name, schema) for name, schema in definitions.items()}
        (out / "definitions.json").write_text(json.dumps({"definitions": definitions}))
        for name, schema in definitions.items():
            for kind in schema.get("x-kubernetes-group-version-kind", []):
                group = kind["group"].split(".")[0]
                file = "-".join(part for part in (kind["kind"], group, kind["version"]) if part).lower() + ".json"
                (out / file).write_text(json.dumps({"$ref": f"definitions.json#/definitions/{name}"}))
        (out / "complete").touch()
    print(out)


if __name__ == "__main__":
    main()
