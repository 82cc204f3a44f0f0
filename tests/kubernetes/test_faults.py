"""An API server that refuses, stalls, forgets and repeats changes nothing of where it all ends."""
import os
import random
import time
import unittest

from .harness import Operator, World
from .proxy import Drop, Proxy, status
from .test_crashes import Watched, difference, life, one_run


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.world.install()
        cls.undisturbed, cls.log, _ = one_run(cls.world, None, True)

    def disturbed(self, before=None, watch_line=None):
        namespace, proxy = self.world.namespace(), Proxy(self.world.server, self.world.ca)
        proxy.before = before or proxy.before
        proxy.watch_line = watch_line or proxy.watch_line
        operator = Watched(self.world, namespace, proxy)
        try:
            state = life(self.world, operator, proxy)
        finally:
            operator.stop()
            proxy.close()
        self.assertEqual(state, self.undisturbed, difference(self.undisturbed, state))
        return proxy

    def every(self, share, answer, is_for=lambda request: request.is_write):
        dice, seen = random.Random(7), []

        def before(request):
            if is_for(request) and dice.random() < share:
                seen.append(request.path)
                return answer(request)
            return None
        self.disturbed(before)
        self.assertGreater(len(seen), 3)

    def test_conflicts(self):
        self.every(0.3, lambda _: status(409, "Conflict", "the object has been modified"))

    def test_too_many_requests(self):
        self.every(0.3, lambda _: (*status(429, "TooManyRequests", "wait", retryAfterSeconds=1), "application/json", [("Retry-After", "1")]))

    def test_errors_of_the_server(self):
        self.every(0.3, lambda _: status(500, "InternalError", "etcd has no leader"))

    def test_answers_that_come_late(self):
        def late(_):
            time.sleep(0.4)
        self.every(0.3, late)

    def test_connections_that_break(self):
        def broken(_):
            raise Drop
        self.every(0.2, broken)

    def test_lists_and_watches_that_expired(self):
        gone = b'{"type":"ERROR","object":' + b'{"kind":"Status","apiVersion":"v1","status":"Failure","message":"too old resource version","reason":"Expired","code":410}}\n'
        dice, sent = random.Random(3), []

        def watch_line(_, line):
            if dice.random() < 0.1 and len(sent) < 20:
                sent.append(line)
                return [line, gone]
            return [line]
        self.disturbed(watch_line=watch_line)
        self.assertGreater(len(sent), 0)

    def test_events_that_are_dropped_until_the_next_list_and_come_twice(self):
        dice, twice = random.Random(5), []

        def watch_line(_, line):
            if dice.random() < 0.5:
                twice.append(line)
                return [line, line]
            return [line]
        self.disturbed(watch_line=watch_line)
        self.assertGreater(len(twice), 3)
