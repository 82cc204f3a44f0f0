"""A real node with the chart on it and one model that serves: what every test starts from."""
import json
import os
import pathlib
import shutil
import subprocess
import time

from cluster import settings
from cluster.api import Api
from cluster.stage import MODEL, SHOP, STORE_PORT, SYSTEM, Kubectl, Store, condition
from cluster.settings import cache, programs

from ..harness import CHILDREN, GROUP, ROOT, run, tool
from .connections import Connections
from .load import RATE, Load

V1, V2 = f"{MODEL}-v1", f"{MODEL}-v2"
TAG, NEXT = "dev", "next"
APPS = "/apis/apps/v1"
# Objects whose generation the API server does not count: any write to them is seen by their resourceVersion.
WITHOUT_GENERATION = ("services", "configmaps")
DOMAIN = f"{GROUP}/namespaces/{SHOP}"


class NotWithin(AssertionError):
    """Something did not come in time."""


def until(what, done, patience_s=60, every_s=0.1):
    """Looks until `done()`; returns what it found."""
    end = time.monotonic() + patience_s
    while True:
        found = done()
        if found:
            return found
        if time.monotonic() > end:
            raise NotWithin(f"{what}: not within {patience_s} s")
        time.sleep(every_s)


def small(memory="128Mi"):
    return {"requests": {"cpu": "50m", "memory": memory}, "limits": {"memory": "1Gi"}}


def model():
    secret = {"secretRef": {"name": "shop-store"}}
    source = {"name": "sales", "provides": ["Orders", "OrderLines", "Customers", "Products"],
              "object": {"uri": "s3://endcap/data", "format": "Parquet", **secret}}
    return {"architecture": "Rules",
            "data": {"sources": [source], "minimum": {"activeCustomers": 100, "orders": 100, "products": 50}},
            "training": {"resources": {"requests": {"cpu": "200m", "memory": "256Mi"}, "limits": {"memory": "4Gi"}}},
            "artifacts": {"uri": "s3://endcap/models", **secret, "retention": {"keepLast": 20}},
            "serving": {"replicas": 2, "resources": small()}, "insights": {"resources": small()},
            "events": {"log": {"embedded": {"storage": "1Gi"}}}, "promotionPolicyRef": {"name": "tests"}}


def policy(steps=((50, "2s"), (100, "0s")), window=3):
    gate = {"name": "success-rate", "builtin": "SuccessRate", "min": "0.5", "confidence": "0.8"}
    return {"mode": "Manual", "offline": {"gates": [{"name": "ndcg", "metric": "ndcg@10", "maxRegressionPercent": "50"}]},
            "steps": [{"name": f"to-{weight}", "weight": weight, "minDuration": lasts} for weight, lasts in steps],
            "online": {"interval": "10s", "minSamples": 1, "gates": [gate]},
            "rollback": {"keepPreviousWarm": "5s", "window": window}}


