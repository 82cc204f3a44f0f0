"""The operator that leads is deleted in the middle of a rollout: the next one goes on where it stood."""
import os
import signal
import threading
import time

from cluster.stage import SYSTEM

from .behaviour import Behaviour
from .world import V1, V2, until

STEPS = (20, 50, 80, 100)


class Watch(threading.Thread):
    """Writes down every step and every Job that is ever seen."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.steps, self.jobs, self.ended = world, [], set(), threading.Event()

    def run(self):
        while not self.ended.wait(0.1):
            rollout = self.world.model()["status"].get("rollout") or {}
            if rollout.get("version") == V2 and rollout.get("step") and rollout["step"] not in self.steps[-1:]:
                self.steps.append(rollout["step"])
            self.jobs |= self.world.jobs()


class Rollouts(Behaviour):
    def test_it_goes_on_and_no_step_comes_twice(self):
        world = self.world
        world.policy(steps=[(weight, "2s") for weight in STEPS[:-1]] + [(100, "0s")], window=0)
        jobs, since = world.jobs(), {one["metadata"]["uid"] for one in world.events("StepAdvanced")}
        watch = Watch(world)
        watch.start()
        with world.load() as load:
            began = time.monotonic()
            world.want(V2)
            for weight, by_force in ((20, True), (50, False)):
                until(f"{V2} has {weight}%", lambda weight=weight: self.acked() == 100 * weight, 60)
                self.another_leads(by_force)
            until(f"{V2} serves everybody", lambda: world.is_complete(V2), 120)
            self.say(f"promoted after {time.monotonic() - began:.0f} s")
            time.sleep(2)
        watch.ended.set()
        watch.join()
        self.nothing_failed("the leader killed, the next one deleted", load)
        steps = [f"to-{weight}" for weight in STEPS]
        self.assertEqual(watch.steps, steps, "each step once, in order, as the status showed them")
        told = [one["note"] for one in world.events("StepAdvanced") if one["metadata"]["uid"] not in since]
        self.assertEqual(len(told), len(set(told)), told)
        self.assertLessEqual(len(told), len(STEPS))
        self.assertEqual(watch.jobs, jobs, "no training began")

    def acked(self):
        """Of ten thousand units, those that every router gives the candidate."""
        arms = self.world.model()["status"].get("traffic", [])
        return next((arm.get("ackedWeight") for arm in arms if arm["version"] == V2), None)

    def another_leads(self, by_force):
        """The leader goes: killed, so that it lets go of nothing, or with time to hand over."""
        world = self.world
        old = world.leader()
        began = time.monotonic()
        if by_force:
            os.kill(next(pod for pod in world.operators() if pod.name == old).process("endcap-operator"), signal.SIGKILL)
        words = ("--grace-period=0", "--force") if by_force else ()
        world.admin.run("delete", "pod", old, "-n", SYSTEM, "--wait=false", *words)
        until("another operator leads", lambda: world.leader() not in ("", old), 60)
        took = time.monotonic() - began
        self.say(f"{'killed' if by_force else 'deleted'}: another leads after {took:.1f} s")
        self.assertLess(took, 25)
        self.assertIn(V1, [arm["version"] for arm in world.model()["status"]["traffic"]])
