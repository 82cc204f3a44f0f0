"""The volumes' folders, and the process that gives a volume back when its claim is gone.

Run as `python3 -m cluster.volumes KUBECONFIG FOLDER`, one of the node's components."""
import http.client
import pathlib
import shutil
import sys
import time

from .api import Api
from .settings import VOLUMES, say

PATH = "/api/v1/persistentvolumes"


def name(number):
    return f"volume-{number:02}"


def make_folders(folder):
    folder.mkdir(exist_ok=True)
    for number in range(len(VOLUMES)):
        empty(folder / name(number))


def empty(path):
    """An empty folder, open to all: fsGroup does not work on hostPath volumes, and pods run as an ordinary user."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(exist_ok=True)
    path.chmod(0o777)


def _give_back(api, folder, label):
    """A Released volume is in no pod's use: Kubernetes keeps a claim until the last pod that has it is gone."""
    # Asked anew: an event may be old, and the volume somebody else's by now.
    volume = api.get(f"{PATH}/{label}")
    if not volume or volume["status"].get("phase") != "Released" or not (folder / label).is_dir():
        return
    empty(folder / label)
    change = {"metadata": {"resourceVersion": volume["metadata"]["resourceVersion"]}, "spec": {"claimRef": None}}
    status, answer = api.call("PATCH", f"{PATH}/{label}", change, "application/merge-patch+json")
    say(f"{label} was emptied; HTTP {status}{'' if status == 200 else f' {answer}'}")


def keep(kubeconfig, folder):
    api = Api(kubeconfig)
    while True:
        try:
            # A watch from nowhere begins with all that there is, so nothing is missed in between.
            for event in api.watch(PATH):
                volume = event["object"]
                if event["type"] in ("ADDED", "MODIFIED") and volume["status"].get("phase") == "Released":
                    _give_back(api, folder, volume["metadata"]["name"])
        except (OSError, ValueError, http.client.HTTPException) as error:
            # The API server is away: tests stop it.
            say(f"the API server went away: {error}")
            time.sleep(0.5)


if __name__ == "__main__":
    keep(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
