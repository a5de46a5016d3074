"""The models in S3: an immutable folder for each, named by its content, and a pointer for each environment.

models/<digest>/manifest.json   written last: a model without it was not finished, and nobody sees it
models/<digest>/model.sig
models/<digest>/files/…
pointers/<environment>.json     which one serves (champion), which one may take its place (challenger), and
                                which one served before (previous); changed by compare-and-swap only
"""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from f1.model import artifact
from f1.model.artifact import ArtifactError, Loaded
from f1.registry import package
from f1.registry.package import (
    DIGEST,
    MANIFEST,
    RECORD,
    SIGNATURE,
    WALK_FORWARD,
    Manifest,
    Race,
    Record,
    short,
)
from servicekit.objects import Changed, Objects, StorageError

_MODELS = "models/"
_POINTERS = "pointers/"
# An upload that has not gone on for so long was given up.
_UNFINISHED = dt.timedelta(days=1)


@dataclass(frozen=True)
class Pointer:
    """What an environment's users get, by digest; None where there is none."""

    champion: str | None = None
    challenger: str | None = None
    previous: str | None = None
    changed: str = ""
    reason: str = ""

    def models(self) -> set[str]:
        """The models that it names."""
        return {one for one in (self.champion, self.challenger, self.previous) if one is not None}


@dataclass(frozen=True)
class Pointed:
    """A pointer and the version of its object, None when it does not exist yet."""

    pointer: Pointer
    version: str | None


@dataclass(frozen=True)
class Entry:
    """A finished model."""

    digest: str
    published: dt.datetime
    record: Record


@dataclass(frozen=True)
class Fetched:
    """A model that was verified, in a folder that is gone when the context ends."""

    folder: Path
    record: Record
    walk_forward: dict[Race, dict[str, float]]

    def load(self, digest: str) -> Loaded:
        """The model itself. Raises ArtifactError for one that this program cannot serve."""
        return replace(artifact.load(self.folder, self.record.version), digest=digest)


