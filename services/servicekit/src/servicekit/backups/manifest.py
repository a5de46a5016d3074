"""What a backup contains, so that a restored copy can be compared with it."""

import dataclasses
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from servicekit.backups.errors import BackupError

_FORMAT = 1
# Begins with the time, so that a later backup sorts behind an earlier one.
_ID = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9]{2}-[0-9]{2}Z-[0-9a-f]{6}")
_ID_TIME = "%Y-%m-%dT%H-%M-%SZ"
# As pg_dump names them: toc.dat, 3456.dat.gz, blobs.toc.
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class DumpFile:
    """A file of the dump."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Contents:
    """What is in a database, as one transaction sees it."""

    heads: list[str]
    # Rows, and a checksum that does not depend on their order, for each table.
    rows: dict[str, int]
    checksums: dict[str, str]
    # At least these values: sequences go on while the backup is made.
    sequences: dict[str, int]
    # Kind and name of each table, column, constraint, index and so on.
    objects: list[str]


@dataclass(frozen=True)
class Kind:
    """What a copy has in common with its original, before it has any contents."""

    # Version of the server.
    server: str
    encoding: str
    collation: str
    character_type: str


@dataclass(frozen=True)
class Origin:
    """Which database a backup is of. `verify` refuses another one."""

    service: str
    database: str
    environment: str


@dataclass(frozen=True)
class Manifest:
    """Describes a backup. The backup exists as soon as its manifest is stored."""

    id: str
    # When the snapshot was taken, in UTC.
    taken: str
    # The operation that made it, which uses it again when it is repeated.
    operation: str | None
    origin: Origin
    # The server's version, such as 15.8, and the identifier that it got when it was made.
    server: str
    system: str
    encoding: str
    collation: str
    character_type: str
    contents: Contents
    files: dict[str, DumpFile]
    format: int = _FORMAT
    # Tables that changed while a snapshot of the disk was made: what is in them there, nobody can know.
    changed: list[str] = dataclasses.field(default_factory=list)

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.bytes for file in self.files.values())

    @property
    def kind(self) -> Kind:
        return Kind(self.server, self.encoding, self.collation, self.character_type)

    @property
    def age_seconds(self) -> float:
        """Seconds since the snapshot."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.taken)).total_seconds()

    def to_json(self) -> str:
        """The manifest as it is stored, with a checksum of itself."""
        fields = self._fields()
        return json.dumps({"sha256": _digest(fields), "manifest": fields}, indent=1, ensure_ascii=False)

    @property
    def sha256(self) -> str:
        """The checksum of the manifest, and by it of everything in the backup."""
        return _digest(self._fields())

    def _fields(self) -> dict[str, Any]:
        """Those of a dump are what they were before there were snapshots."""
        fields = dataclasses.asdict(self)
        if not self.changed:
            del fields["changed"]
        return fields


def new_id() -> tuple[str, str]:
    """An id for a backup, and the time in it. Ids sort by time, also those of one second."""
    now = datetime.now(UTC)
    # Microseconds in five of the six digits.
    digits = now.microsecond * 16 + secrets.randbelow(16)
    return f"{now:{_ID_TIME}}-{digits:06x}", now.isoformat()


def is_id(text: str) -> bool:
    """Whether it has the form of a backup's id."""
    return _ID.fullmatch(text) is not None


def taken_at(backup: str) -> datetime:
    """The time in the id of a backup, in whole seconds."""
    return datetime.strptime(backup[: -len("-000000")], _ID_TIME).replace(tzinfo=UTC)


def read_manifest(data: bytes, where: str) -> Manifest:
    """The manifest that `to_json` wrote.

    Raises BackupError for a damaged one, naming `where` it is.
    """
    try:
        stored = json.loads(data)
        fields, checksum = stored["manifest"], stored["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{where} is damaged: it is not a manifest ({error})") from error
    if checksum != _digest(fields):
        raise BackupError(f"{where} is damaged: its content does not have the checksum that it names")
    if fields.get("format") != _FORMAT:
        raise BackupError(
            f"{where} has format {fields.get('format')}, and this image reads {_FORMAT}: verify it with the"
            " image that made it"
        )
    try:
        manifest = TypeAdapter(Manifest).validate_python(fields)
    except ValidationError as error:
        raise BackupError(f"{where} is damaged: {error.errors()[0]['loc']}") from error
    for name in manifest.files:
        if not _FILE_NAME.fullmatch(name):
            raise BackupError(f"{where} is damaged: {name!r} is not the name of a file of a dump")
    return manifest


def describe_files(folder: Path) -> dict[str, DumpFile]:
    """Size and checksum of each file in the folder, by name."""
    files = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            files[path.name] = DumpFile(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())
    return files


def check_files(folder: Path, expected: Mapping[str, DumpFile]) -> None:
    """Raises BackupError when a file differs from its size or checksum, is missing, or is one too many."""
    found = describe_files(folder)
    for name, file in expected.items():
        if name not in found:
            raise BackupError(f"the backup is damaged: {name} is missing")
        if found[name].bytes != file.bytes:
            raise BackupError(
                f"the backup is damaged: {name} has {found[name].bytes} bytes instead of {file.bytes}"
            )
        if found[name].sha256 != file.sha256:
            raise BackupError(f"the backup is damaged: the content of {name} has changed")


def content_differences(expected: Contents, found: Contents) -> list[str]:
    """How a restored copy differs from the backup's contents, a line for each difference."""
    lines = []
    if sorted(expected.heads) != sorted(found.heads):
        lines.append(f"its revision is {_list(found.heads)} instead of {_list(expected.heads)}")
    for table, rows in expected.rows.items():
        if table not in found.rows:
            lines.append(f"table {table} is missing")
        elif found.rows[table] != rows:
            lines.append(f"table {table} has {found.rows[table]} rows instead of {rows}")
        elif found.checksums[table] != expected.checksums[table]:
            lines.append(f"the values in table {table} are others")
    lines += [f"table {table} is one too many" for table in found.rows.keys() - expected.rows.keys()]
    lines += [f"{name} is missing" for name in expected.objects if name not in set(found.objects)]
    for sequence, value in expected.sequences.items():
        # One that is missing is among the objects.
        if found.sequences.get(sequence, value) < value:
            lines.append(f"sequence {sequence} is at {found.sequences[sequence]}, before {value}")
    return lines


def _list(names: list[str]) -> str:
    return ", ".join(names) or "none"


def _digest(fields: Any) -> str:
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
