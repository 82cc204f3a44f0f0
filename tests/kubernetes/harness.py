"""A real API server, the real operator as a process with the chart's rights, and namespaces to try things in."""
import copy
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

from cluster.api import Api
from cluster.settings import cache, programs

ROOT = pathlib.Path(__file__).resolve().parents[2]
SYSTEM = "endcap-system"
GROUP = "/apis/endcap.dev/v1alpha1"
CHILDREN = {"deployments": "/apis/apps/v1", "statefulsets": "/apis/apps/v1", "jobs": "/apis/batch/v1", "services": "/api/v1", "configmaps": "/api/v1",
            "poddisruptionbudgets": "/apis/policy/v1", "networkpolicies": "/apis/networking.k8s.io/v1"}
KINDS = ("recommendermodels", "modelversions", "promotionpolicies", "experiments")


def run(*words, check=True, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=ROOT, check=False, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(str(word) for word in words)} failed ({done.returncode}): {done.stderr or done.stdout}")
    return done


def tool(name):
    found = cache() / "bin" / name
    return str(found) if found.exists() else name


NUMBERS = itertools.count(1)
# What operators under test said: read it when a test failed; it goes when all passed.
LOGS = cache() / "logs" / "operators"
UID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class World:
    """The cluster with the chart's objects in it, without the chart's operator: tests run their own."""

    def __init__(self):
        facts = json.loads(run("python3", "-m", "cluster", "up", "--profile", "control-plane").stdout.splitlines()[-1])
        self.kubeconfig, self.server, self.ca = facts["kubeconfig"], facts["server"], facts["ca"]
        self.api = Api(pathlib.Path(self.kubeconfig), timeout_s=30)
        self.numbers = NUMBERS
        LOGS.mkdir(parents=True, exist_ok=True)
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=LOGS))
        key = self.folder / "key.pem"
        run("openssl", "genpkey", "-algorithm", "ed25519", "-out", key)
        self.key = key

    def install(self, *values):
        """The chart, with no operator pods (there may be no node). Returns the seconds until its kinds are served."""
        began = time.monotonic()
        run(tool("helm"), "upgrade", "--install", "endcap", ROOT / "charts/endcap", "--kubeconfig", self.kubeconfig, "-n", SYSTEM, "--create-namespace",
            "--set", "replicaCount=0", "--set", "podDisruptionBudget.enabled=false", *values)
        self.until("the kinds are served", lambda: all(self.api.get(f"{GROUP}/{kind}?limit=1") for kind in KINDS), 30)
        # Mutating policies learn a new kind's schema within seconds; until then the server takes none of its objects (503).
        probe = f"{GROUP}/namespaces/default/recommendermodels?dryRun=All", model("default", "probe")
        self.until("the policies know the kinds", lambda: self.api.call("POST", *probe)[0] != 503, 30)
        return time.monotonic() - began

    def kubectl(self, *words, user=None, text=None, check=True):
        return run(tool("kubectl"), "--kubeconfig", user or self.kubeconfig, *words, input=text, check=check)

    def user(self, name):
        return run("python3", "-m", "cluster", "user", name).stdout.strip().splitlines()[-1]

    def namespace(self):
        name = f"t{next(self.numbers)}-{os.getpid()}"
        self.create("/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    def create(self, path, value):
        status, answer = self.api.call("POST", path, value)
        if status not in (200, 201):
            raise AssertionError(f"creating {path}: {status} {answer}")
        return answer

    def merge(self, path, value):
        return self.api.call("PATCH", path, value, "application/merge-patch+json")

    def token(self, namespace=SYSTEM, account="endcap-operator"):
        answer = self.create(f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token",
                             {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}})
        return answer["status"]["token"]

    def until(self, what, done, patience_s=30):
        end = time.monotonic() + patience_s
        while True:
            found = done()
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"{what}: not within {patience_s} s")
            time.sleep(0.05)

    def model(self, namespace, name="shop"):
        return self.api.get(f"{GROUP}/namespaces/{namespace}/recommendermodels/{name}")

    def version(self, namespace, name):
        return self.api.get(f"{GROUP}/namespaces/{namespace}/modelversions/{name}")

    def trained(self, namespace, name):
        """Records what a training would have published: without a node there is none."""
        digest = f"{int(name.rsplit('-v', 1)[1]):064x}"
        status = {"phase": "Ready", "artifact": {"uri": f"s3://bucket/{namespace}/{name}/0", "sha256": digest, "manifestSha256": digest, "sizeBytes": 1000, "formatVersion": 1},
                  "dataset": {"manifestSha256": digest, "rows": 1000}, "metrics": [{"name": "ndcg@10", "value": "0.4", "split": "validation"}]}
        code, answer = self.merge(f"{GROUP}/namespaces/{namespace}/modelversions/{name}/status", {"status": status})
        assert code == 200, answer

    def objects(self, namespace):
        """All that is in a namespace by kind and name, without what differs between two runs of the same."""
        found = {}
        for kind, prefix in {**CHILDREN, **{kind: GROUP for kind in KINDS}}.items():
            for item in self.api.get(f"{prefix}/namespaces/{namespace}/{kind}")["items"]:
                if item["metadata"]["name"] != "kube-root-ca.crt":
                    found[f"{kind}/{item['metadata']['name']}"] = item
        return found

    def canonical(self, namespace):
        found = self.objects(namespace)
        for name, item in found.items():
            if name.split("/")[0] in CHILDREN:
                item.pop("status", None)  # Kubernetes' own
        text = json.dumps({name: _stripped(item) for name, item in found.items()}, sort_keys=True)
        return json.loads(UID.sub("UID", text.replace(namespace, "NAMESPACE")))


