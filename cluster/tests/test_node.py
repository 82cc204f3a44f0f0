"""The profile with a node: added to a running control plane, then pods as the project runs them."""
import json
import unittest

from .. import processes
from ..settings import CONTROL_PLANE, PROFILES, STORAGE_CLASS, VOLUMES
from .support import PLACES, PROBE_IMAGE, cluster, kubectl, namespace, pod, probe_image, project_archive, run_to_end, wait

HERE = "selftest"


def setUpModule():
    cluster("up", "--profile", "node")
    cluster("import", probe_image())
    namespace(HERE)
    kubectl("apply", "-n", HERE, "-f", "-", stdin={
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "greeter"}, "spec": {
            "selector": {"matchLabels": {"app": "greeter"}}, "replicas": 2, "template": {
                "metadata": {"labels": {"app": "greeter"}}, "spec": pod(["probe", "listen", "8080"], restart="Always", readiness=8080)}}})
    kubectl("expose", "deployment", "greeter", "-n", HERE, "--port=80", "--target-port=8080")
    kubectl("rollout", "status", "deployment/greeter", "-n", HERE, "--timeout=60s")


def _greeters():
    items = json.loads(kubectl("get", "pods", "-n", HERE, "-l", "app=greeter", "-o", "json"))["items"]
    return {item["metadata"]["name"]: (item["status"]["containerStatuses"][0]["containerID"],
                                       item["status"]["containerStatuses"][0]["restartCount"]) for item in items}


class Node(unittest.TestCase):
    def test_the_control_plane_stays_when_a_node_is_added(self):
        cluster("down")
        cluster("up", "--profile", "control-plane")
        kubectl("create", "configmap", "of-the-control-plane")
        before = {name: processes.pid_of(PLACES, name) for name in CONTROL_PLANE}
        self.assertEqual(json.loads(cluster("up", "--profile", "node")[0])["profile"], "node")
        self.assertEqual(before, {name: processes.pid_of(PLACES, name) for name in CONTROL_PLANE})
        kubectl("get", "configmap", "of-the-control-plane")
        for profile in PROFILES:
            self.assertIn("is up already", cluster("up", "--profile", profile)[1])
        setUpModule()

    def test_a_program_of_the_project_runs_restricted(self):
        facts = project_archive()
        if "endcap-router" in facts["missing"]:
            self.skipTest("endcap-router is not built: make build")
        cluster("import", facts["archive"])
        log = run_to_end(HERE, "router-help", pod(["endcap-router", "--help"], picture="localhost/endcap:selftest"))
        self.assertIn("Usage: endcap-router", log)

    def test_an_unrestricted_pod_is_refused(self):
        refused = kubectl("run", "root", "-n", HERE, f"--image={PROBE_IMAGE}", check=False)
        self.assertIn("violates PodSecurity", refused.stderr)

    def test_names_of_services(self):
        address = kubectl("get", "service", "greeter", "-n", HERE, "-o", "jsonpath={.spec.clusterIP}")
        for number, name in enumerate(("greeter", f"greeter.{HERE}", f"greeter.{HERE}.svc.cluster.local")):
            self.assertEqual(run_to_end(HERE, f"lookup-{number}", pod(["probe", "lookup", name])).strip(), address)
        with self.assertRaisesRegex(AssertionError, "Name or service not known"):
            run_to_end(HERE, "lookup-unknown", pod(["probe", "lookup", "nowhere.example"]))

    def test_a_pod_reaches_pods_through_a_service(self):
        self.assertEqual(run_to_end(HERE, "connect", pod(["probe", "connect", "greeter", "80"])), "hello\n")

    def test_exec(self):
        self.assertEqual(kubectl("exec", "-n", HERE, "deployment/greeter", "--", "probe", "connect", "127.0.0.1", "8080"), "hello\n")

    def test_a_claim_is_bound_written_and_given_back(self):
        def claim():
            kubectl("apply", "-n", HERE, "-f", "-", stdin={
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "kept"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}})

        def job(name, *words):
            log = run_to_end(HERE, name, pod(["probe", *words], volumes=[("/data", {"persistentVolumeClaim": {"claimName": "kept"}})]))
            kubectl("delete", "job", name, "-n", HERE, "--wait")
            return log

        def free():
            items = json.loads(kubectl("get", "pv", "-o", "json"))["items"]
            self.assertEqual({item["spec"]["storageClassName"] for item in items}, {STORAGE_CLASS})
            return sum(item["status"]["phase"] == "Available" for item in items)

        wait("all volumes", lambda: free() == len(VOLUMES))
        for _ in range(2):
            claim()
            job("write", "write", "/data/text", "kept by the volume\n")
            self.assertEqual(job("read", "read", "/data/text"), "kept by the volume\n")
            kubectl("delete", "pvc", "kept", "-n", HERE, "--wait")
            wait("the volume's return", lambda: free() == len(VOLUMES))
        self.assertEqual([path for path in PLACES.volumes.glob("*/*")], [])

    def test_pods_survive_their_keepers(self):
        before = _greeters()
        self.assertEqual(len(before), 2)
        for name in ("kube-apiserver", "kubelet", "kube-proxy", "coredns", "kube-scheduler", "etcd"):
            cluster("stop-component", name)
            cluster("start-component", name)
        self.assertEqual(_greeters(), before)
        self.assertEqual(run_to_end(HERE, "connect-after", pod(["probe", "connect", "greeter", "80"])), "hello\n")
