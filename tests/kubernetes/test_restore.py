"""A cluster that is made anew finds its artifacts in the store: numbers go on from there, and nothing is written over.

There is no node; the test does a kubelet's part: it runs the very command of the pod that the Job controller made, with the real trainer,
and reports how that ended."""
import hashlib
import json
import pathlib
import subprocess
import tempfile
import unittest

from cluster.settings import programs

from .harness import Operator, World, model, run
from .hollow import now

# Places of a pod that this machine does not have.
ELSEWHERE = ("--work", "--termination-message", "--listen")


def manifests(store):
    return {str(file.relative_to(store)): hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(store.rglob("manifest.json"))}


class Restored(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.world.install()
        self.namespace = self.world.namespace()
        scratch = tempfile.TemporaryDirectory(prefix="endcap-restore-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.store = self.folder / "store"
        run(programs() / "endcap", "data", "generate", "--customers", "200", "--products", "100", "--days", "60", "--out", self.folder / "data")

    def train(self, name, args):
        """Runs the trainer; its exit code and last words."""
        message = self.folder / f"{name}.message"
        args = [*args, "--work", str(self.folder / f"{name}.work"), "--termination-message", str(message)]
        done = subprocess.run([str(programs() / "endcap-trainer"), *args], capture_output=True, text=True, timeout=300, check=False)
        return done.returncode, message.read_text(encoding="utf-8") if message.exists() else done.stderr

    def pod(self, version):
        found = self.world.api.get(f"/api/v1/namespaces/{self.namespace}/pods?labelSelector=endcap.dev/version%3D{version}")["items"]
        return found[0] if found else None

    def kubelet(self, version):
        """Runs what the version's pod says, and reports it as a kubelet would; returns the exit code."""
        pod = self.world.until(f"the pod of {version}", lambda: self.pod(version))
        self.assertNotIn("initContainers", pod["spec"], "canonical tables on a volume need no preparation")
        container = pod["spec"]["containers"][0]
        self.assertEqual(container["command"], ["endcap-trainer"])
        words = iter(container["args"])
        args = [word for word in words if not (word in ELSEWHERE and next(words))]
        began = now()
        code, message = self.train(version, args)
        ended = {"terminated": {"exitCode": code, "reason": "Completed" if code == 0 else "Error", "message": message, "startedAt": began, "finishedAt": now()}}
        # A container that failed is about to be started again in its place.
        state = {"state": ended} if code == 0 else {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended}
        conditions = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": began}]
        status = {"phase": "Succeeded" if code == 0 else "Running", "startTime": began, "conditions": conditions, "containerStatuses": [
            {"name": container["name"], "ready": False, "restartCount": 0, "image": container["image"], "imageID": "", **state}]}
        done, answer = self.world.merge(f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}/status", {"status": status})
        self.assertEqual(done, 200, answer)
        return code

    def phase(self, version):
        return ((self.world.version(self.namespace, version) or {}).get("status") or {}).get("phase")

    def test_numbers_go_on_from_the_store(self):
        for number in (1, 2, 3):
            code, message = self.train(f"earlier-{number}", ["--data", str(self.folder / "data"), "--store", f"file://{self.store}", "--namespace", self.namespace, "--model", "shop",
                                                             "--model-uid", "of-an-earlier-cluster", "--version", str(number), "--architecture", "Rules", "--seed", str(number)])
            self.assertEqual(code, 0, message)
        earlier = manifests(self.store)
        self.assertEqual(len(earlier), 3)

        claim = {"persistentVolumeClaim": {"claimName": "data"}}
        source = {"name": "sales", "provides": ["Orders", "OrderLines", "Customers", "Products"], "layout": "Canonical",
                  "object": {"uri": f"file://{self.folder}/data", "format": "Parquet", **claim}}
        with Operator(self.world, [self.namespace]) as operator:
            operator.ready()
            self.world.create(f"/apis/endcap.dev/v1alpha1/namespaces/{self.namespace}/recommendermodels",
                              model(self.namespace, data={"sources": [source]}, artifacts={"uri": f"file://{self.store}", **claim}))
            self.assertEqual(self.kubelet("shop-v1"), 3)
            self.world.until("shop-v1 has failed", lambda: self.phase("shop-v1") == "Failed")
            trained = [one for one in self.world.version(self.namespace, "shop-v1")["status"]["conditions"] if one["type"] == "Trained"][0]
            self.assertEqual(trained["reason"], "VersionTaken")
            self.assertIn("up to 3", trained["message"])
            self.world.until("its Job is gone: it would run for ever", lambda: not self.world.api.get(f"/apis/batch/v1/namespaces/{self.namespace}/jobs/shop-v1"))

            self.assertEqual(self.kubelet("shop-v4"), 0)
            self.world.until("shop-v4 is ready", lambda: self.phase("shop-v4") == "Ready")
            found = self.world.version(self.namespace, "shop-v4")
            # What asked for the first asks again.
            self.assertEqual(found["spec"]["trigger"]["type"], "Initial")
            self.assertEqual(found["status"]["artifact"]["uri"], f"file://{self.store}/{self.namespace}/shop/shop-v4/0")
            self.world.until("its predictors are asked for", lambda: self.world.api.get(f"/apis/apps/v1/namespaces/{self.namespace}/deployments/shop-v4"))
            names = [one["metadata"]["name"] for one in self.world.api.get(f"/apis/endcap.dev/v1alpha1/namespaces/{self.namespace}/modelversions")["items"]]
            self.assertEqual(sorted(names), ["shop-v1", "shop-v4"])
            self.assertEqual(self.world.model(self.namespace)["status"]["versionHighWater"], 4)

        later = manifests(self.store)
        own = [name for name in later if name not in earlier]
        self.assertEqual(own, [f"{self.namespace}/shop/shop-v4/0/manifest.json"])
        self.assertEqual({name: later[name] for name in earlier}, earlier, "artifacts of the earlier cluster are what they were")
        said = json.loads((self.store / own[0]).read_text(encoding="utf-8"))
        self.assertEqual(said["version"], "shop-v4")
