"""Whatever moment the operator dies at, the next one brings the cluster to the same state."""
import concurrent.futures
import os
import signal
import time
import unittest

from .harness import Operator, World, model
from .proxy import Drop, Proxy

QUIET_S = 1.3
AT_ONCE = 3


def life(world, operator, proxy):
    """From an empty namespace to a version whose predictors are asked for; returns the state that it settles in."""
    name = operator.namespace
    world.create(f"/apis/endcap.dev/v1alpha1/namespaces/{name}/recommendermodels", model(name))
    world.until(f"{name}: v1 is created", lambda: world.version(name, "shop-v1"), 60)
    world.until(f"{name}: its Job is created", lambda: world.api.get(f"/apis/batch/v1/namespaces/{name}/jobs/shop-v1"), 60)
    settle(world, operator, proxy)
    world.trained(name, "shop-v1")
    world.until(f"{name}: predictors are asked for", lambda: world.api.get(f"/apis/apps/v1/namespaces/{name}/deployments/shop-v1"), 60)
    settle(world, operator, proxy)
    return world.canonical(name)


def settle(world, operator, proxy):
    world.until(f"{operator.namespace}: no more writes", lambda: operator.child.poll() is None and time.monotonic() - proxy.last_write > QUIET_S, 60)


class Watched(Operator):
    """Started again whenever it dies, as a Deployment would."""

    def __init__(self, world, namespace, proxy):
        self.namespace = namespace
        super().__init__(world, [namespace], server=proxy.url)


def one_run(world, crash_at, is_before):
    namespace = world.namespace()
    proxy = Proxy(world.server, world.ca)
    operator = Watched(world, namespace, proxy)
    died = []

    def crash(request, when_before):
        if request.is_write and request.number == crash_at and when_before == is_before and not died:
            died.append(request.path)
            os.kill(operator.child.pid, signal.SIGKILL)
            operator.child.wait()
            operator.start()
            raise Drop

    if crash_at:
        proxy.before = lambda request: crash(request, True)
        proxy.after = lambda request: crash(request, False)
    try:
        state = life(world, operator, proxy)
        return state, proxy.log, died
    finally:
        operator.stop()
        proxy.close()


class Crashes(unittest.TestCase):
    def test_a_crash_at_any_write_ends_in_the_same_state(self):
        world = World()
        world.install()
        undisturbed, log, _ = one_run(world, None, True)
        self.assertGreater(len(log), 10)
        rounds = int(os.environ.get("ENDCAP_CRASH_EVERY", "1"))
        points = [(at, is_before) for at in range(1, len(log) + 1, rounds) for is_before in (True, False)]
        print(f"   {len(log)} writes from nothing to serving; {len(points)} crashes", flush=True)
        wrong = []
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            runs = {point: pool.submit(one_run, world, *point) for point in points}
            for (at, is_before), future in runs.items():
                where = f"{'before' if is_before else 'after'} write {at} ({log[at - 1]})"
                try:
                    state, _, died = future.result()
                except AssertionError as error:
                    wrong.append(f"{where}: {error}")
                    continue
                if not died:
                    wrong.append(f"{where}: the crash did not happen")
                elif state != undisturbed:
                    wrong.append(f"{where}: {difference(undisturbed, state)}")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))


def difference(one, other):
    """The first places where two states differ."""
    found = []

    def walk(path, a, b):
        if isinstance(a, dict) and isinstance(b, dict):
            for key in sorted(set(a) | set(b)):
                walk(f"{path}/{key}", a.get(key), b.get(key))
        elif a != b and len(found) < 5:
            found.append(f"{path}: {str(a)[:120]} != {str(b)[:120]}")

    walk("", one, other)
    return "; ".join(found)
