"""Runs a command that takes long and shows that it does: what, and the elapsed seconds every ten."""
import subprocess
import tempfile
import time

from .settings import Failed, say

EVERY_S = 10


def run(what, argv, env=None, cwd=None):
    """Runs to the end and returns the seconds it took; on failure the last lines of its output are in the message."""
    say(f"{what} ...")
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, cwd=cwd)
        try:
            while True:
                try:
                    child.wait(EVERY_S)
                    break
                except subprocess.TimeoutExpired:
                    say(f"{what}: {time.monotonic() - began:.0f} s")
        except BaseException:
            child.kill()
            child.wait()
            raise
        seconds = time.monotonic() - began
        if child.returncode != 0:
            output.seek(0)
            last = "\n".join(output.read().decode(errors="replace").splitlines()[-20:])
            raise Failed(f"{what} failed (exit code {child.returncode}): {' '.join(map(str, argv[:4]))} ...\n{last}")
    say(f"{what}: done in {seconds:.1f} s")
    return seconds
