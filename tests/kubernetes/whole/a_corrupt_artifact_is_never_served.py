"""One byte of a version is wrong in the store: it is refused, said, and served as soon as it is right again."""
import json
import time

from cluster.stage import SHOP, condition

from .behaviour import Behaviour
from .world import V1, V2, until


class CorruptArtifacts(Behaviour):
    def setUp(self):
        self.damaged = None
        super().setUp()

    def tearDown(self):
        self.repair()

    def damage(self):
        """Flips a bit of an object that every predictor reads."""
        manifest = next((self.world.folder / "s3/endcap/models" / SHOP).glob(f"*/{V2}/*/manifest.json"))
        entry = json.loads(manifest.read_text())["objects"]["associations"]
        self.damaged = (manifest.parent / "objects" / entry["sha256"], entry["bytes"] // 2)
        self.flip()

    def flip(self):
        path, at = self.damaged
        with path.open("r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))

    def repair(self):
        if self.damaged:
            self.flip()
            self.damaged = None

    def test_it_is_refused_and_served_once_repaired(self):
        world = self.world
        world.policy(window=0)
        lives = world.lives()
        self.damage()
        with world.load() as load:
            began = time.monotonic()
            world.want(V2)
            degraded = until("the model says that it is corrupt", lambda: self.degraded("ArtifactCorrupt"), 60)
            self.say(f"said after {time.monotonic() - began:.1f} s: {degraded['message'][:160]}")
            # Its predictors try again and again meanwhile.
            time.sleep(15)
            found = world.model()
            self.assertEqual(found["status"]["activeVersion"], V1)
            self.assertEqual(found["status"]["rollout"]["weight"], 0)
            self.assertEqual(condition(found, "Ready")["status"], "True")
            self.assertTrue(self.degraded("ArtifactCorrupt"), condition(found, "Degraded"))
            mine = world.pods("predictor", V2)
            self.assertTrue(mine and not any(pod.is_ready for pod in mine))
            self.assertLessEqual(lives.items(), world.lives().items(), "the active version's pods")
        report = self.nothing_failed("corrupt", load)
        self.assertEqual(set(report["versions"]), {V1})
        self.repair()
        began = time.monotonic()
        with world.load() as load:
            until(f"{V2} serves everybody", lambda: world.is_complete(V2), 150)
        self.nothing_failed("repaired", load)
        self.say(f"promoted {time.monotonic() - began:.0f} s after the repair")
        until("the model is no longer degraded", lambda: condition(world.model(), "Degraded")["status"] == "False", 30)

    def degraded(self, reason):
        found = condition(self.world.model(), "Degraded")
        return found if found["status"] == "True" and found["reason"] == reason else None
