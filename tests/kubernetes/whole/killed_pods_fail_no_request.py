"""Pods that end, politely or not, under load."""
import os
import signal
import time

from cluster.stage import SHOP

from .behaviour import Behaviour
from .world import V1, until

CALM_S = 3


class KilledPods(Behaviour):
    def under_load(self, what, fault):
        """The fault in the middle of load, and load until all is as before; returns the load and when the fault was."""
        with self.world.load() as load:
            time.sleep(CALM_S)
            at = time.time()
            fault()
            until(f"all is ready again after {what}", self.world.is_settled, 90)
            time.sleep(CALM_S)
        return load, at

    def delete(self, component, *words):
        pod = self.world.pods(component, V1 if component == "predictor" else None)[0]
        self.world.admin.run("delete", "pod", pod.name, "-n", SHOP, "--wait=false", *words)
        until(f"{pod.name} goes", lambda: all(one.uid != pod.uid or one.is_deleting for one in self.world.pods(component)))

    def kill(self, component):
        pod = self.world.pods(component, V1 if component == "predictor" else None)[0]
        os.kill(pod.process(f"endcap-{component}"), signal.SIGKILL)
        until(f"{pod.name} is started again", lambda: any(one.uid == pod.uid and one.restarts > pod.restarts for one in self.world.pods(component)), 30)

    def test_a_predictor_is_deleted_by_force_and_another_is_killed(self):
        load, _ = self.under_load("a predictor's deletion by force", lambda: self.delete("predictor", "--grace-period=0", "--force"))
        self.nothing_failed("predictor deleted by force", load)
        load, _ = self.under_load("a predictor's kill -9", lambda: self.kill("predictor"))
        self.nothing_failed("predictor kill -9", load)

    def test_a_router_leaves_politely(self):
        load, _ = self.under_load("a router's deletion", lambda: self.delete("router"))
        self.nothing_failed("router deleted", load)

    def test_a_router_is_killed_and_only_what_it_held_breaks(self):
        load, at = self.under_load("a router's kill -9", lambda: self.kill("router"))
        report = self.told("router kill -9", load)
        broken, refused = report["kinds"].pop("broken", 0), report["kinds"].pop("not connected", 0)
        last = max((when for when, _, _ in report["failures"]), default=at) - at
        self.say(f"{broken} broke under way of {report['connections']} connections, {refused} new ones refused until Kubernetes had seen it, the last {last:.1f} s after the kill")
        self.assertEqual(report["kinds"], {}, report["failures"][:10])
        # A connection carries one question at a time.
        self.assertLessEqual(broken, report["connections"])
        self.assertLess(last, 10)
