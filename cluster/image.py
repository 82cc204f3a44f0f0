"""Writes OCI image archives without a container engine. The same inputs give the same bytes: names sorted, times zero, owners root."""
import gzip
import hashlib
import io
import json
import os
import pathlib
import tarfile
from dataclasses import dataclass, field

from .settings import architecture

BLOCK = 1 << 20
# Measured on endcap-router: level 6 takes 2.7 times as long for 8 % less.
LEVEL = 1


@dataclass(frozen=True)
class File:
    """One entry of a layer: a file with `source` or `data`, a link with `link`, a folder with none of them."""
    path: str
    source: pathlib.Path = None
    mode: int = 0o644
    data: bytes = None
    link: str = None

    def identity(self):
        if self.source is not None:
            content = sha256_of(self.source)
        else:
            content = hashlib.sha256(self.data).hexdigest() if self.data is not None else "none"
        return [self.path, self.mode, content, self.link]


@dataclass(frozen=True)
class Layer:
    label: str
    files: list = field(default_factory=list)


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


class _Counting(io.RawIOBase):
    """Passes what is written on and hashes it on the way."""

    def __init__(self, target):
        super().__init__()
        self.target, self.digest, self.size = target, hashlib.sha256(), 0

    def writable(self):
        return True

    def write(self, data):
        self.digest.update(data)
        self.size += len(data)
        return self.target.write(data)


def _with_folders(files):
    """Every entry and the folders above it that nobody named, in the order of their names."""
    entries = {file.path: file for file in files}
    for path in list(entries):
        for parent in pathlib.PurePosixPath(path).parents:
            if str(parent) != ".":
                entries.setdefault(str(parent), File(str(parent), mode=0o755))
    return [entries[path] for path in sorted(entries)]


def _write_layer(files, target):
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for file in _with_folders(files):
            info = tarfile.TarInfo(file.path)
            info.mode, info.mtime = file.mode, 0
            if file.link is not None:
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, file.link, 0o777
                archive.addfile(info)
            elif file.source is not None:
                info.size = file.source.stat().st_size
                with open(file.source, "rb") as content:
                    archive.addfile(info, content)
            elif file.data is not None:
                info.size = len(file.data)
                archive.addfile(info, io.BytesIO(file.data))
            else:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)


def _layer(layer, cache_folder):
    """(path of the compressed blob, facts); from the cache where the same content was packed before."""
    identity = json.dumps([LEVEL, [file.identity() for file in _with_folders(layer.files)]]).encode()
    blob = cache_folder / f"layer-{hashlib.sha256(identity).hexdigest()[:24]}.tar.gz"
    facts = blob.with_suffix(".json")
    if not (blob.exists() and facts.exists()):
        part = blob.with_suffix(f".part{os.getpid()}")
        with open(part, "wb") as file:
            packed = _Counting(file)
            with gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=packed, mtime=0) as squeezed:
                plain = _Counting(squeezed)
                _write_layer(layer.files, plain)
        part.rename(blob)
        facts.write_text(json.dumps({"digest": packed.digest.hexdigest(), "size": packed.size, "plain_digest": plain.digest.hexdigest(),
                                     "plain_size": plain.size}), encoding="utf-8")
    else:
        # The time of last use, by which old layers are removed.
        os.utime(blob)
    return blob, json.loads(facts.read_text(encoding="utf-8"))


def _json(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def write(path, name, layers, layer_cache, entrypoint=None, user="0:0", env=(), labels=None):
    """Writes the archive; returns {digest, size_bytes, layers: [{label, size_bytes, plain_bytes}]}."""
    layer_cache.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    packed = [(layer.label, *_layer(layer, layer_cache)) for layer in layers]
    config = {
        "architecture": architecture(), "os": "linux", "created": "1970-01-01T00:00:00Z",
        "config": {"User": user, "Env": list(env), "WorkingDir": "/", "Labels": labels or {},
                   **({"Entrypoint": entrypoint} if entrypoint else {})},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{facts['plain_digest']}" for _, _, facts in packed]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": label} for label, _, _ in packed],
    }
    config = _json(config)
    manifest = _json({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": f"sha256:{hashlib.sha256(config).hexdigest()}",
                   "size": len(config)},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": f"sha256:{facts['digest']}",
                    "size": facts["size"]} for _, _, facts in packed],
    })
    digest = hashlib.sha256(manifest).hexdigest()
    index = _json({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": f"sha256:{digest}", "size": len(manifest),
                       "platform": {"architecture": architecture(), "os": "linux"},
                       # The first is read by containerd, the second by podman, skopeo and others.
                       "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}}],
    })
    blobs = {hashlib.sha256(config).hexdigest(): config, digest: manifest}
    blobs |= {facts["digest"]: blob for _, blob, facts in packed}
    files = [File("index.json", data=index), File("oci-layout", data=b'{"imageLayoutVersion":"1.0.0"}')]
    files += [File(f"blobs/sha256/{key}", **({"data": value} if isinstance(value, bytes) else {"source": value}))
              for key, value in blobs.items()]
    part = path.with_name(f".{path.name}.part{os.getpid()}")
    with open(part, "wb") as target:
        _write_layer(files, target)
    part.rename(path)
    return {"digest": f"sha256:{digest}", "size_bytes": path.stat().st_size,
            "layers": [{"label": label, "size_bytes": facts["size"], "plain_bytes": facts["plain_size"]} for label, _, facts in packed]}
