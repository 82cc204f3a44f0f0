#!/usr/bin/env python3
"""What must hold of everything that the chart renders. Reads one JSON object a line; the name of the values file says more.

    check.py NAME < objects.json
    check.py --values values.json values.schema.json install.md
"""
import json
import sys

POLICY_KINDS = {
    "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding",
}
CLUSTER_KINDS = POLICY_KINDS | {"CustomResourceDefinition"}
CLUSTER_RBAC = {"ClusterRole", "ClusterRoleBinding"}
RELEASE_NAMESPACE = "endcap-system"
WATCHED = {"shop", "team-b"}


def label(item):
    return f"{item['kind']} {item['metadata'].get('namespace', '')}/{item['metadata']['name']}"


def pod_of(item):
    if item["kind"] == "Pod":
        return item["metadata"], item["spec"]
    template = item.get("spec", {}).get("template")
    return (template["metadata"], template["spec"]) if template else (None, None)


def pod_faults(meta, pod):
    """The restricted profile, and what we ask beyond it."""
    context = pod.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or context.get("runAsUser") != 65532:
        yield "securityContext.runAsNonRoot must be true and runAsUser 65532"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "securityContext.seccompProfile.type must be RuntimeDefault"
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            yield f"{key} is set"
    operator = meta["labels"].get("app.kubernetes.io/component") == "operator"
    if pod.get("automountServiceAccountToken") is not operator:
        yield "automountServiceAccountToken must be true for the operator and false for everybody else"
    for volume in pod.get("volumes", []):
        if not set(volume) & {"secret", "configMap", "emptyDir", "projected"}:
            yield f"volume {volume['name']} is none of secret, configMap, emptyDir, projected"
        if "secret" in volume and not operator:
            yield f"volume {volume['name']}: a Secret is for the operator alone"
    for container in pod.get("containers", []) + pod.get("initContainers", []):
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("readOnlyRootFilesystem") is not True:
            yield f"{container['name']}: allowPrivilegeEscalation must be false, readOnlyRootFilesystem true"
        if own.get("capabilities", {}).get("drop") != ["ALL"] or own.get("capabilities", {}).get("add") or own.get("privileged"):
            yield f"{container['name']}: capabilities must drop ALL and add none"
        if not container.get("resources"):
            yield f"{container['name']}: resources are missing"


def rule_faults(item):
    for rule in item.get("rules") or []:
        names = [part for resource in rule["resources"] for part in resource.split("/")]
        if "secrets" in names:
            yield f"a rule on Secrets: {rule}"
        if "*" in rule["verbs"] + rule["resources"] + rule["apiGroups"]:
            yield f"a rule with *: {rule}"


def faults(name, items):
    namespaced = name.startswith("namespaced")
    for item in items:
        for fault in rule_faults(item):
            yield f"{label(item)}: {fault}"
        meta, pod = pod_of(item)
        if pod:
            for fault in pod_faults(meta, pod):
                yield f"{label(item)}: {fault}"
        kind, namespace = item["kind"], item["metadata"].get("namespace")
        if namespaced and kind in CLUSTER_RBAC:
            yield f"{label(item)}: scope Namespaces must not make one"
        if namespace is None and kind not in CLUSTER_KINDS | CLUSTER_RBAC:
            yield f"{label(item)}: has no namespace and is none of {sorted(CLUSTER_KINDS | CLUSTER_RBAC)}"
        if namespace and namespace != RELEASE_NAMESPACE and not (namespaced and namespace in WATCHED):
            yield f"{label(item)}: lies neither in the release's namespace nor in a watched one"
        if namespaced and kind.endswith("AdmissionPolicyBinding"):
            chosen = item["spec"]["matchResources"]["namespaceSelector"].get("matchExpressions", [{}])[0]
            if set(chosen.get("values", [])) != WATCHED:
                yield f"{label(item)}: must end at the watched namespaces, has {chosen}"
    identities = [label(item) for item in items]
    for twice in {one for one in identities if identities.count(one) > 1}:
        yield f"{twice}: rendered twice"
    # What the operator may do is the same text in every mode.
    own = [item for item in items if item["kind"] in ("Role", "ClusterRole") and item["metadata"]["name"] == "endcap-operator"]
    if any(item["rules"] != own[0]["rules"] for item in own):
        yield "the operator's rules differ between namespaces"
    if namespaced and {item["metadata"]["namespace"] for item in own} != WATCHED:
        yield f"the operator needs a Role in each of {sorted(WATCHED)}"


def paths(value, prefix=""):
    """Every key of the values, with dots."""
    for key, inner in value.items():
        path = f"{prefix}{key}"
        if isinstance(inner, dict) and inner and path != "metrics.dashboards.labels" and path != "resources":
            yield from paths(inner, f"{path}.")
        else:
            yield path


def value_faults(values, schema, guide):
    open_objects = {"global"}

    def walk(node, path):
        properties = node.get("properties")
        if properties is None:
            return
        if node.get("additionalProperties") is not False:
            yield f"{path or 'the root'}: additionalProperties must be false in the schema"
        for key, inner in properties.items():
            if key not in open_objects:
                yield from walk(inner, f"{path}.{key}".lstrip("."))

    yield from walk(schema, "")
    for path in paths(values):
        node = schema
        for part in path.split("."):
            node = node.get("properties", {}).get(part)
            if node is None:
                yield f"{path}: is in values.yaml and not in values.schema.json"
                break
        if f"`{path}`" not in guide:
            yield f"{path}: is in values.yaml and not in docs/install.md"
    known = set(paths(values))

    def leaves(node, path):
        for key, inner in node.get("properties", {}).items():
            inside = f"{path}.{key}".lstrip(".")
            if "properties" in inner:
                yield from leaves(inner, inside)
            elif key not in open_objects:
                yield inside

    for path in leaves(schema, ""):
        if path not in known:
            yield f"{path}: is in values.schema.json and not in values.yaml"


def main():
    if sys.argv[1] == "--values":
        values, schema = (json.load(open(path, encoding="utf-8")) for path in sys.argv[2:4])
        found = list(value_faults(values, schema, open(sys.argv[4], encoding="utf-8").read()))
        said = f"{len(list(paths(values)))} values, each with a schema and a line in the guide"
    else:
        items = [json.loads(line) for line in sys.stdin if line.strip()]
        found = list(faults(sys.argv[1], items))
        if not any(item["kind"] == "Deployment" for item in items):
            found.append("nothing was read: no Deployment among the objects")
        said = f"{len(items)} objects: no right on Secrets, every pod restricted, nothing cluster-wide that should not be"
    for fault in found:
        print(f"!! {fault}", file=sys.stderr)
    if found:
        sys.exit(1)
    print(said)


if __name__ == "__main__":
    main()
