"""Leaves what is in an image, and nothing of when and where it was built.

    normalise.py IMAGE.tar BASE.tar CACHE OUT

IMAGE.tar and BASE.tar are OCI layouts; - for an image that has no base. Layers of the base stay as they are:
registries and nodes that have it need nothing of them. In all others, times and the names of owners are replaced; the configuration has no history,
and a fixed date. The result is an OCI layout in the folder OUT.

Layers that an earlier run normalised are taken from the folder CACHE, which runs may share.
"""

import gzip
import hashlib
import json
import os
import shutil
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

EPOCH = 946_684_800  # 2000-01-01T00:00:00Z
CREATED = "1970-01-01T00:00:00Z"
SPAN = 2**28
IN_MEMORY = 16 << 20
CHUNK = 1 << 20
KEPT_DAYS = 14
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
# What was normalised by another version of this file is normalised again.
VERSION = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def digest_of(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Layout:
    """An OCI layout in a tar file, with one image."""

    def __init__(self, path):
        self.path = path
        self.tar = tarfile.open(path)
        manifests = json.loads(self.read("index.json"))["manifests"]
        if len(manifests) != 1:
            raise SystemExit(f"{path}: it has {len(manifests)} images; one is wanted")
        self.manifest = json.loads(self.blob(manifests[0]["digest"]))
        if "config" not in self.manifest or "layers" not in self.manifest:
            raise SystemExit(f"{path}: it is no image of one platform")
        self.config = json.loads(self.blob(self.manifest["config"]["digest"]))
        self.diffs = self.config["rootfs"]["diff_ids"]
        if len(self.diffs) != len(self.manifest["layers"]):
            raise SystemExit(f"{path}: its configuration names {len(self.diffs)} layers, its manifest "
                             f"{len(self.manifest['layers'])}")

    def read(self, name):
        found = self.tar.extractfile(name)
        if found is None:
            raise SystemExit(f"{self.path}: {name} is no file")
        return found.read()

    def blob(self, digest):
        data = self.read(f"blobs/{digest.replace(':', '/')}")
        if digest_of(data) != digest:
            raise SystemExit(f"{self.path}: the blob {digest} has other contents")
        return data

    def open_blob(self, digest):
        """The blob, on a file of its own: layers are read side by side."""
        member = self.tar.getmember(f"blobs/{digest.replace(':', '/')}")
        file = open(self.path, "rb")
        file.seek(member.offset_data)
        return file, member.size


class Hashing:
    """Writes to a file, and knows the digest and the size of what was written."""

    def __init__(self, file):
        self.file, self.hash, self.size = file, hashlib.sha256(), 0

    def write(self, data):
        self.hash.update(data)
        self.size += len(data)
        return self.file.write(data)

    def flush(self):
        self.file.flush()

    @property
    def digest(self):
        return f"sha256:{self.hash.hexdigest()}"


class Part:
    """The part of a file that one blob takes."""

    def __init__(self, file, size):
        self.file, self.left = file, size

    def read(self, size=-1):
        data = self.file.read(self.left if size < 0 else min(size, self.left))
        self.left -= len(data)
        return data


def normalised(member, mtime):
    """An entry of a layer, with everything that belongs to the file and nothing else."""
    entry = tarfile.TarInfo(member.name)
    entry.type = tarfile.REGTYPE if member.isreg() else member.type
    entry.mode, entry.uid, entry.gid = member.mode, member.uid, member.gid
    entry.linkname = member.linkname
    entry.devmajor, entry.devminor = member.devmajor, member.devminor
    entry.mtime = mtime
    entry.pax_headers = {
        key: value for key, value in sorted(member.pax_headers.items()) if key.startswith("SCHILY.xattr.")
    }
    return entry


def copy_entries(source, target):
    """Copies the entries of one layer to another, and returns how many there are."""
    entries = 0
    for member in source:
        entries += 1
        if not member.isreg():
            target.addfile(normalised(member, EPOCH))
            continue
        data, content = source.extractfile(member), hashlib.sha256()
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as kept:
            while chunk := data.read(CHUNK):
                content.update(chunk)
                kept.write(chunk)
            # Servers, browsers and make tell versions of a file apart by its time and size.
            entry = normalised(member, EPOCH + int.from_bytes(content.digest()[:4], "big") % SPAN)
            entry.size = kept.tell()
            kept.seek(0)
            target.addfile(entry, kept)
    return entries


def normalise_layer(layout, layer, cache):
    """Gives the descriptor, the diff id and the path of a layer; None for one without entries."""
    if not layer["mediaType"].endswith(("tar", "tar+gzip", "tar.gzip")):
        raise SystemExit(f"{layout.path}: a layer has the type {layer['mediaType']}; allowed: tar, tar+gzip")
    key = hashlib.sha256(f"{VERSION} {layer['digest']}".encode()).hexdigest()
    done, blob = cache / f"{key}.json", cache / f"{key}.tar.gz"
    try:
        found = json.loads(done.read_text())
        os.utime(done)
        os.utime(blob)
        return found and (found, blob)
    except FileNotFoundError:
        pass
    file, size = layout.open_blob(layer["digest"])
    with file, tempfile.NamedTemporaryFile(dir=cache, delete=False) as made:
        try:
            compressed = Hashing(made)
            with gzip.GzipFile("", "wb", 6, compressed, mtime=0) as packed:
                plain = Hashing(packed)
                mode = "r|gz" if layer["mediaType"].endswith("gzip") else "r|"
                with tarfile.open(fileobj=Part(file, size), mode=mode) as source, tarfile.open(
                    fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT
                ) as target:
                    entries = copy_entries(source, target)
            made.flush()
            found = entries > 0 and {
                "mediaType": LAYER,
                "digest": compressed.digest,
                "size": compressed.size,
                "diff": plain.digest,
            }
            os.replace(made.name, blob)
        except BaseException:
            os.unlink(made.name)
            raise
    # Last: what is there is complete.
    with tempfile.NamedTemporaryFile("w", dir=cache, delete=False) as note:
        json.dump(found, note)
    os.replace(note.name, done)
    return found and (found, blob)


def forget_old(cache):
    oldest = time.time() - KEPT_DAYS * 86_400
    for path in cache.iterdir():
        try:
            if path.stat().st_mtime < oldest:
                path.unlink()
        except FileNotFoundError:
            pass


def write_blob(blobs, data):
    digest = digest_of(data)
    (blobs / digest.removeprefix("sha256:")).write_bytes(data)
    return {"digest": digest, "size": len(data)}


def text_of(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def normalise(image, base, cache, out):
    count = len(base)
    if image.diffs[:count] != base:
        raise SystemExit(f"{image.path}: its first layers are not those of its base")
    blobs = out / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    layers = image.manifest["layers"]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = [
            one for one in pool.map(lambda layer: normalise_layer(image, layer, cache), layers[count:]) if one
        ]
    for layer in layers[:count]:
        file, size = image.open_blob(layer["digest"])
        with file, open(blobs / layer["digest"].removeprefix("sha256:"), "wb") as target:
            shutil.copyfileobj(Part(file, size), target, CHUNK)
    for found, path in made:
        shutil.copyfile(path, blobs / found["digest"].removeprefix("sha256:"))
    config = {
        key: image.config[key] for key in ("architecture", "os", "variant", "config") if image.config.get(key)
    }
    config |= {
        "created": CREATED,
        "rootfs": {"type": "layers", "diff_ids": base + [found["diff"] for found, _ in made]},
    }
    own = [{key: found[key] for key in ("mediaType", "digest", "size")} for found, _ in made]
    theirs = [{key: layer[key] for key in ("mediaType", "digest", "size")} for layer in layers[:count]]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, **write_blob(blobs, text_of(config))},
        "layers": theirs + own,
    }
    platform = {key: config[key] for key in ("architecture", "os", "variant") if key in config}
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [{"mediaType": MANIFEST, **write_blob(blobs, text_of(manifest)), "platform": platform}],
    }
    (out / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (out / "index.json").write_bytes(text_of(index))
    forget_old(cache)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        raise SystemExit(__doc__)
    cache_folder = Path(sys.argv[3])
    cache_folder.mkdir(parents=True, exist_ok=True)
    base_diffs = [] if sys.argv[2] == "-" else Layout(sys.argv[2]).diffs
    normalise(Layout(sys.argv[1]), base_diffs, cache_folder, Path(sys.argv[4]))
