"""The cluster of this recipe behind the same few methods as the clusters of existing.py."""
from . import lifecycle, pki
from .settings import Failed, say


class Recipe:
    def __init__(self, places):
        self.places = places

    def up(self, profile):
        with lifecycle.lock():
            return lifecycle.up(self.places, profile)

    def down(self):
        with lifecycle.lock():
            lifecycle.down(self.places)

    def status(self):
        """The facts when all of it runs, else None; says each component's condition."""
        state = lifecycle.load(self.places)
        if state is None:
            say(f"{self.places.name} is not up")
            return None
        found = lifecycle.health(self.places, state)
        say(f"{self.places.name}, profile {state['profile']}: " + ", ".join(f"{name} {condition}" for name, condition in found.items()))
        return lifecycle.facts(self.places, state) if set(found.values()) == {lifecycle.RUNNING} else None

    def import_images(self, archives):
        state = lifecycle.load(self.places)
        if state is None or state["profile"] != "node":
            raise Failed(f"{self.places.name} has no node to take images: python3 -m cluster up --profile node")
        lifecycle.import_images(self.places, archives)

    def user(self, name, groups):
        return pki.user(self.places, name, groups)
