"""Makes images of their files alone, names what two images differ in, and says what is in one.

    layouts.py normalise IMAGE BASE CACHE OUT
    layouts.py compare IMAGE OTHER
    layouts.py contents IMAGE BASE

IMAGE, BASE and OTHER are OCI layouts of one image each, as tar files or folders; - for an image that has no base.

`normalise` replaces times and the names of owners in the layers, and leaves no history in the configuration. Layers of
the base stay as they are: registries and nodes that have it need nothing of them. The result is an OCI layout in the
folder OUT. Layers that an earlier run normalised are taken from the folder CACHE, which runs may share.

`compare` prints a line for every entry of a layer that differs.

`contents` prints as JSON how many bytes the layers take as they are pushed: those of the base, and each of the others
by the folder that it fills; how many bytes the files of each part take that the other layers leave in the image; and
the paths of everything in the image that can be run.
"""

import gzip
import hashlib
import json
import os
import posixpath
import re
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
    """An OCI layout in a tar file or a folder, with one image."""

    def __init__(self, path):
        self.path = Path(path)
        self.members = None
        if not self.path.is_dir():
            with tarfile.open(path) as tar:
                self.members = {member.name.removeprefix("./"): member for member in tar}
        manifests = json.loads(self.read("index.json"))["manifests"]
        if len(manifests) != 1:
            raise SystemExit(f"{path}: it has {len(manifests)} images; one is wanted")
        self.manifest = json.loads(self.blob(manifests[0]["digest"]))
        if "config" not in self.manifest or "layers" not in self.manifest:
            raise SystemExit(f"{path}: it is no image of one platform")
        self.config = json.loads(self.blob(self.manifest["config"]["digest"]))
        self.layers, self.diffs = self.manifest["layers"], self.config["rootfs"]["diff_ids"]
        if len(self.diffs) != len(self.layers):
            raise SystemExit(
                f"{path}: its configuration names {len(self.diffs)} layers, its manifest {len(self.layers)}"
            )

    def open(self, name):
        """A file of the layout that can be read beside others."""
        if self.members is None:
            file = open(self.path / name, "rb")
            return Part(file, os.fstat(file.fileno()).st_size)
        member = self.members.get(name)
        if member is None or not member.isreg():
            raise SystemExit(f"{self.path}: it has no {name}")
        file = open(self.path, "rb")
        file.seek(member.offset_data)
        return Part(file, member.size)

    def read(self, name):
        with self.open(name) as file:
            return file.read()

    def open_blob(self, digest):
        return self.open(f"blobs/{digest.replace(':', '/')}")

    def blob(self, digest):
        with self.open_blob(digest) as file:
            data = file.read()
        if digest_of(data) != digest:
            raise SystemExit(f"{self.path}: the blob {digest} has other contents")
        return data

    def entries(self, layer):
        """The entries of a layer, one after the other, with what they contain."""
        if not layer["mediaType"].endswith(("tar", "tar+gzip", "tar.gzip")):
            raise SystemExit(
                f"{self.path}: a layer has the type {layer['mediaType']}; allowed: tar, tar+gzip"
            )
        mode = "r|gz" if layer["mediaType"].endswith("gzip") else "r|"
        with self.open_blob(layer["digest"]) as file, tarfile.open(fileobj=file, mode=mode) as tar:
            for member in tar:
                yield member, tar.extractfile(member) if member.isreg() else None


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

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def read(self, size=-1):
        data = self.file.read(self.left if size is None or size < 0 else min(size, self.left))
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


def copy_entries(entries, target):
    """Copies the entries of a layer, and returns how many there are."""
    count = 0
    for member, data in entries:
        count += 1
        if data is None:
            target.addfile(normalised(member, EPOCH))
            continue
        content = hashlib.sha256()
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as kept:
            while chunk := data.read(CHUNK):
                content.update(chunk)
                kept.write(chunk)
            # Servers, browsers and make tell versions of a file apart by its time and size.
            entry = normalised(member, EPOCH + int.from_bytes(content.digest()[:4], "big") % SPAN)
            entry.size = kept.tell()
            kept.seek(0)
            target.addfile(entry, kept)
    return count


