"""All connections that pods were seen to make, in the other tests of this run too, against the NetworkPolicies: none forbidden, no rule idle.

The cluster's network does not enforce policies, so what they forbid would show here and nowhere else."""
import collections

from cluster.stage import SHOP, SYSTEM

from .behaviour import Behaviour
from .connections import Policies


class WhatPodsDo(Behaviour):
    starts_serving = False

    def test_every_connection_is_allowed_and_every_rule_is_used(self):
        world = self.world
        self.assertTrue(world.connections.is_listening(), "conntrack has ended: its words are in connections.log")
        found = [one for namespace in (SHOP, SYSTEM) for one in world.items("networkpolicies", "/apis/networking.k8s.io/v1", namespace)]
        policies = Policies(found, world.api.get("/api/v1/namespaces")["items"])
        counts, strangers = world.connections.seen()
        table, forbidden = collections.Counter(), set()
        for (source, target, port), times in counts.items():
            row = (source.component, target if isinstance(target, str) else target.component, port)
            table[row] += times
            if not policies.allows(source, target, port):
                forbidden.add(row)
        rules = policies.pairs([pod for pods in world.connections.pods.values() for pod in pods])
        used = {row for row in table if row in rules}
        print("   connections from         to                port   seen  policy", flush=True)
        for row, times in sorted(table.items()):
            print(f"   {row[0]:<24} {row[1]:<15} {row[2]:>6} {times:>6}  {'FORBIDDEN' if row in forbidden else 'allowed'}", flush=True)
        for (source, target, port), times in sorted(strangers.items()):
            print(f"   {source:<24} {target:<15} {port:>6} {times:>6}  (nobody's address: a pod that was gone)", flush=True)
        self.say(f"{sum(table.values())} connections of {len(table)} kinds, {len(forbidden)} forbidden; {len(used)} of {len(rules)} rules between components used")
        self.assertGreater(len(table), 5)
        self.assertEqual(forbidden, set())
        self.assertEqual(rules - used, set(), "rules that nobody needed")