VARYING = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "clusterIP", "clusterIPs", "lastTransitionTime", "time", "startTime", "startedAt",
           "stepStartedAt", "deadline", "cooldownUntil", "lastReportTime", "modelUID", "lastCheckedAt", "batch.kubernetes.io/controller-uid", "controller-uid",
           "endcap.dev/inputs", "table.json", "public-key", "trusted-key", "hash", "generation", "observedGeneration", "windowStartedAt", "batch.kubernetes.io/job-tracking")


def _stripped(value):
    if isinstance(value, dict):
        return {key: _stripped(one) for key, one in value.items() if key not in VARYING and key != "endcap.dev/applied"}
    if isinstance(value, list):
        return [_stripped(one) for one in value]
    if isinstance(value, str) and len(value) > 18 and value[4:5] == "-" and value[10:11] == "T":
        return "TIME"
    if isinstance(value, str) and value.startswith("until 20"):
        return "until TIME"
    return value


class Operator:
    """`endcap-operator` as a process with its service account's token."""

    def __init__(self, world, namespaces=(), server=None, election=False, more=()):
        self.world = world
        token = world.token()
        cluster = {"server": server or world.server}
        if not server:
            cluster["certificate-authority"] = world.ca
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "it", "clusters": [{"name": "it", "cluster": cluster}],
                  "users": [{"name": "it", "user": {"token": token}}], "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}]}
        number = next(world.numbers)
        self.kubeconfig = world.folder / f"operator-{number}.kubeconfig"
        self.kubeconfig.write_text(json.dumps(config))
        self.words = [str(programs() / "endcap-operator"), "--signing-key", str(world.key), "--metrics-listen", "127.0.0.1:0", "--image", "localhost/endcap:test",
                      "--operator-namespace", SYSTEM, "--identity", f"test-{number}", "--exit-with-stdin", *more]
        if namespaces:
            self.words += ["--watch-namespaces", ",".join(namespaces)]
        if not election:
            self.words.append("--no-leader-election")
        self.log = world.folder / f"operator-{number}.log"
        self.start()

    def start(self):
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                                          env={**os.environ, "KUBECONFIG": str(self.kubeconfig), "NO_PROXY": "*"})
        self.metrics_url = None

    def ready(self):
        """Waits until its watches are filled; returns the seconds."""
        began = time.monotonic()
        line = self.child.stdout.readline()
        if not line:
            raise AssertionError(f"the operator ended: {self.log.read_text()[-2000:]}")
        self.metrics_url = f"http://{json.loads(line)['metrics']}/metrics"
        return time.monotonic() - began

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def stop(self):
        if self.child.poll() is None:
            self.child.stdin.close()
            try:
                self.child.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def model(namespace, name="shop", **spec):
    """A small model whose data and artifacts lie in an object store."""
    source = {"name": "sales", "provides": ["Orders", "OrderLines", "Customers", "Products"], "object": {"uri": "s3://bucket/data", "format": "Parquet"}}
    base = {"architecture": "Rules", "data": {"sources": [source]}, "artifacts": {"uri": "s3://bucket/models"}}
    base.update(copy.deepcopy(spec))
    return {"apiVersion": "endcap.dev/v1alpha1", "kind": "RecommenderModel", "metadata": {"name": name, "namespace": namespace}, "spec": base}
