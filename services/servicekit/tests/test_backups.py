"""What needs no database: manifests, addresses and how programs are called."""

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from servicekit.backups import BackupError, Manifest, Retention, Store, programs
from servicekit.backups.manifest import (
    Contents,
    Origin,
    check_files,
    content_differences,
    describe_files,
    is_id,
    new_id,
    read_manifest,
)

CONTENTS = Contents(
    heads=["a"],
    rows={"things": 2, "users": 0},
    checksums={"things": "12", "users": "0"},
    sequences={"things_id_seq": 2},
    objects=["column things.id", "table things"],
)


def _manifest(folder: Path) -> Manifest:
    (folder / "toc.dat").write_bytes(b"contents")
    return manifest_of(folder)


def manifest_of(folder: Path) -> Manifest:
    """The manifest of a backup with the files of a folder."""
    backup, taken = new_id()
    return Manifest(
        id=backup,
        taken=taken,
        operation=None,
        origin=Origin("recipes", "recipes", "production"),
        server="15.8",
        system="1",
        encoding="UTF8",
        collation="C",
        character_type="C",
        contents=CONTENTS,
        files=describe_files(folder),
    )


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    manifest = _manifest(tmp_path)
    assert read_manifest(manifest.to_json().encode(), "here") == manifest
    assert manifest.bytes == 8 and 0 <= manifest.age_seconds < 600


def test_every_changed_byte_of_a_manifest_is_found(tmp_path: Path) -> None:
    manifest = _manifest(tmp_path)
    data = manifest.to_json().encode()
    for at, byte in enumerate(data):
        # White space between values means nothing.
        if not chr(byte).isspace():
            changed = data[:at] + bytes([byte ^ 1]) + data[at + 1 :]
            with pytest.raises(BackupError, match="here is damaged"):
                read_manifest(changed, "here")
    for size in range(len(data)):
        with pytest.raises(BackupError, match="here is damaged"):
            read_manifest(data[:size], "here")


def test_files_of_a_dump_are_compared(tmp_path: Path) -> None:
    manifest = _manifest(tmp_path)
    check_files(tmp_path, manifest.files)
    for content, message in (
        (b"Contents", "content of toc.dat has changed"),
        (b"", "has 0 bytes instead of 8"),
    ):
        (tmp_path / "toc.dat").write_bytes(content)
        with pytest.raises(BackupError, match=message):
            check_files(tmp_path, manifest.files)
    (tmp_path / "toc.dat").unlink()
    with pytest.raises(BackupError, match="toc.dat is missing"):
        check_files(tmp_path, manifest.files)


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, []),
        ({"sequences": {"things_id_seq": 3}}, []),
        ({"sequences": {"things_id_seq": 1}}, ["sequence things_id_seq is at 1, before 2"]),
        ({"heads": []}, ["its revision is none instead of a"]),
        (
            {"rows": {"things": 1, "users": 0}},
            ["table things has 1 rows instead of 2"],
        ),
        ({"checksums": {"things": "13", "users": "0"}}, ["the values in table things are others"]),
        ({"rows": {"things": 2}, "checksums": {"things": "12"}}, ["table users is missing"]),
        (
            {"rows": {**CONTENTS.rows, "more": 0}, "checksums": {**CONTENTS.checksums, "more": "0"}},
            ["table more is one too many"],
        ),
        ({"objects": ["table things"]}, ["column things.id is missing"]),
    ],
)
def test_contents_are_compared(changes: dict[str, object], lines: list[str]) -> None:
    found = dataclasses.replace(CONTENTS, **changes)  # type: ignore[arg-type]
    assert content_differences(CONTENTS, found) == lines


@pytest.mark.parametrize("location", ["bucket", "s3:/bucket", "s3://", "s3://Bucket/x", "https://bucket/x"])
def test_wrong_addresses_of_a_store_are_explained(location: str) -> None:
    with pytest.raises(ValueError, match="should look like s3://bucket/prefix"):
        Store(location)


@pytest.mark.parametrize(
    ("location", "backup"),
    [
        ("s3://bucket", "s3://bucket/x"),
        ("s3://bucket/", "s3://bucket/x"),
        ("s3://bucket/a/b/", "s3://bucket/a/b/x"),
    ],
)
def test_a_backup_has_an_address(location: str, backup: str) -> None:
    assert Store(location).location("x") == backup


def test_programs_get_the_connection_by_variables() -> None:
    url = "postgresql://me:p%40ss@db:5433/recipes?sslmode=verify-full&sslrootcert=/ca.pem&keepalives_idle=7"
    variables, arguments = programs._connection(url)
    assert {
        "PGHOST": "db",
        "PGPORT": "5433",
        "PGUSER": "me",
        "PGPASSWORD": "p@ss",
        "PGDATABASE": "recipes",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/ca.pem",
    }.items() <= variables.items()
    assert arguments[0] == "--dbname"
    assert "dbname=recipes" in arguments[1] and "keepalives_idle=7" in arguments[1]
    assert "p@ss" not in str(arguments)


def test_what_programs_cannot_be_given_safely_is_refused() -> None:
    with pytest.raises(BackupError, match="cannot take sslpassword from the database's address"):
        programs._connection("postgresql://me@db/recipes?sslpassword=secret")


@pytest.mark.parametrize(
    ("finished", "days", "count", "expected"),
    [
        # The newest, whatever their age.
        ([1, 2, 3], 0, 2, [3]),
        # The last days, however many.
        ([1, 2, 3], 3, 1, []),
        ([1, 2, 40], 30, 1, [40]),
        # Too few complete ones: none expires.
        ([40, 50], 30, 3, []),
    ],
)
def test_what_expires(finished: list[int], days: int, count: int, expected: list[int]) -> None:
    now = datetime(2026, 3, 2, 10, tzinfo=UTC)

    def named(age: int) -> str:
        return f"{now - timedelta(days=age, seconds=-1):%Y-%m-%dT%H-%M-%SZ}-0a1b2c"

    ids = [named(age) for age in finished]
    assert Retention(days, count).expired(ids, ids, now) == [named(age) for age in expected]


def test_ids_sort_by_time() -> None:
    ids = [new_id()[0] for _ in range(200)]
    assert all(map(is_id, ids))
    # Those of one microsecond may have any order.
    assert [backup[:-1] for backup in ids] == sorted(backup[:-1] for backup in ids)