class World:
    def __init__(self, keeps=False):
        # What the cluster's pods read lies where a kept cluster finds it again.
        self.folder, self.keeps = cache() / "whole", keeps
        self.store = Store(self.folder / "s3")
        self.connections = None
        self.tokens = 0

    # ---- beginning and end

    def start(self):
        attached = self.keeps and self._is_there()
        if not attached:
            run("python3", "-m", "cluster", "down")
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        facts = json.loads(run("python3", "-m", "cluster", "up", "--profile", "node").stdout.splitlines()[-1])
        self.admin, self.api = Kubectl(facts["kubeconfig"]), Api(pathlib.Path(facts["kubeconfig"]))
        self.store.start()
        self.connections = Connections(self.api, self.folder)
        if not attached:
            for tag in (TAG, NEXT):
                run("python3", "-m", "cluster", "image", tag)
                run("python3", "-m", "cluster", "import", cache() / "images" / f"endcap-{tag}.tar")
            self.install(TAG)
            self._shop()
        self.url = f"http://{self.get('services', MODEL, '/api/v1')['spec']['clusterIP']}"

    def _is_there(self):
        done = run("python3", "-m", "cluster", "status", check=False)
        if done.returncode != 0:
            return False
        admin = Kubectl(json.loads(done.stdout.splitlines()[-1])["kubeconfig"])
        return admin.run("get", "recmv", V2, "-n", SHOP, check=False).returncode == 0

    def stop(self):
        if self.connections:
            self.connections.close()
        if not self.keeps:
            run("python3", "-m", "cluster", "down", check=False)
        self.store.stop()
        if not self.keeps:
            # What failures left is kept.
            for name in ("s3", "data"):
                shutil.rmtree(self.folder / name, ignore_errors=True)

    def install(self, tag):
        """The chart with that image; returns when both operators of it are ready."""
        values = [f"image.tag={tag}", "image.pullPolicy=Never", f"storeEgress[0].ports[0].port={STORE_PORT}"]
        run(tool("helm"), "upgrade", "--install", "endcap", ROOT / "charts/endcap", "--kubeconfig", self.admin.kubeconfig, "-n", SYSTEM, "--create-namespace",
            "--wait", "--timeout", "180s", *[word for value in values for word in ("--set", value)])
        until("the kinds are served", lambda: all(self.api.get(f"{GROUP}/{kind}") for kind in ("recommendermodels", "modelversions", "promotionpolicies")))

    def _shop(self):
        start = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 120 * 86400))
        data = self.folder / "data"
        run(programs() / "endcap", "data", "generate", "--customers", "600", "--products", "300", "--days", "120", "--start", start, "--out", data)
        self.store.put_folder(data, "data")
        self.admin.run("create", "namespace", SHOP)
        self.admin.run("label", "namespace", SHOP, "pod-security.kubernetes.io/enforce=restricted")
        keys = {"AWS_ACCESS_KEY_ID": "endcap", "AWS_SECRET_ACCESS_KEY": "endcap-secret", "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT": f"http://{settings.ADDRESS}:{STORE_PORT}"}
        self.admin.run("create", "secret", "generic", "shop-store", "-n", SHOP, *[f"--from-literal={key}={value}" for key, value in keys.items()])
        # New kinds are listed a moment before they can be written.
        until("a model can be written", lambda: self._applied("PromotionPolicy", "promotionpolicies", "tests", policy())
              and self._applied("RecommenderModel", "recommendermodels", MODEL, model()), 30, every_s=0.5)
        until("the model serves its first version", lambda: self.is_settled(), 180)
        self.train(V2)

    # ---- what is there

    def get(self, kind, name, prefix=GROUP, namespace=SHOP):
        return self.api.get(f"{prefix}/namespaces/{namespace}/{kind}/{name}")

    def items(self, kind, prefix, namespace=SHOP):
        found = self.api.get(f"{prefix}/namespaces/{namespace}/{kind}")
        if found is None:
            raise AssertionError(f"the API server does not list {kind}")
        return found["items"]

    def model(self):
        return self.get("recommendermodels", MODEL) or {"metadata": {}, "spec": {}, "status": {}}

    def version(self, name):
        return self.get("modelversions", name)

    def pods(self, component=None, version=None, namespace=SHOP):
        """Pods that have not ended, the oldest first."""
        found = [Pod(one) for one in self.items("pods", "/api/v1", namespace)]
        found = [pod for pod in found if not pod.is_over and component in (None, pod.component) and version in (None, pod.version)]
        return sorted(found, key=lambda pod: pod.created)

    def operators(self):
        return self.pods("operator", namespace=SYSTEM)

    def leader(self):
        lease = self.get("leases", "endcap-operator", "/apis/coordination.k8s.io/v1", SYSTEM)
        return lease["spec"].get("holderIdentity") or ""

    def children(self):
        """Every object of the operator in the shop: its uid and what counts its changes."""
        found = {}
        for kind, prefix in CHILDREN.items():
            for item in self.items(kind, prefix):
                meta = item["metadata"]
                if meta.get("labels", {}).get("app.kubernetes.io/managed-by") == "endcap":
                    counted = meta["resourceVersion"] if kind in WITHOUT_GENERATION else meta.get("generation")
                    found[f"{kind}/{meta['name']}"] = (meta["uid"], counted)
        return found

    def jobs(self):
        return {one["metadata"]["uid"] for one in self.items("jobs", "/apis/batch/v1")}

    def lives(self):
        """Uid and restarts of every pod that serves."""
        return {pod.name: (pod.uid, pod.restarts) for pod in self.pods() if pod.component != "training"}

    def versions(self):
        """Names and phases of all versions, and what made them."""
        return {one["metadata"]["name"]: (one["metadata"]["uid"], one["metadata"]["generation"], one["status"].get("phase")) for one in self.items("modelversions", GROUP)}

    def events(self, reason):
        found = [one for one in self.items("events", "/apis/events.k8s.io/v1") if one["reason"] == reason and one.get("reportingController") == "endcap.dev/operator"]
        return sorted(found, key=lambda one: one.get("eventTime") or "")

    def is_settled(self, active=V1, routers=2, predictors=2):
        """One version serves everybody from pods that are all ready, and nothing is under way."""
        found = self.model()
        status = found.get("status") or {}
        routing = status.get("routing") or {}
        if (status.get("activeVersion") != active or status.get("rollout") or condition(found, "Ready")["status"] != "True"
                or status.get("observedGeneration") != found["metadata"]["generation"]
                or (routing.get("routersSynced"), routing.get("routersTotal")) != (routers, routers)):
            return False
        serving = self.pods("router") + self.pods("predictor")
        counts = [sum(pod.component == "router" for pod in serving), sum(pod.version == active for pod in serving), len(serving)]
        return counts == [routers, predictors, routers + predictors] and all(pod.is_ready and not pod.is_deleting for pod in self.pods())

    # ---- what is done to it

    def load(self, rate=RATE):
        return Load(self.url, rate)

    def patch(self, spec):
        status, answer = self.api.call("PATCH", f"{DOMAIN}/recommendermodels/{MODEL}", {"spec": spec}, "application/merge-patch+json")
        if status != 200:
            raise AssertionError(f"patching the model with {spec}: {status} {answer}")

    def _applied(self, kind, plural, name, spec):
        try:
            self.api.apply(f"{DOMAIN}/{plural}/{name}", {"apiVersion": "endcap.dev/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": SHOP}, "spec": spec})
        except settings.Failed as error:
            if "HTTP 503" not in str(error):
                raise
            return False
        return True

    def policy(self, **wishes):
        self._applied("PromotionPolicy", "promotionpolicies", "tests", policy(**wishes))

    def token(self):
        self.tokens += 1
        return f"{os.getpid()}-{self.tokens}"

    def want(self, version):
        """Names the version that shall serve, whatever became of it before."""
        self.patch({"promotedVersion": version, "rollout": {"abortVersion": None, "retryToken": self.token(), "paused": None}})

    def promote(self, version, patience_s=90):
        self.want(version)
        until(f"{version} serves everybody", lambda: self.is_complete(version), patience_s)

    def is_complete(self, version):
        found = self.model()
        done = condition(found, "PromotionComplete")
        return found["status"].get("activeVersion") == version and done["status"] == "True" and done.get("observedGeneration") == found["metadata"]["generation"]

    def train(self, name):
        self.patch({"retraining": {"trigger": self.token()}})
        until(f"{name} is trained", lambda: (((self.version(name) or {}).get("status") or {}).get("phase")) == "Ready", 150)

    def reset(self):
        """Back to where every test starts: v1 serves everybody from two predictors behind two routers."""
        self.policy()
        self.patch({"serving": {"replicas": 2}, "paused": None})
        self.want(V1)
        until("two operators are ready", lambda: len([pod for pod in self.operators() if pod.is_ready and not pod.is_deleting]) == 2, 120)
        until(f"{V1} serves alone from 2 predictors and 2 routers", self.is_settled, 150)

    def dump(self, name):
        """All that may explain a failure, in a folder; returns it."""
        folder = self.folder / "failures" / name
        folder.mkdir(parents=True, exist_ok=True)
        looks = {"objects.txt": ("get", "recm,recmv,deploy,sts,jobs,pods", "-n", SHOP, "-o", "wide"), "model.yaml": ("get", "recm", MODEL, "-n", SHOP, "-o", "yaml"),
                 "events.txt": ("get", "events", "-n", SHOP, "--sort-by=.lastTimestamp"), "pods.txt": ("describe", "pods", "-n", SHOP)}
        for component, namespace in (("operator", SYSTEM), ("router", SHOP), ("predictor", SHOP)):
            looks[f"{component}.log"] = ("logs", "-n", namespace, "-l", f"app.kubernetes.io/component={component}", "--tail=400", "--prefix")
        for file, words in looks.items():
            done = self.admin.run(*words, check=False)
            (folder / file).write_text(done.stdout + done.stderr)
        return folder


