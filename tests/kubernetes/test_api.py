"""The operator and the API server: ownership of fields, idempotence, scale, deletion, rights."""
import json
import time
import unittest
import urllib.request

from .harness import GROUP, KINDS, ROOT, SYSTEM, Operator, World, model, run, tool
from .proxy import Proxy

POLICY = {"apiVersion": "endcap.dev/v1alpha1", "kind": "PromotionPolicy", "spec": {"mode": "Manual"}}


def quiet(world, proxy, seconds=1.5):
    time.sleep(0.5)  # what a change leads to begins after a moment
    world.until("no more writes", lambda: time.monotonic() - proxy.last_write > seconds, 60)


class OnAnApiServer(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.installed_s = cls.world.install()

    def setUp(self):
        self.namespace = self.world.namespace()
        self.proxy = Proxy(self.world.server, self.world.ca)
        self.operators = []

    def tearDown(self):
        for operator in self.operators:
            operator.stop()
        self.proxy.close()

    def operator(self, more=(), through=True):
        operator = Operator(self.world, [self.namespace], server=self.proxy.url if through else None, more=more)
        self.operators.append(operator)
        operator.ready()
        return operator

    def path(self, kind, name="", prefix=GROUP):
        return f"{prefix}/namespaces/{self.namespace}/{kind}" + (f"/{name}" if name else "")

    def serving(self, **spec):
        """A model whose first version is trained and whose predictors are asked for."""
        self.world.create(self.path("recommendermodels"), model(self.namespace, **spec))
        self.world.until("v1 is created", lambda: self.world.version(self.namespace, "shop-v1"))
        self.world.until("its Job is created", lambda: self.world.api.get(self.path("jobs", "shop-v1", "/apis/batch/v1")))
        self.world.trained(self.namespace, "shop-v1")
        self.world.until("predictors are asked for", lambda: self.deployment("shop-v1"))
        quiet(self.world, self.proxy)

    def deployment(self, name):
        return self.world.api.get(self.path("deployments", name, "/apis/apps/v1"))

    def test_the_chart_installs_within_a_minute(self):
        print(f"   installed and served after {self.installed_s:.1f} s", flush=True)
        self.assertLess(self.installed_s, 60)
        for file in (ROOT / "crds").glob("*.yaml"):
            self.assertLess(file.stat().st_size, 200 * 1024, file.name)

    def test_admission_and_rights_for_real_people(self):
        # Who may promote, edit, experiment: every guarded field, accepted and refused.
        done = run(ROOT / "scripts/chart/admission.sh", self.world.kubeconfig)
        print("   " + done.stdout.strip().splitlines()[-1], flush=True)

    def test_two_people_promote_one_after_the_other(self):
        world = self.world
        world.create(self.path("recommendermodels"), model(self.namespace))
        bind = "/apis/rbac.authorization.k8s.io/v1"
        for name, role in (("maria", "endcap-promoter"), ("ada", "endcap-promoter"), ("ivan", "endcap-edit")):
            world.create(self.path("rolebindings", prefix=bind), {"metadata": {"name": name}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                                                                 "subjects": [{"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}]})
        for name, version in (("maria", "shop-v2"), ("ada", "shop-v3")):
            world.kubectl("patch", "recm", "shop", "-n", self.namespace, "--type=merge", "-p", json.dumps({"spec": {"promotedVersion": version}}), user=world.user(name))
            found = world.model(self.namespace)
            self.assertEqual(found["spec"]["promotedVersion"], version)
            self.assertEqual(found["metadata"]["annotations"]["endcap.dev/promoted-by"], name)
        ivan = world.user("ivan")
        for spec in ({"promotedVersion": "shop-v1"}, {"promotionPolicyRef": {"name": "x"}}, {"rollout": {"paused": True}}, {"rollout": {"abortVersion": "shop-v3"}},
                     {"rollout": {"approvedStep": {"version": "shop-v3", "step": "half"}}}, {"rollout": {"retryToken": "again"}}):
            refused = world.kubectl("patch", "recm", "shop", "-n", self.namespace, "--type=merge", "-p", json.dumps({"spec": spec}), user=ivan, check=False)
            self.assertNotEqual(refused.returncode, 0, spec)
            self.assertIn("promote", refused.stderr, spec)
        world.kubectl("patch", "recm", "shop", "-n", self.namespace, "--type=merge", "-p", '{"spec":{"retraining":{"trigger":"now"}}}', user=ivan)

    def test_git_applies_the_same_file_again_and_nothing_moves(self):
        operator = self.operator()
        self.serving()
        text = json.dumps(model(self.namespace))
        apply = ("apply", "--server-side", "--field-manager=git", "--force-conflicts", "-f", "-")
        self.world.kubectl(*apply, text=text)
        quiet(self.world, self.proxy)
        before, writes = self.world.objects(self.namespace), self.proxy.writes
        self.world.kubectl(*apply, text=text)
        time.sleep(2)
        after = self.world.objects(self.namespace)
        self.assertEqual({name: one["metadata"]["resourceVersion"] for name, one in before.items()},
                         {name: one["metadata"]["resourceVersion"] for name, one in after.items()})
        self.assertEqual(self.proxy.writes, writes)
        for entry in after["recommendermodels/shop"]["metadata"]["managedFields"]:
            if entry["manager"].startswith("endcap"):
                self.assertEqual(entry.get("subresource"), "status", "the operator owns nothing but the status")
        self.assertIsNone(operator.child.poll())

    def test_a_second_look_writes_nothing_and_reads_nothing(self):
        first = self.operator()
        self.serving(routing={"overrideFrom": [{"podSelector": {}}]}, networkPolicy={"allowFrom": [{"namespaceSelector": {"matchLabels": {"team": "oms"}}}]})
        self.world.create(self.path("promotionpolicies"), {**POLICY, "metadata": {"name": "unused"}})
        quiet(self.world, self.proxy)
        # The same program again, with nothing remembered.
        first.stop()
        self.operators.clear()
        writes, reads = self.proxy.writes, len(self.proxy.reads)
        self.operator()
        time.sleep(4)
        self.assertEqual(self.proxy.log[writes:], [])
        beyond = [path for path in self.proxy.reads[reads:] if "resourceVersion=0" not in path and "limit=" not in path]
        self.assertEqual(beyond, [], "reads beside the first lists of the watches")

    def test_what_somebody_changed_in_a_child_is_put_back(self):
        self.operator()
        self.serving()
        self.world.api.call("PATCH", self.path("deployments", "shop-v1", "/apis/apps/v1"),
                            {"metadata": {"labels": {"team": "mine"}}, "spec": {"template": {"spec": {"containers": [{"name": "predictor", "image": "evil:1"}]}}}},
                            "application/strategic-merge-patch+json")

        def back():
            found = self.deployment("shop-v1")
            return found if found["spec"]["template"]["spec"]["containers"][0]["image"] == "localhost/endcap:test" else None
        found = self.world.until("the image is put back", back)
        self.assertEqual(found["metadata"]["labels"]["team"], "mine", "what others added is theirs")
        # A child that is deleted comes back.
        self.world.api.call("DELETE", self.path("services", "shop-v1", "/api/v1"))
        self.world.until("the Service is back", lambda: self.world.api.get(self.path("services", "shop-v1", "/api/v1")))

    def test_kubectl_scale(self):
        self.operator()
        self.serving()
        self.world.kubectl("scale", "recm/shop", "-n", self.namespace, "--replicas=4")
        self.world.until("4 predictors are asked for", lambda: self.deployment("shop-v1")["spec"]["replicas"] == 4)
        self.assertEqual(self.world.model(self.namespace)["spec"]["serving"]["replicas"], 4)

    def test_a_finished_training_never_runs_again(self):
        self.operator()
        self.serving()
        self.world.api.call("DELETE", self.path("jobs", "shop-v1", "/apis/batch/v1") + "?propagationPolicy=Background")
        self.world.until("the Job is gone", lambda: not self.world.api.get(self.path("jobs", "shop-v1", "/apis/batch/v1")))
        time.sleep(3)
        self.assertEqual(self.world.api.get(self.path("jobs", prefix="/apis/batch/v1"))["items"], [])
        self.assertEqual(self.world.version(self.namespace, "shop-v1")["status"]["phase"], "Ready")

    def test_a_version_that_is_used_is_not_deleted_by_hand(self):
        self.operator()
        self.serving()
        self.world.until("it is used", lambda: self.world.version(self.namespace, "shop-v1")["status"].get("usedBy"))
        refused = self.world.kubectl("delete", "recmv", "shop-v1", "-n", self.namespace, check=False)
        self.assertIn("is used by", refused.stderr)
        self.world.kubectl("delete", "recm", "shop", "-n", self.namespace)
        self.world.until("its versions go with the model", lambda: not self.world.version(self.namespace, "shop-v1"), 60)

    def test_a_deletion_with_the_store_away_ends_within_its_bound(self):
        self.operator(more=["--deletion-bound", "4s"])
        self.serving(artifacts={"uri": "s3://bucket/models", "deletionPolicy": "Delete"})
        self.assertIn("endcap.dev/artifact", self.world.version(self.namespace, "shop-v1")["metadata"]["finalizers"])
        began = time.monotonic()
        self.world.kubectl("delete", "recm", "shop", "-n", self.namespace, "--wait=false")
        self.world.until("the model and its version are gone", lambda: not self.world.version(self.namespace, "shop-v1") and not self.world.model(self.namespace), 60)
        took = time.monotonic() - began
        print(f"   gone after {took:.1f} s with a bound of 4 s", flush=True)
        self.assertGreater(took, 4, "nobody waited for the store")
        ledger = self.world.api.get(f"/api/v1/namespaces/{SYSTEM}/configmaps/endcap-orphaned-artifacts")["data"]
        self.assertIn(f"s3://bucket/{self.namespace}/shop-v1/0", ledger[f"{self.namespace}.shop-v1"])

    def test_a_namespace_goes_with_all_that_is_in_it(self):
        self.operator(more=["--deletion-bound", "4s"])
        self.serving(artifacts={"uri": "s3://bucket/models", "deletionPolicy": "Delete"})
        self.world.kubectl("delete", "namespace", self.namespace, "--wait=false")
        self.world.until("the namespace is gone", lambda: not self.world.api.get(f"/api/v1/namespaces/{self.namespace}"), 90)

    def test_a_folder_without_a_volume_is_refused_with_the_remedy(self):
        self.operator()
        self.world.create(self.path("recommendermodels"), model(self.namespace, artifacts={"uri": "file:///models"}))

        def refused():
            conditions = (self.world.model(self.namespace).get("status") or {}).get("conditions", [])
            return [one for one in conditions if one["type"] == "Accepted" and one["status"] == "False"]
        self.assertIn("spec.artifacts.persistentVolumeClaim", self.world.until("it is refused", refused)[0]["message"])
        time.sleep(1)
        self.assertIsNone(self.world.version(self.namespace, "shop-v1"))

    def test_a_gpu_is_asked_for(self):
        self.operator()
        gpu = {"requests": {"cpu": "1"}, "limits": {"nvidia.com/gpu": "1"}}
        self.serving(training={"device": "Gpu", "resources": gpu, "nodeSelector": {"gpu": "h100"}}, serving={"device": "Gpu", "resources": gpu})
        version = self.world.version(self.namespace, "shop-v1")["spec"]
        self.assertEqual((version["trainingImage"], version["servingImage"]), ("localhost/endcap:test-gpu",) * 2)
        pod = self.deployment("shop-v1")["spec"]["template"]["spec"]
        self.assertEqual(pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"], "1")
        self.assertIn({"key": "nvidia.com/gpu", "operator": "Exists"}, pod["tolerations"])
        job = self.world.api.get(self.path("jobs", "shop-v1", "/apis/batch/v1"))["spec"]["template"]["spec"]
        self.assertEqual(job["nodeSelector"], {"gpu": "h100"})
        trainer = job["containers"][0]
        self.assertEqual(trainer["image"], "localhost/endcap:test-gpu")
        command = trainer.get("command", []) + trainer["args"]
        self.assertEqual(command[command.index("--device") + 1], "Gpu")

    def test_columns_are_never_empty(self):
        self.operator()
        self.serving()
        self.world.create(self.path("promotionpolicies"), {**POLICY, "metadata": {"name": "own"}})
        arms = [{"name": "a", "versionRef": "shop-v1", "weight": 1, "control": True}, {"name": "b", "versionRef": "shop-v2", "weight": 1}]
        self.world.create(self.path("experiments"), {"apiVersion": "endcap.dev/v1alpha1", "kind": "Experiment", "metadata": {"name": "ab"},
                                                    "spec": {"modelRef": {"name": "shop"}, "arms": arms, "primaryMetric": {"name": "Ctr", "mde": "0.05"}}})
        time.sleep(3)
        for kind in KINDS:
            # As kubectl asks for it: the server fills the columns.
            table = self.table(kind)
            names = [one["name"] for one in table["columnDefinitions"]]
            for row in table["rows"]:
                empty = [name for name, cell in zip(names, row["cells"]) if cell in (None, "")]
                self.assertEqual(empty, [], f"{kind}: {dict(zip(names, row['cells']))}")

    def table(self, kind):
        request = urllib.request.Request(self.world.api.server + self.path(kind), headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})
        with self.world.api.opener.open(request, timeout=10) as answer:
            return json.loads(answer.read())


class InNamespacesOnly(unittest.TestCase):
    def test_it_works_without_any_right_on_the_cluster(self):
        world = World()
        world.install()
        namespace = world.namespace()
        values = ["--set", "rbac.scope=Namespaces", "--set", f"watchNamespaces={{{namespace}}}", "--set", "admissionPolicy.enabled=false", "--set", "crds.enabled=false",
                  "--set", "replicaCount=0", "--set", "podDisruptionBudget.enabled=false", "--set", "rbac.userRoles=false"]
        world.create("/api/v1/namespaces", {"metadata": {"name": f"own-{namespace}"}})
        run(tool("helm"), "install", "narrow", ROOT / "charts/endcap", "--kubeconfig", world.kubeconfig, "-n", f"own-{namespace}", *values)
        for kind in ("clusterroles", "clusterrolebindings"):
            found = world.api.get(f"/apis/rbac.authorization.k8s.io/v1/{kind}")["items"]
            self.assertEqual([one["metadata"]["name"] for one in found if "narrow" in one["metadata"]["name"]], [])
        accounts = world.api.get(f"/api/v1/namespaces/own-{namespace}/serviceaccounts")["items"]
        account = [one["metadata"]["name"] for one in accounts if one["metadata"]["name"] != "default"][0]
        world.token = lambda: World.token(world, f"own-{namespace}", account)
        with Operator(world, [namespace], more=["--lease-namespace", f"own-{namespace}", "--lease-name", account], election=True) as operator:
            operator.ready()
            world.create(f"{GROUP}/namespaces/{namespace}/recommendermodels", model(namespace))
            world.until("v1 is created", lambda: world.version(namespace, "shop-v1"))
            world.trained(namespace, "shop-v1")
            world.until("predictors are asked for", lambda: world.api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/shop-v1"))


class Leaders(unittest.TestCase):
    def test_one_writes_and_the_other_takes_over(self):
        world = World()
        world.install()
        namespace = world.namespace()
        world.api.call("DELETE", f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/endcap-operator")
        with Operator(world, [namespace], election=True) as one, Operator(world, [namespace], election=True) as two:
            one.ready()
            two.ready()
            world.create(f"{GROUP}/namespaces/{namespace}/recommendermodels", model(namespace))
            world.until("its Job is created", lambda: world.api.get(f"/apis/batch/v1/namespaces/{namespace}/jobs/shop-v1"))
            lease = world.api.get(f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/endcap-operator")
            leader = one if lease["spec"]["holderIdentity"] in " ".join(one.words) else two
            leader.kill()
            began = time.monotonic()
            world.merge(f"{GROUP}/namespaces/{namespace}/recommendermodels/shop", {"spec": {"training": {"suspend": True}}})
            generation = world.model(namespace)["metadata"]["generation"]
            world.until("the other one takes over", lambda: world.model(namespace)["status"].get("observedGeneration") == generation, 30)
            took = time.monotonic() - began
            print(f"   taken over after {took:.1f} s", flush=True)
            self.assertLess(took, 20)
            self.assertEqual(len(world.api.get(f"/apis/batch/v1/namespaces/{namespace}/jobs")["items"]), 1)
