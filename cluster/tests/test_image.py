"""Image archives: the same inputs give the same bytes, and the layout is what engines read."""
import gzip
import hashlib
import io
import json
import os
import pathlib
import tarfile
import tempfile
import unittest

from .. import image, project_image
from ..settings import programs


def _archive(folder, order=1, mtime=1_000_000_000):
    """A small image, from files that differ in nothing that counts."""
    folder.mkdir()
    program = folder / "program"
    program.write_bytes(b"\x7fELF" + bytes(range(256)) * 50)
    os.utime(program, (mtime, mtime))
    files = [image.File("usr/local/bin/program", program, 0o755), image.File("etc/passwd", data=b"root\n"), image.File("tmp", mode=0o1777),
             image.File("lib", link="usr/lib")][::order]
    facts = image.write(folder / "image.tar", "localhost/x:1", [image.Layer("all", files)], folder / "layers", user="65532:65532")
    return (folder / "image.tar").read_bytes(), facts


class Archives(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)

    def test_same_inputs_give_the_same_bytes(self):
        first, facts = _archive(self.folder / "a")
        again, facts_again = _archive(self.folder / "b", order=-1, mtime=1_700_000_000)
        self.assertEqual(facts["digest"], facts_again["digest"])
        self.assertEqual(first, again)

    def test_layout(self):
        content, facts = _archive(self.folder / "a")
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            def blob(digest):
                data = archive.extractfile("blobs/sha256/" + digest.removeprefix("sha256:")).read()
                self.assertEqual("sha256:" + hashlib.sha256(data).hexdigest(), digest)
                return data
            entry = json.load(archive.extractfile("index.json"))["manifests"][0]
            self.assertEqual(entry["annotations"]["io.containerd.image.name"], "localhost/x:1")
            self.assertEqual(entry["digest"], facts["digest"])
            manifest = json.loads(blob(entry["digest"]))
            config = json.loads(blob(manifest["config"]["digest"]))
            self.assertEqual(config["config"]["User"], "65532:65532")
            layer = gzip.decompress(blob(manifest["layers"][0]["digest"]))
        self.assertEqual("sha256:" + hashlib.sha256(layer).hexdigest(), config["rootfs"]["diff_ids"][0])
        with tarfile.open(fileobj=io.BytesIO(layer)) as inside:
            members = {member.name: member for member in inside}
        self.assertEqual(members["tmp"].mode, 0o1777)
        self.assertEqual(members["usr/local/bin/program"].mode, 0o755)
        self.assertEqual({member.mtime for member in members.values()}, {0})
        self.assertEqual(list(members), sorted(members))

    def test_project_image_is_the_same_twice(self):
        if not (programs() / "endcap-router").exists():
            self.skipTest(f"no programs in {programs()}: make build")
        # A store of layers for each, so that the second is packed anew.
        facts = [project_image.build("selftest", allow_missing=True, out=self.folder / f"{name}.tar", layer_cache=self.folder / name)
                 for name in ("a", "b")]
        self.assertEqual(facts[0]["digest"], facts[1]["digest"])
        self.assertEqual(image.sha256_of(self.folder / "a.tar"), image.sha256_of(self.folder / "b.tar"))
