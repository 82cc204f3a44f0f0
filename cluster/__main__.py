"""The commands: `python3 -m cluster COMMAND`, from the project's root. What a caller reads goes to standard output, all else to standard error."""
import argparse
import json
import os
import pathlib
import shlex
import sys

from . import build, existing, lifecycle, project_image
from .recipe import Recipe
from .settings import PROFILES, STOPPABLE, Failed, Missing, Places, say

NOT_UP, MISSING = 1, 3


def _parser():
    parser = argparse.ArgumentParser(prog="python3 -m cluster", description="A real Kubernetes for tests: see docs/cluster.md.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name, words, named=True):
        command = commands.add_parser(name, help=words, description=words)
        if named:
            command.add_argument("--name", default="dev", help="the cluster's name (default dev)")
        return command

    add("up", "starts the cluster, or says that it is up; prints one line of JSON").add_argument(
        "--profile", choices=sorted(PROFILES), default="node", help="with a node (default), or API server and controllers only")
    add("down", "ends the cluster and removes all that it left")
    add("status", "one line of JSON and exit code 0 when all of it runs, else exit code 1")
    add("env", "lines for `eval`: KUBECONFIG, and kubectl on PATH")
    add("build", "builds and fetches the programs, so that the next `up` takes seconds; prints their paths as JSON", named=False).add_argument(
        "--profile", choices=sorted(PROFILES), default="node")
    for name in ("import", "images-import"):
        add(name, "puts OCI archives into the node's image store").add_argument("file", nargs="+", type=pathlib.Path)
    for name, words in (("stop-component", "ends one component at once, as a crash would"), ("start-component", "starts it again")):
        add(name, words).add_argument("component", choices=STOPPABLE)
    user = add("user", "writes a kubeconfig for that user and prints its path")
    user.add_argument("user")
    user.add_argument("--group", action="append", default=[], help="may be repeated")
    image = add("image", "builds the project's image as an OCI archive; prints one line of JSON", named=False)
    image.add_argument("tag", nargs="?", default="dev")
    image.add_argument("--allow-missing", action="store_true", help="leave out programs that are not built, and say so")
    image.add_argument("--programs", type=pathlib.Path, help="folder of the programs (default $CARGO_TARGET_DIR/debug)")
    image.add_argument("--out", type=pathlib.Path, help="the archive (default $ENDCAP_CACHE/images/endcap-TAG.tar)")
    story = add("story", "the life of a model on this cluster, told with kubectl and checked (make demo-cluster)")
    story.add_argument("--tag", default="dev", help="of the image that was imported")
    story.add_argument("--once", action="store_true", help="end by itself")
    add("selftest", "tests of this tool: images, a cluster up, a restricted Job, DNS, volumes, and nothing left after it", named=False).add_argument(
        "test", nargs="*", help="names of tests; all without")
    return parser


def _cluster(places):
    """Which cluster: that of KUBECONFIG if asked for, kind where an engine answers, else the recipe.

    A cluster of the recipe that is up stays the one that is meant, whatever was installed since."""
    if os.environ.get("ENDCAP_USE_CLUSTER") == "1":
        return existing.Given(places)
    if lifecycle.load(places) is None and existing.engine_answers():
        return existing.Kind(places)
    return Recipe(places)


def _print(value):
    print(json.dumps(value), flush=True)


def _run(options):
    if options.command == "build":
        with lifecycle.lock():
            _print(build.all_of(options.profile).paths())
        return 0
    if options.command == "image":
        _print(project_image.build(options.tag, options.allow_missing, options.programs, options.out))
        return 0
    if options.command == "selftest":
        from .tests import run
        return run(options.test)
    places = Places(options.name)
    cluster = _cluster(places)
    if options.command == "up":
        _print(cluster.up(options.profile))
    elif options.command == "down":
        cluster.down()
    elif options.command in ("import", "images-import"):
        for file in options.file:
            if not file.exists():
                raise Failed(f"there is no {file}: scripts/images.sh writes the project's image")
        cluster.import_images(options.file)
    elif options.command == "user":
        print(cluster.user(options.user, options.group))
    elif options.command == "story":
        from . import story
        facts = cluster.status()
        if facts is None or facts["profile"] != "node":
            raise Failed("the story needs a cluster with a node: python3 -m cluster up --profile node")
        return story.tell_it(facts["kubeconfig"], options.tag, cluster, not options.once)
    elif options.command == "status":
        facts = cluster.status()
        if facts is None:
            return NOT_UP
        _print(facts)
    elif options.command == "env":
        facts = cluster.status()
        if facts is None:
            raise Failed(f"{places.name} is not up: python3 -m cluster up")
        print(f"export KUBECONFIG={shlex.quote(facts['kubeconfig'])}")
        if isinstance(cluster, Recipe):
            print(f"export PATH={shlex.quote(str(build.kube_tools()))}:$PATH")
    elif not isinstance(cluster, Recipe):
        raise Missing("components can be stopped in the recipe's cluster only, not in kind or that of KUBECONFIG")
    elif options.command == "stop-component":
        lifecycle.stop_component(places, options.component)
    else:
        lifecycle.start_component(places, options.component)
    return 0


def main():
    options = _parser().parse_args()
    try:
        return _run(options)
    except Missing as error:
        say(f"cannot go on: {error}")
        return MISSING
    except Failed as error:
        say(f"failed: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main())