class Registry:
    """The models below an address, for one environment. Raises ValueError for a key of another kind.

    Methods raise StorageError when the store refuses or does not answer, and ArtifactError, which says why,
    for a model that must not serve.
    """

    def __init__(self, objects: Objects, environment: str, public_key: str) -> None:
        self._objects, self._public_key = objects, package.read_public_key(public_key)
        self._pointer_name = f"{_POINTERS}{environment}.json"

    def address(self, digest: str) -> str:
        """Where a model is."""
        return self._objects.address(f"{_MODELS}{digest}")

    def publish(self, folder: Path, private_key: str) -> str:
        """Store the files of a folder as a model, and return its digest.

        What is there already is left as it is. The manifest is written last.
        Raises ValueError for a key whose public half is not the one that models are verified with.
        """
        if package.public_key_of(private_key) != self._public_key:
            raise ValueError("the signing key is not the one that MODEL_PUBLIC_KEY belongs to")
        files = package.describe(folder)
        manifest = package.manifest_text(files)
        digest = package.digest_of(manifest)
        home = f"{_MODELS}{digest}/"
        signature = package.sign(folder, private_key)
        for name in files:
            self._create(f"{home}files/{name}", (folder / name).read_bytes())
        self._create(f"{home}{SIGNATURE}", signature)
        self._create(f"{home}{MANIFEST}", manifest)
        try:
            self._objects.create(f"{home}{MANIFEST}", manifest)
        except Changed:
            return digest
        raise StorageError(
            f"{self._objects.address('')}: the store ignores the conditions of writes (If-None-Match), so "
            "two trainings could overwrite each other's pointer; allowed: one that keeps them, as Amazon's"
        )

    @contextmanager
    def fetched(self, digest: str) -> Iterator[Fetched]:
        """A model, verified in full: its files, its signature and its record."""
        with tempfile.TemporaryDirectory(prefix="model-") as work:
            folder = Path(work)
            files = self.manifest(digest)
            self._download(digest, files, folder)
            package.check_files(folder, files)
            signature = self._objects.read(f"{_MODELS}{digest}/{SIGNATURE}")
            package.verify(folder, signature.data if signature else None, self._public_key, files)
            yield Fetched(
                folder,
                package.read_record((folder / RECORD).read_bytes()),
                package.read_walk_forward((folder / WALK_FORWARD).read_bytes()),
            )

    def load(self, digest: str) -> Loaded:
        """A model, verified in full and ready to serve, its golden predictions among what is checked."""
        with self.fetched(digest) as fetched:
            return fetched.load(digest)

    def manifest(self, digest: str) -> Manifest:
        """The manifest of a model."""
        if not DIGEST.fullmatch(digest):
            raise ArtifactError("missing", f"{digest!r} is no digest: 64 hexadecimal digits are allowed")
        found = self._objects.read(f"{_MODELS}{digest}/{MANIFEST}")
        if found is None:
            raise ArtifactError("missing", f"there is no finished model at {self.address(digest)}")
        return package.read_manifest(found.data, digest)

    def entries(self) -> list[Entry]:
        """All finished models, the newest first. What they say of themselves is not verified here."""
        found = []
        for digest in self._objects.folders(_MODELS):
            written = self._objects.written(f"{_MODELS}{digest}/").get(MANIFEST)
            record = self._objects.read(f"{_MODELS}{digest}/files/{RECORD}")
            if written is not None and record is not None:
                found.append(Entry(digest, written, package.read_record(record.data)))
        return sorted(found, key=lambda entry: (entry.published, entry.digest), reverse=True)

    def pointed(self) -> Pointed:
        """The pointer of the environment."""
        found = self._objects.read(self._pointer_name)
        if found is None:
            return Pointed(Pointer(), None)
        return Pointed(self._read_pointer(self._pointer_name, found.data), found.version)

    def point(self, seen: Pointed, pointer: Pointer) -> Pointed:
        """Replace the pointer that was seen. Raises Changed when another writer came first."""
        data = (json.dumps({"schema": package.SCHEMA, **asdict(pointer)}, indent=1) + "\n").encode()
        if seen.version is None:
            return Pointed(pointer, self._objects.create(self._pointer_name, data))
        return Pointed(pointer, self._objects.replace(self._pointer_name, data, seen.version))

    def challenge(self, digest: str, champion: str | None, reason: str, now: dt.datetime) -> bool:
        """Make a model the challenger of the champion that it was judged against; returns whether that still
        was the champion."""
        while True:
            seen = self.pointed()
            if seen.pointer.champion != champion:
                return False
            if seen.pointer.challenger == digest:
                return True
            try:
                self.point(
                    seen,
                    replace(seen.pointer, challenger=digest, changed=_iso(now), reason=reason),
                )
                return True
            except Changed:
                # Whoever came first may have changed the champion.
                continue

    def promote(self, digest: str | None, reason: str, now: dt.datetime) -> Pointer:
        """Make a model the champion: the challenger, or the one named. Only one that can be served.

        Raises Changed when another writer came first, and ValueError when there is nothing to promote.
        """
        seen = self.pointed()
        chosen = digest or seen.pointer.challenger
        if chosen is None:
            raise ValueError("there is no challenger to promote; name a model by its digest")
        if chosen == seen.pointer.champion:
            raise ValueError(f"{short(chosen)} is the champion already")
        self.load(chosen)
        challenger = None if chosen == seen.pointer.challenger else seen.pointer.challenger
        pointer = Pointer(chosen, challenger, seen.pointer.champion, _iso(now), reason)
        return self.point(seen, pointer).pointer

    def prune(self, keep: int, now: dt.datetime) -> list[str]:
        """Remove all models but the newest `keep` and those that any environment's pointer names; returns
        their digests. Uploads that were given up go as well."""
        newest = [entry.digest for entry in self.entries()[:keep]]
        removed = []
        for digest in self._objects.folders(_MODELS):
            written = self._objects.written(f"{_MODELS}{digest}/")
            unfinished = MANIFEST not in written
            if unfinished and max(written.values(), default=now) > now - _UNFINISHED:
                continue
            # Read for each one: a pointer may have moved meanwhile.
            if digest in self._pointed_anywhere() or (digest in newest and not unfinished):
                continue
            self._objects.remove_folder(f"{_MODELS}{digest}", first=MANIFEST)
            removed.append(digest)
        return removed

    def _pointed_anywhere(self) -> set[str]:
        models: set[str] = set()
        for name in self._objects.written(_POINTERS):
            found = self._objects.read(f"{_POINTERS}{name}")
            if found is not None:
                models |= self._read_pointer(f"{_POINTERS}{name}", found.data).models()
        return models

    def _read_pointer(self, name: str, data: bytes) -> Pointer:
        where = self._objects.address(name)
        try:
            content = json.loads(data)
            schema = content.pop("schema")
            pointer = Pointer(**content) if schema == package.SCHEMA else None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError("pointer", f"{where} is not a pointer to models") from error
        if pointer is None or not all(DIGEST.fullmatch(one) for one in pointer.models()):
            raise ArtifactError("pointer", f"{where} names no models as this program knows them")
        return pointer

    def _create(self, name: str, data: bytes) -> None:
        try:
            self._objects.create(name, data)
        except Changed:
            # The name holds the content's digest: it is the same, or verification will say so.
            return

    def _download(self, digest: str, files: Manifest, folder: Path) -> None:
        home = f"{_MODELS}{digest}/files/"
        extra = sorted(self._objects.written(home).keys() - files.keys())
        if extra:
            raise ArtifactError("extra-file", f"{extra[0]} is not in {MANIFEST}")
        for name in files:
            found = self._objects.read(f"{home}{name}")
            if found is not None:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(found.data)


def _iso(now: dt.datetime) -> str:
    return now.isoformat(timespec="seconds")
