"""Kubernetes' own programs away for a while: what serves goes on."""
import json
import time

from cluster.stage import MODEL, SHOP, condition

from .behaviour import Behaviour
from .world import component, until

AFTER_S = 5


class ComponentsAway(Behaviour):
    def away(self, name, seconds):
        world = self.world
        lives, versions, children = world.lives(), world.versions(), world.children()
        with world.load() as load:
            time.sleep(2)
            component("stop-component", name)
            try:
                time.sleep(seconds)
            finally:
                component("start-component", name)
            began = time.monotonic()
            # Somebody leads, and sees what changes; kinds of ours are served a moment after the API server is.
            until("a wish can be written", self.is_wished, 30)
            until("a wish is seen", self.is_seen, 120)
            seen = time.monotonic() - began
            until("the model is ready and its operators are", self.is_as_before, 120)
            self.say(f"{seen:.1f} s after its return a wish was seen, after {time.monotonic() - began:.1f} s all was as before")
            time.sleep(AFTER_S)
        self.told(f"{name} away {seconds} s", load)
        self.assertEqual(world.lives(), lives, "pods and their restarts")
        self.assertEqual(world.versions(), versions)
        self.assertEqual(world.children(), children)
        self.assertEqual(condition(world.model(), "Ready")["status"], "True")
        self.assertEqual(load.report["failed"], 0, load.report["failures"][:10])

    def is_wished(self):
        wish = json.dumps({"spec": {"rollout": {"retryToken": self.world.token()}}})
        return self.world.admin.run("patch", "recm", MODEL, "-n", SHOP, "--type=merge", "-p", wish, check=False).returncode == 0

    def is_seen(self):
        found = self.world.model()
        return found["status"].get("observedGeneration") == found["metadata"].get("generation", 0)

    def is_as_before(self):
        try:
            return len([pod for pod in self.world.operators() if pod.is_ready]) == 2 and self.world.is_settled()
        except AssertionError:
            return False

    def test_the_kubelet_is_away(self):
        self.away("kubelet", 30)

    def test_the_api_server_is_away(self):
        self.away("kube-apiserver", 60)