def normalise_layer(layout, layer, cache):
    """The descriptor and the file of a layer; None for one without entries."""
    key = hashlib.sha256(f"{VERSION} {layer['digest']}".encode()).hexdigest()
    done, blob = cache / f"{key}.json", cache / f"{key}.tar.gz"
    try:
        found = json.loads(done.read_text())
        os.utime(done)
        os.utime(blob)
        return (found, blob) if found else None
    except FileNotFoundError:
        pass
    with tempfile.NamedTemporaryFile(dir=cache, delete=False) as made:
        try:
            compressed = Hashing(made)
            with gzip.GzipFile("", "wb", 6, compressed, mtime=0) as packed:
                plain = Hashing(packed)
                with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT) as target:
                    entries = copy_entries(layout.entries(layer), target)
            made.flush()
            os.replace(made.name, blob)
        except BaseException:
            os.unlink(made.name)
            raise
    found = None
    if entries > 0:
        descriptor = {"mediaType": LAYER, "digest": compressed.digest, "size": compressed.size}
        found = {"descriptor": descriptor, "diff": plain.digest}
    # Last: what is there is complete.
    with tempfile.NamedTemporaryFile("w", dir=cache, delete=False) as note:
        json.dump(found, note)
    os.replace(note.name, done)
    return (found, blob) if found else None


def forget_old(cache):
    oldest = time.time() - KEPT_DAYS * 86_400
    for path in cache.iterdir():
        try:
            if path.stat().st_mtime < oldest:
                path.unlink()
        except FileNotFoundError:
            pass


def hex_of(descriptor):
    return descriptor["digest"].removeprefix("sha256:")


def write_blob(blobs, data):
    digest = digest_of(data)
    (blobs / digest.removeprefix("sha256:")).write_bytes(data)
    return {"digest": digest, "size": len(data)}


