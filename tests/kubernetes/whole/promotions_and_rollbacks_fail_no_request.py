"""Promotion by steps and back, again and again, under load. ROUNDS=100 is the goal of `make soak`."""
import os
import time

from .behaviour import Behaviour
from .world import V1, V2, until

ROUNDS = int(os.environ.get("ROUNDS", "3"))
RATE = float(os.environ.get("RATE", "100"))


class PromotionsAndRollbacks(Behaviour):
    bound_s = 180 + 90 * ROUNDS

    def test_no_request_fails(self):
        world = self.world
        # No version may come back without its steps: every promotion is a whole one.
        world.policy(window=0)
        there, back = [], []
        with world.load(RATE) as load:
            time.sleep(2)
            for _ in range(ROUNDS):
                began = time.monotonic()
                world.promote(V2)
                there.append(time.monotonic() - began)
                time.sleep(1)
                began = time.monotonic()
                world.patch({"rollout": {"abortVersion": V2}})
                until(f"{V1} serves everybody again", self.is_back, 60)
                back.append(time.monotonic() - began)
                time.sleep(1)
        report = self.nothing_failed(f"{ROUNDS} promotions and {ROUNDS} rollbacks", load)
        self.say(f"a promotion {sum(there) / ROUNDS:.1f} s (2 steps, windows of 10 s), a rollback {sum(back) / ROUNDS:.1f} s, longest {max(back):.1f} s")
        self.say(f"answers by version {report['versions']}")
        self.assertEqual(set(report["versions"]), {V1, V2})

    def is_back(self):
        status = self.world.model()["status"]
        routing = status["routing"]
        return status["activeVersion"] == V1 and not status.get("rollout") and routing["routersSynced"] == routing["routersTotal"] > 0
