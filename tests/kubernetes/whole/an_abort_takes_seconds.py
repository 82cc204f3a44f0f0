"""From `kubectl patch` to no traffic on the candidate, on every router's own word. ABORTS=100 for more."""
import json
import os
import time

from cluster.stage import get

from .behaviour import Behaviour
from .world import V1, V2, until

ABORTS = int(os.environ.get("ABORTS", "5"))
LIMIT_S = 5


class Aborts(Behaviour):
    bound_s = 120 + 60 * ABORTS

    def test_every_router_lets_go_within_five_seconds(self):
        world = self.world
        world.policy(steps=((50, "1h"), (100, "0s")), window=0)
        wire, told = [], []
        with world.load() as load:
            for _ in range(ABORTS):
                world.want(V2)
                until(f"every router gives {V2} a share", lambda: all(self.shares()), 60)
                time.sleep(1)
                began = time.monotonic()
                world.admin.run("patch", "recm", "shop", "-n", "shop", "--type=merge", "-p", json.dumps({"spec": {"rollout": {"abortVersion": V2}}}))
                until("no router gives it any", lambda: not any(self.shares()), 30, every_s=0.02)
                wire.append(time.monotonic() - began)
                until("the status says so", lambda: not world.model()["status"].get("rollout"), 30, every_s=0.02)
                told.append(time.monotonic() - began)
        self.nothing_failed(f"{ABORTS} aborts", load)
        self.say(f"kubectl patch to 0% on both routers {', '.join(f'{one:.2f}' for one in wire)} s; and acknowledged in the status {', '.join(f'{one:.2f}' for one in told)} s")
        self.assertLessEqual(max(told), LIMIT_S)
        rejected = [one["version"] for one in world.model()["status"]["rejectedVersions"]]
        self.assertIn(V2, rejected)
        self.assertEqual(world.model()["status"]["activeVersion"], V1)

    def shares(self):
        """Buckets of the candidate in the table that each router has in effect."""
        found = []
        for pod in self.world.pods("router"):
            weights = get(f"http://{pod.ip}:8081/control/table")["weights"]
            found.append(sum(one["buckets"] for one in weights if one["version"] == V2))
        return found
