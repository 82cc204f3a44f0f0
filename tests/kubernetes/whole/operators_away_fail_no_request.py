"""No operator at all for a while: what serves goes on, and what was wanted meanwhile is done as soon as one is back."""
import time

from cluster.stage import SYSTEM

from .behaviour import Behaviour
from .world import APPS, V1, until

AWAY_S = 60


class OperatorsAway(Behaviour):
    def tearDown(self):
        self.scale(2)

    def scale(self, replicas):
        self.world.admin.run("scale", "deployment", "endcap-operator", "-n", SYSTEM, f"--replicas={replicas}")

    def test_nothing_fails_and_a_wish_is_seen_when_one_is_back(self):
        world = self.world
        lives = world.lives()
        with world.load() as load:
            self.scale(0)
            until("no operator is left", lambda: not world.operators(), 60)
            world.patch({"serving": {"replicas": 3}})
            time.sleep(AWAY_S)
            self.assertEqual(world.lives(), lives, "pods and their restarts")
            self.assertEqual(self.wanted(), 2)
            began = time.monotonic()
            self.scale(2)
            until("the wish is seen", lambda: self.wanted() == 3, 60, every_s=0.05)
            seen = time.monotonic() - began
            until(f"{V1} serves from 3 predictors", lambda: world.is_settled(predictors=3), 60)
        self.nothing_failed(f"no operator for {AWAY_S} s", load)
        self.say(f"a wish was seen {seen:.1f} s after operators were wanted again")
        self.assertLess(seen, 20)

    def wanted(self):
        return self.world.get("deployments", V1, APPS)["spec"]["replicas"]