class Pod:
    """What a test wants to know of a pod."""

    def __init__(self, item):
        meta, status = item["metadata"], item.get("status", {})
        labels = meta.get("labels", {})
        self.name, self.uid, self.created, self.namespace = meta["name"], meta["uid"], meta["creationTimestamp"], meta["namespace"]
        self.component, self.version = labels.get("app.kubernetes.io/component"), labels.get("endcap.dev/version")
        self.ip, self.is_deleting = status.get("podIP"), "deletionTimestamp" in meta
        self.is_over = status.get("phase") in ("Succeeded", "Failed")
        self.is_ready = any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", []))
        self.restarts = sum(one["restartCount"] for one in status.get("containerStatuses", []))
        self.images = [one["image"] for one in item["spec"]["containers"]]

    def process(self, program):
        """The pid of its program on this machine; found by the pod's own cgroup."""
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if not entry.name.isdigit() or f"pod{self.uid}" not in (entry / "cgroup").read_text():
                    continue
                if (entry / "cmdline").read_bytes().split(b"\0")[0].decode().endswith(program):
                    return int(entry.name)
            except (FileNotFoundError, ProcessLookupError):
                continue
        raise AssertionError(f"{self.name} runs no {program}")


def component(verb, name):
    """`stop-component` or `start-component` of the cluster."""
    subprocess.run(["python3", "-m", "cluster", verb, name], cwd=ROOT, check=True, capture_output=True, timeout=120)
