"""Tests of this tool. `python3 -m cluster selftest` runs them on a cluster of their own and looks for what is left after it."""
import unittest

from ..settings import Missing, cache
from . import leftovers
from .support import cluster, say


def run(names):
    """Exit code. `names`: words that a test's id holds; all tests without."""
    up = sorted(path.parent.name for path in (cache() / "cluster").glob("*/state.json"))
    if up:
        raise Missing(f"cluster {', '.join(up)} is up, and the tests start and end one of their own: python3 -m cluster down --name {up[0]}")
    before = leftovers.snapshot()
    suite = unittest.TestSuite()
    for module in ("test_image", "test_control_plane", "test_node"):
        found = unittest.defaultTestLoader.loadTestsFromName(f"cluster.tests.{module}")
        for case in _flat(found):
            if not names or any(name in case.id() for name in names):
                suite.addTest(case)
    try:
        result = unittest.TextTestRunner(verbosity=2).run(suite)
    finally:
        cluster("down")
    left = leftovers.compare(before, leftovers.snapshot())
    say("nothing is left on the machine" if not left else "LEFT on the machine:\n" + "\n".join(f"  {line}" for line in left))
    return 0 if result.wasSuccessful() and not left else 1


def _flat(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from _flat(item)
        else:
            yield item
