"""`python3 -m tests.kubernetes.whole [--keep] [NAME...]`: real node, real pods, load, faults; one line a test with its figures.

Takes the machine's cluster for itself: what was up is taken down. `--keep` leaves it up, and takes up again what it left."""
import argparse
import importlib
import signal
import sys
import time
import unittest

from .behaviour import Behaviour
from .world import World

# The last one judges what all others have made pods do.
FILES = ("killed_pods_fail_no_request", "components_away_fail_no_request", "upgrades_restart_nothing", "promotions_and_rollbacks_fail_no_request",
         "a_rollout_outlives_its_operator", "operators_away_fail_no_request", "an_abort_takes_seconds", "a_corrupt_artifact_is_never_served",
         "deleted_jobs_run_no_more", "policies_allow_what_pods_do")


class Lines(unittest.TextTestResult):
    """One line a test, with its figures."""

    def _line(self, mark, test):
        print(f"{mark} {test.name()} ({time.monotonic() - test.began:.0f} s): {'; '.join(test.figures)}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self._line("ok ", test)

    def _bad(self, test, error):
        self._line("NO ", test)
        print(f"    {error[0].__name__}: {error[1]}\n    see {Behaviour.world.dump(test.name())}", flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._bad(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self._bad(test, err)


def main():
    parser = argparse.ArgumentParser(prog="python3 -m tests.kubernetes.whole", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the cluster up, and take up one that was left")
    parser.add_argument("names", nargs="*", help="parts of names of tests; all without")
    options = parser.parse_args()
    suite = unittest.TestSuite()
    for file in FILES:
        tests = unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(f".{file}", __package__))
        for test in (test for group in tests for test in group):
            if not options.names or any(name in f"{file}.{test.name()}" for name in options.names):
                suite.addTest(test)
    if not suite.countTestCases():
        parser.error(f"no test is named {' or '.join(options.names)}; there are {', '.join(FILES)}")
    # What ends this program ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began, Behaviour.world = time.monotonic(), World(options.keep)
    try:
        Behaviour.world.start()
        print(f"a model serves, its second version is trained: {time.monotonic() - began:.0f} s", flush=True)
        result = unittest.TextTestRunner(verbosity=0, stream=sys.stdout, resultclass=Lines).run(suite)
    finally:
        Behaviour.world.stop()
    print(f"whole tier: {result.testsRun} tests, {len(result.failures) + len(result.errors)} failed; {time.monotonic() - began:.0f} s")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
