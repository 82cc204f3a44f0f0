"""What the tests of the whole tier share: the start, the bound, the figures."""
import signal
import time
import unittest


class Behaviour(unittest.TestCase):
    world = None
    bound_s = 300
    starts_serving = True
    maxDiff = None

    def setUp(self):
        self.figures, self.began = [], time.monotonic()
        signal.signal(signal.SIGALRM, self._too_long)
        signal.alarm(self.bound_s)
        self.addCleanup(signal.alarm, 0)
        if self.starts_serving:
            self.world.reset()
            self.began = time.monotonic()

    def _too_long(self, *_):
        raise AssertionError(f"it took more than {self.bound_s} s")

    def name(self):
        return self._testMethodName.removeprefix("test_")

    def say(self, figure):
        self.figures.append(figure)

    def told(self, what, load):
        """Says how the load went."""
        report = load.report
        kinds = f" {report['kinds']}" if report["failed"] else ""
        degraded = f" {report['why']}" if report["degraded"] else ""
        self.say(f"{what}: {report['sent']} asked, {report['failed']} failed{kinds}, {report['degraded']} degraded{degraded}, "
                 f"p50 {report['p50_ms']:.0f} p99 {report['p99_ms']:.0f} max {report['max_ms']:.0f} ms")
        return report

    def nothing_failed(self, what, load):
        report = self.told(what, load)
        self.assertGreater(report["sent"], 50, what)
        self.assertEqual(report["failed"], 0, f"{what}: {report['failures'][:10]}")
        return report
