"""The project's image: its programs on the few files of Debian that they need."""
import os
import pathlib
import re
import shutil
import subprocess
import time

from . import debian, image
from .settings import Failed, Missing, cache, programs, say

REPOSITORY = "localhost/endcap"
USER = "65532:65532"
PATH = "/usr/local/bin"
# From what seldom changes to what often does, so that a new program costs one layer. Each layer names its programs.
LAYERS = {
    "small programs": ("endcap-router", "endcap-predictor", "endcap-eventlog", "endcap-insights", "endcap-store"),
    "operator": ("endcap-operator",),
    "trainer": ("endcap-trainer",),
    "data and command line": ("endcap-data", "endcap"),
}
PACKAGES = ("libc6", "libgcc-s1", "libstdc++6", "ca-certificates", "tzdata")
# glibc loads these by name at run time (name lookup, cancellation of threads): no program lists them.
ALWAYS = ("libc.so.6", "libresolv.so.2", "libnss_dns.so.2", "libnss_files.so.2", "libgcc_s.so.1")


def build(tag, allow_missing=False, folder=None, out=None, layer_cache=None):
    """Builds <cache>/images/endcap-<tag>.tar; returns image.write's facts with `archive`, `name` and `missing`."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", tag):
        raise Failed(f"`{tag}` is no image tag: letters, digits, `_`, `.` and `-`, at most 128")
    folder = pathlib.Path(folder) if folder else programs()
    missing = [name for names in LAYERS.values() for name in names if not (folder / name).exists()]
    if missing and not allow_missing:
        raise Missing(f"{folder} has no {', '.join(missing)}: run `make build` first (or --allow-missing for an image without them)")
    for name in missing:
        say(f"!! LEFT OUT of the image: {name} is not in {folder}")
    stripped = {name: _stripped(folder / name) for names in LAYERS.values() for name in names if name not in missing}
    if not stripped:
        raise Missing(f"{folder} has none of the programs: run `make build` first")
    for name, path in stripped.items():
        say(f"{name}: {_mib((folder / name).stat().st_size)} as built, {_mib(path.stat().st_size)} in the image")
    base_files, versions = base(list(stripped.values()))
    layers = [image.Layer("base", base_files)]
    for label, names in LAYERS.items():
        files = [image.File(f"{PATH[1:]}/{name}", stripped[name], 0o755) for name in names if name in stripped]
        if files:
            layers.append(image.Layer(label, files))
    archive = pathlib.Path(out) if out else cache() / "images" / f"endcap-{tag}.tar"
    name = f"{REPOSITORY}:{tag}"
    labels = {f"endcap.dev/debian.{package}": version for package, version in versions.items()}
    layer_cache = layer_cache or cache() / "images" / "layers"
    facts = image.write(archive, name, layers, layer_cache, user=USER, labels=labels,
                        env=[f"PATH={PATH}", "HOME=/", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"])
    for layer in facts["layers"]:
        say(f"layer {layer['label']}: {_mib(layer['plain_bytes'])}, {_mib(layer['size_bytes'])} compressed")
    _prune(layer_cache)
    return {"name": name, "archive": str(archive), "missing": missing, **facts}


def _mib(size):
    return f"{size / (1 << 20):.1f} MiB"


def _stripped(program):
    """The program without symbols and debug information, from the cache while the program is the same."""
    facts = program.stat()
    home = cache() / "images" / "stripped"
    home.mkdir(parents=True, exist_ok=True)
    path = home / f"{program.name}-{facts.st_mtime_ns:x}-{facts.st_size:x}-{facts.st_ino:x}"
    if not path.exists():
        for old in home.glob(f"{program.name}-[0-9a-f]*-[0-9a-f]*-[0-9a-f]*"):
            if re.fullmatch(re.escape(program.name) + "(-[0-9a-f]+){3}(\\.part[0-9]+)?", old.name):
                old.unlink(missing_ok=True)
        part = path.with_name(path.name + f".part{os.getpid()}")
        tool = shutil.which("strip")
        if not tool:
            raise Missing("strip is needed to take the debug information out of the programs: apt-get install binutils")
        done = subprocess.run([tool, "-o", part, program], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"strip {program} failed: {done.stderr.strip()}")
        part.rename(path)
    return path


def _needed(path):
    """(libraries, interpreter) that a program or library names."""
    tool = shutil.which("readelf")
    if not tool:
        raise Missing("readelf is needed to find the libraries of the programs: apt-get install binutils")
    done = subprocess.run([tool, "-W", "-d", "-l", path], capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"})
    libraries = re.findall(r"\(NEEDED\).*\[(.+)\]", done.stdout)
    interpreter = re.search(r"program interpreter: (\S+)\]", done.stdout)
    return libraries, interpreter.group(1) if interpreter else None


def base(binaries):
    """The files of the base layer, and the versions of the packages that they come from."""
    folder, versions = debian.unpacked("image", PACKAGES)
    libraries = {path.name: path for path in sorted(folder.glob("**/*.so*")) if path.parent.name.endswith("-linux-gnu")}
    wanted, interpreter, seen = list(ALWAYS), None, set()
    for binary in binaries:
        names, loader = _needed(binary)
        wanted += names
        interpreter = interpreter or loader
    files = {}
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        path = libraries.get(name)
        if path is None:
            raise Failed(f"a program needs the library {name}, which none of {', '.join(PACKAGES)} has: add its package to cluster/project_image.py")
        wanted += _needed(path)[0]
        # Links (libstdc++.so.6 -> libstdc++.so.6.0.30) become the file under the name that is asked for.
        files[name] = image.File(f"usr/lib/{path.parent.name}/{name}", path.resolve(), 0o755)
    if interpreter:
        # The loader stands at a fixed path, and is itself one of the libraries.
        loader = libraries[pathlib.Path(interpreter).name]
        files["loader"] = image.File(f"usr{interpreter}", loader.resolve(), 0o755)
    for name in ("lib", "lib64"):
        files[name] = image.File(name, link=f"usr/{name}")
    files |= {path: image.File(path, data=text.encode()) for path, text in _texts().items()}
    files["certificates"] = image.File("etc/ssl/certs/ca-certificates.crt", data=_certificates(folder))
    files["tmp"] = image.File("tmp", mode=0o1777)
    zones = folder / "usr/share/zoneinfo"
    for path in sorted(zones.glob("**/*")):
        inside = path.relative_to(folder)
        # right/ and posix/ are the same zones twice more.
        if inside.parts[3] in ("right", "posix") or path.is_dir():
            continue
        if path.is_symlink():
            files[str(inside)] = image.File(str(inside), link=os.readlink(path))
        else:
            files[str(inside)] = image.File(str(inside), path)
    if "libstdc++.so.6" not in seen:
        versions.pop("libstdc++6")
    return list(files.values()), versions


def _texts():
    return {
        "etc/passwd": "root:x:0:0:root:/:/usr/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/usr/sbin/nologin\n",
        "etc/group": "root:x:0:\nnonroot:x:65532:\n",
        "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    }


def _certificates(folder):
    """What update-ca-certificates would write: all of the package's authorities in one file."""
    parts = [path.read_bytes().rstrip() + b"\n" for path in sorted((folder / "usr/share/ca-certificates").glob("**/*.crt"))]
    return b"".join(parts)


def _prune(folder, keep_s=24 * 3600):
    """Removes layers that no build used for a day: a developer's image changes many times a day."""
    for path in folder.glob("layer-*.tar.gz"):
        if time.time() - path.stat().st_mtime > keep_s:
            path.unlink()
            path.with_suffix(".json").unlink(missing_ok=True)
