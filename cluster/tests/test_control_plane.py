"""The profile without a node: up, up again, users, components, and a half-dead one."""
import json
import unittest

from .. import existing, processes
from ..settings import CONTROL_PLANE, ADDRESS
from .support import PLACES, cluster, kubectl, wait


def setUpModule():
    cluster("up", "--profile", "control-plane")


class ControlPlane(unittest.TestCase):
    def test_it_prints_where_it_is(self):
        facts = json.loads(cluster("up", "--profile", "control-plane")[0])
        self.assertEqual(facts["kubeconfig"], str(PLACES.kubeconfig))
        self.assertEqual((facts["profile"], facts["server"], facts["node"]), ("control-plane", f"https://{ADDRESS}:6443", None))
        self.assertEqual(facts, json.loads(cluster("status")[0]))

    def test_a_second_up_changes_nothing(self):
        before = {name: processes.pid_of(PLACES, name) for name in CONTROL_PLANE}
        self.assertIn("is up already", cluster("up", "--profile", "control-plane")[1])
        self.assertEqual(before, {name: processes.pid_of(PLACES, name) for name in CONTROL_PLANE})

    def test_a_half_dead_one_is_started_again(self):
        kubectl("create", "configmap", "of-the-old-one")
        processes.kill_each([processes.pid_of(PLACES, "kube-controller-manager")])
        cluster("status", expect=1)
        self.assertIn("half dead", cluster("up", "--profile", "control-plane")[1])
        self.assertNotEqual(kubectl("get", "configmap", "of-the-old-one", check=False).returncode, 0)
        cluster("status")

    def test_a_stopped_component_is_started_and_data_stays(self):
        kubectl("create", "configmap", "kept")
        for name in CONTROL_PLANE:
            cluster("stop-component", name)
            cluster("status", expect=1)
            cluster("start-component", name)
            wait("the object", lambda: kubectl("get", "configmap", "kept", check=False).returncode == 0)
        cluster("stop-component", "etcd")
        self.assertIn("it is started", cluster("up", "--profile", "control-plane")[1])
        kubectl("delete", "configmap", "kept")

    def test_a_user_has_the_rights_of_its_roles_only(self):
        config = cluster("user", "shop:anna", "--group", "buyers", "--group", "a/b")[0].strip()
        self._check_user(config, "shop:anna", {"buyers", "a/b"})

    def test_a_user_whose_certificate_the_cluster_signs(self):
        """The way for clusters whose key we do not hold."""
        config = str(existing.user_by_request(PLACES.kubeconfig, "bert", ["sellers"], PLACES.run / "requested"))
        self._check_user(config, "bert", {"sellers"})

    def _check_user(self, config, name, groups):
        who = json.loads(kubectl("auth", "whoami", "-o", "json", config=config))["status"]["userInfo"]
        self.assertEqual(who["username"], name)
        self.assertLessEqual(groups, set(who["groups"]))
        refused = kubectl("get", "configmaps", config=config, check=False)
        self.assertIn("forbidden", refused.stderr)
        kubectl("create", "role", "reads-settings", "--verb=list", "--resource=configmaps")
        try:
            kubectl("create", "rolebinding", "reads-settings", "--role=reads-settings", f"--user={name}")
            wait("the right", lambda: kubectl("get", "configmaps", config=config, check=False).returncode == 0)
            self.assertIn("forbidden", kubectl("get", "secrets", config=config, check=False).stderr)
        finally:
            kubectl("delete", "role,rolebinding", "reads-settings", "--ignore-not-found")