def text_of(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def verify_base(image, base):
    if image.diffs[: len(base)] != base:
        raise SystemExit(f"{image.path}: its first layers are not those of its base")


def normalise(image, base, cache, out):
    verify_base(image, base)
    count = len(base)
    blobs = out / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    theirs = [{key: layer[key] for key in ("mediaType", "digest", "size")} for layer in image.layers[:count]]
    for layer in theirs:
        with image.open_blob(layer["digest"]) as file, open(blobs / hex_of(layer), "wb") as target:
            shutil.copyfileobj(file, target, CHUNK)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = pool.map(lambda layer: normalise_layer(image, layer, cache), image.layers[count:])
        own = [layer for layer in made if layer]
    for found, path in own:
        shutil.copyfile(path, blobs / hex_of(found["descriptor"]))
    config = {
        key: image.config[key] for key in ("architecture", "os", "variant", "config") if image.config.get(key)
    }
    config |= {
        "created": CREATED,
        "rootfs": {"type": "layers", "diff_ids": base + [found["diff"] for found, _ in own]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, **write_blob(blobs, text_of(config))},
        "layers": theirs + [found["descriptor"] for found, _ in own],
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


def looked_at(image, layer):
    """What an image has at each path of a layer, in words."""
    found = {}
    for member, data in image.entries(layer):
        seen = {
            "type": member.type.decode(),
            "mode": f"{member.mode:04o}",
            "owner": f"{member.uid}:{member.gid}",
            "link": member.linkname,
            "time": str(int(member.mtime)),
        }
        if data is not None:
            content = hashlib.sha256()
            while chunk := data.read(CHUNK):
                content.update(chunk)
            seen |= {"size": str(member.size), "content": content.hexdigest()[:12]}
        found[member.name] = seen
    return found


def compare(image, other):
    """Lines about what differs: `layer 3: app/main.py: content 1a2b… → 3c4d…`."""
    for at in range(max(len(image.layers), len(other.layers))):
        if image.diffs[at : at + 1] == other.diffs[at : at + 1]:
            continue
        one, two = (
            looked_at(each, each.layers[at]) if at < len(each.layers) else {} for each in (image, other)
        )
        for path in sorted(one.keys() | two.keys()):
            mine, theirs = one.get(path), two.get(path)
            if mine is None or theirs is None:
                yield f"layer {at + 1}: {path}: only in {'the second' if mine is None else 'the first'}"
                continue
            changes = [
                f"{key} {mine.get(key)} → {theirs.get(key)}"
                for key in sorted(mine.keys() | theirs.keys())
                if mine.get(key) != theirs.get(key)
            ]
            if changes:
                yield f"layer {at + 1}: {path}: {', '.join(changes)}"


WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"


def path_of(member):
    return posixpath.normpath(f"/{member.name}").lstrip("/")


def empty(files, folder):
    """Takes everything below a folder out of a file system."""
    for path in [path for path in files if path.startswith(f"{folder}/")]:
        del files[path]


def remove(files, path):
    """Takes a path and everything below it out of a file system."""
    _, member = files.pop(path, (None, None))
    if member is None or member.isdir():
        empty(files, path)


def apply_layer(files, entries, number):
    """Changes a file system as a layer does, and returns the paths that the layer fills."""
    members = [(path_of(member), member) for member, _ in entries]
    for path, _ in members:
        folder, name = posixpath.split(path)
        if name == OPAQUE:
            empty(files, folder)
        elif name.startswith(WHITEOUT):
            remove(files, posixpath.join(folder, name.removeprefix(WHITEOUT)))
    for path, member in members:
        if posixpath.basename(path).startswith(WHITEOUT):
            continue
        if path in files and files[path][1].isdir() and not member.isdir():
            remove(files, path)
        files[path] = (number, member)
    return [path for path, member in members if not member.isdir()]


def folder_of(paths):
    """The folder that a layer fills, or its only file."""
    if not paths:
        return "/"
    return posixpath.commonpath([f"/{path}" for path in paths])


def part_of(path):
    """What a file belongs to: a package of Python or npm, or a folder of at most three steps."""
    package = re.match(r"(.*/(?:site|dist)-packages/|(?:.*/)?node_modules/)((?:@[^/]+/)?[^/]+)", path)
    if package:
        folder, name = package.groups()
        # What a package says of itself has its version in its name.
        name = re.sub(r"-[^-]*\.(dist|egg)-info$", "", name)
        return folder + name.removesuffix(".libs")
    return "/".join(path.split("/")[:-1][:3]) or "/"


def can_be_run(path, member):
    """Executable files, which links lead to, and what Python runs from: packages with a main module, and wheels."""
    if not (member.isreg() or member.islnk()):
        return False
    return member.mode & 0o111 != 0 or path.endswith(("/__main__.py", ".whl"))


def contents(image, base):
    verify_base(image, base)
    count, files, layers, parts = len(base), {}, {}, {}
    for number, layer in enumerate(image.layers):
        filled = apply_layer(files, image.entries(layer), number)
        if number >= count:
            name = folder_of(filled)
            layers[name] = layers.get(name, 0) + layer["size"]
    for path, (number, member) in files.items():
        if number >= count and member.isreg():
            parts[part_of(path)] = parts.get(part_of(path), 0) + member.size
    return {
        "base": sum(layer["size"] for layer in image.layers[:count]),
        "layers": layers,
        "parts": parts,
        "programs": sorted(path for path, (_, member) in files.items() if can_be_run(path, member)),
    }


def diffs_of(base):
    return [] if base == "-" else Layout(base).diffs


def main(arguments):
    match arguments:
        case ["normalise", image, base, cache, out]:
            Path(cache).mkdir(parents=True, exist_ok=True)
            normalise(Layout(image), diffs_of(base), Path(cache), Path(out))
        case ["contents", image, base]:
            print(json.dumps(contents(Layout(image), diffs_of(base)), sort_keys=True, indent=2))
        case ["compare", image, other]:
            for line in compare(Layout(image), Layout(other)):
                print(line)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
