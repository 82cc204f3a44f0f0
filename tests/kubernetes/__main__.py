"""`python3 -m tests.kubernetes [NAME...]`: the API, crash and fault tiers on a control plane; says what ran."""
import pathlib
import shutil
import sys
import unittest

from .harness import LOGS

HERE = pathlib.Path(__file__).parent


def main(names):
    loader = unittest.TestLoader()
    suite = unittest.TestSuite()
    for file in sorted(HERE.glob("test_*.py")):
        tests = loader.loadTestsFromName(f"tests.kubernetes.{file.stem}")
        for group in tests:
            for test in group:
                if not names or any(name in test.id() for name in names):
                    suite.addTest(test)
    shutil.rmtree(LOGS, ignore_errors=True)
    # Classes with a set-up of their own need their tests side by side.
    result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(suite)
    print(f"kubernetes: {result.testsRun} tests, {len(result.failures) + len(result.errors)} failed, {len(result.skipped)} skipped")
    if result.wasSuccessful():
        shutil.rmtree(LOGS, ignore_errors=True)
        return 0
    print(f"what the operators said: {LOGS}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
