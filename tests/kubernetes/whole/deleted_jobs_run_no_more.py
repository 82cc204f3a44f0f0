"""What has been trained is trained: whoever deletes the Jobs gets none again."""
import time

from cluster.stage import SHOP, SYSTEM

from .behaviour import Behaviour
from .world import until

LOOKS_S = 10


class DeletedJobs(Behaviour):
    def test_nothing_is_trained_again(self):
        world = self.world
        versions = world.versions()
        gone = len(world.jobs())
        self.assertGreater(gone, 0)
        world.admin.run("delete", "jobs", "-n", SHOP, "-l", "app.kubernetes.io/managed-by=endcap", "--cascade=foreground")
        until("their pods are gone", lambda: not [pod for pod in world.items("pods", "/api/v1") if pod["status"].get("phase") in ("Succeeded", "Failed")], 30)
        time.sleep(LOOKS_S)
        # Nor by an operator that remembers nothing.
        world.admin.run("delete", "pods", "-n", SYSTEM, "-l", "app.kubernetes.io/component=operator", "--grace-period=0", "--force")
        old = world.leader()
        until("another one leads", lambda: world.leader() not in ("", old), 60)
        time.sleep(LOOKS_S)
        self.assertEqual(world.jobs(), set())
        self.assertEqual(world.versions(), versions)
        self.say(f"{gone} Jobs deleted, 0 run again, {len(versions)} versions as they were")
