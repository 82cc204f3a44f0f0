"""The operator goes to another release and back: what runs is not touched, what is new is of the new release."""
import time

from cluster.stage import MODEL, SHOP

from .behaviour import Behaviour
from .world import APPS, NEXT, TAG, until

LOOKS_S = 8


class Upgrades(Behaviour):
    bound_s = 480

    def tearDown(self):
        self.world.install(TAG)

    def moved(self, tag):
        """The release is installed under load; nothing of the shop changes."""
        world = self.world
        lives, children, versions = world.lives(), world.children(), world.versions()
        before = {pod.uid for pod in world.operators()}
        with world.load() as load:
            world.install(tag)
            until("the operators are others", lambda: not before & {pod.uid for pod in world.operators()}, 60)
            until("one of the new ones leads", lambda: world.leader() in [pod.name for pod in world.operators()], 60)
            # The new leader looks at everything, several times.
            world.admin.run("annotate", "recm", MODEL, "-n", SHOP, "--overwrite", f"looked-at={world.token()}")
            time.sleep(LOOKS_S)
        self.nothing_failed(f"to {tag}", load)
        self.assertEqual([pod.images for pod in world.operators()], [[f"localhost/endcap:{tag}"]] * 2)
        self.assertEqual(world.lives(), lives, "pods and their restarts")
        self.assertEqual(world.children(), children, "generations of what the operator made")
        self.assertEqual(world.versions(), versions)

    def test_up_and_down_and_the_next_version_is_of_the_new_release(self):
        world = self.world
        self.moved(NEXT)
        self.moved(TAG)
        self.say(f"{len(world.lives())} pods, 0 restarts; {len(world.children())} children, 0 changes")
        self.moved(NEXT)
        newest = int(world.model()["status"]["versionHighWater"]) + 1
        name = f"{MODEL}-v{newest}"
        with world.load() as load:
            world.train(name)
            world.promote(name, 120)
            until("every router is of the new release", lambda: world.is_settled(name), 120)
        self.nothing_failed(f"{name} trained and promoted, routers replaced", load)
        image = f"localhost/endcap:{NEXT}"
        version = world.version(name)["spec"]
        self.assertEqual((version["trainingImage"], version["servingImage"]), (image, image))
        job = world.get("jobs", name, "/apis/batch/v1")
        made = [job, world.get("deployments", name, APPS), world.get("deployments", f"{MODEL}-router", APPS)]
        self.assertEqual([one["spec"]["template"]["spec"]["containers"][0]["image"] for one in made], [image] * 3)
