import datetime as dt
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from f1.model.artifact import ArtifactError
from f1.registry import package
from f1.registry.package import MANIFEST, RECORD, SIGNATURE, FileOf, Record
from f1.registry.registry import Pointer, Registry
from servicekit.objects import Changed, StorageError
from servicekit.testing_storage import Bucket, Refusal
from tests.models import KEY, new_key, pem, registry_of

NOW = dt.datetime(2026, 3, 16, tzinfo=dt.UTC)
RECORDED = Record(
    version="20260315-0123456789",
    data_hash="d" * 64,
    data_cutoff="2026-03-15",
    races=200,
    code="abc",
    machine="x86_64",
    trained_at="2026-03-16T04:00:00+00:00",
    demo=True,
    champion=None,
    verdict="better",
    reason="there is no champion yet",
    checks={},
    metrics={},
)


def files(folder: Path, content: str = "trees", record: Record = RECORDED) -> Path:
    """A model's files without a model that could be loaded."""
    (folder / "model-x" / "post-qualifying").mkdir(parents=True)
    (folder / "model-x" / "post-qualifying" / "forest.skops").write_text(content)
    (folder / "walk-forward.json").write_text("[]")
    (folder / RECORD).write_text(json.dumps({"schema": 1, **vars(record)}))
    return folder


def published(registry: Registry, folder: Path, content: str = "trees") -> str:
    return registry.publish(files(folder, content), KEY)


def test_what_is_fetched_is_what_was_published(registry: Registry, tmp_path: Path) -> None:
    digest = published(registry, tmp_path)
    with registry.fetched(digest) as fetched:
        assert fetched.record == RECORDED
        assert package.describe(fetched.folder) == package.describe(tmp_path)
    # A second time it stays as it is.
    assert registry.publish(tmp_path, KEY) == digest
    assert [entry.digest for entry in registry.entries()] == [digest]


FOREST = "files/model-x/post-qualifying/forest.skops"
Damage = Callable[[Bucket, str], None]


def signed_elsewhere(bucket: Bucket, home: str) -> None:
    """By somebody who has a key of their own and may write to the bucket."""
    names = [key.removeprefix(f"{home}files/") for key in bucket.keys() if key.startswith(f"{home}files/")]
    folder = Path(os.environ["COPY"])
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bucket.read(f"{home}files/{name}"))
    bucket.write(f"{home}{SIGNATURE}", package.sign(folder, new_key()))


def other_signature(bucket: Bucket, home: str) -> None:
    """Our key's signature of other files."""
    folder = Path(os.environ["COPY"])
    bucket.write(f"{home}{SIGNATURE}", package.sign(files(folder, "other"), KEY))


def remove(name: str) -> Damage:
    return lambda bucket, home: bucket.client().delete_object(Bucket=bucket.name, Key=f"{home}{name}")


def write(name: str, data: bytes) -> Damage:
    return lambda bucket, home: bucket.write(f"{home}{name}", data)


@pytest.mark.parametrize(
    ("damage", "reason", "says"),
    [
        (remove(FOREST), "missing-file", "forest.skops is missing"),
        (write(FOREST, b"tre"), "truncated", "forest.skops is truncated: 3 of 5 bytes"),
        (write(FOREST, b"seert"), "changed", "forest.skops was changed"),
        (write("files/evil.py", b"pass"), "extra-file", "evil.py is not in manifest.json"),
        (write("files/.gitignore", b"pass"), "extra-file", ".gitignore is not in manifest.json"),
        (remove(SIGNATURE), "unsigned", "it has no signature"),
        (write(SIGNATURE, b"{}"), "signature", "its signature does not hold"),
        (signed_elsewhere, "key", "it was signed by another key"),
        (other_signature, "signature", "its signature does not hold: Signature mismatch"),
        (write(MANIFEST, b"{}"), "changed", "manifest.json was changed"),
        (remove(MANIFEST), "missing", "there is no finished model at s3://"),
    ],
)
def test_a_model_that_is_not_what_was_signed_is_refused_by_name(
    registry: Registry,
    bucket: Bucket,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    damage: Damage,
    reason: str,
    says: str,
) -> None:
    monkeypatch.setenv("COPY", str(tmp_path_factory.mktemp("copy")))
    digest = published(registry, tmp_path)
    damage(bucket, f"f1/models/{digest}/")
    with pytest.raises(ArtifactError) as error, registry.fetched(digest):
        pass
    assert error.value.reason == reason
    assert says in str(error.value)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a/../b", "", "a//b", ".git/config", "a\\..\\b"]
)
def test_a_path_out_of_the_folder_is_refused_although_it_is_signed(name: str) -> None:
    data = package.manifest_text({name: FileOf(1, "0" * 64)})
    with pytest.raises(ArtifactError, match="is no file inside the model's folder") as error:
        package.read_manifest(data, package.digest_of(data))
    assert error.value.reason == "path"


@pytest.mark.parametrize("data", [b'{"schema": 2, "files": {}}', b"[]", b"{", b'{"schema": 1}'])
def test_another_schema_is_refused(data: bytes) -> None:
    for read in (
        lambda: package.read_manifest(data, package.digest_of(data)),
        lambda: package.read_record(data),
    ):
        with pytest.raises(ArtifactError) as error:
            read()
        assert error.value.reason == "schema"


def test_only_the_key_of_this_registry_signs(registry: Registry, bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not the one that MODEL_PUBLIC_KEY belongs to"):
        registry.publish(files(tmp_path), new_key())
    assert bucket.keys() == []
    with pytest.raises(ValueError, match="that of an elliptic curve"):
        package.public_key_of(pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))


@pytest.mark.parametrize("dies_at", range(5))
def test_a_publication_that_was_stopped_shows_nothing_and_is_gone_on_with(
    registry: Registry, bucket: Bucket, tmp_path: Path, dies_at: int
) -> None:
    written = 0

    def refuse(method: str, _path: str) -> Refusal | None:
        nonlocal written
        written += method == "PUT"
        return Refusal(403, "AccessDenied") if written > dies_at else None

    bucket.refuse = refuse
    with pytest.raises(StorageError, match="cannot write s3://"):
        published(registry, tmp_path)
    bucket.refuse = lambda method, path: None
    assert registry.entries() == []
    digest = registry.publish(tmp_path, KEY)
    with registry.fetched(digest):
        assert [entry.digest for entry in registry.entries()] == [digest]


def test_the_pointer_changes_for_one_of_two_writers(registry: Registry) -> None:
    one, two = "1" * 64, "2" * 64
    empty = registry.pointed()
    assert empty.pointer == Pointer()
    first = registry.point(empty, Pointer(champion=one))
    for seen in (empty, replace(first, version='"0"')):
        with pytest.raises(Changed, match="written by somebody else meanwhile"):
            registry.point(seen, Pointer(champion=two))
    registry.point(first, Pointer(champion=two))
    with pytest.raises(Changed):
        registry.point(first, Pointer(champion=one))
    assert registry.pointed().pointer.champion == two


def test_a_challenger_is_one_of_the_champion_it_was_judged_against(
    registry: Registry, bucket: Bucket
) -> None:
    one, two = "1" * 64, "2" * 64
    assert registry.challenge(one, None, "first", NOW)
    assert registry.pointed().pointer == Pointer(None, one, None, "2026-03-16T00:00:00+00:00", "first")
    registry.point(registry.pointed(), Pointer(champion=one))
    assert not registry.challenge(two, None, "late", NOW)
    # Another environment has a pointer of its own.
    assert registry_of(bucket, "production").pointed().pointer == Pointer()


def test_a_writer_who_comes_between_is_not_overwritten(registry: Registry, bucket: Bucket) -> None:
    one, two = "1" * 64, "2" * 64
    registry.challenge(one, None, "first", NOW)

    def meanwhile(method: str, path: str) -> Refusal | None:
        if method == "PUT" and "pointers" in path:
            bucket.refuse = lambda method, path: None
            registry_of(bucket).point(registry.pointed(), Pointer(champion=one))
        return None

    bucket.refuse = meanwhile
    assert not registry.challenge(two, None, "second", NOW)
    assert registry.pointed().pointer == Pointer(champion=one)


def test_old_models_go_but_none_that_is_pointed_at(
    registry: Registry, bucket: Bucket, tmp_path: Path
) -> None:
    digests = [published(registry, tmp_path / str(number), f"trees {number}") for number in range(6)]
    champion, challenger, previous, elsewhere = digests[:4]
    registry.point(registry.pointed(), Pointer(champion, challenger, previous))
    production = registry_of(bucket, "production")
    production.point(production.pointed(), Pointer(elsewhere))
    bucket.write("f1/models/" + "e" * 64 + "/files/left.bin", b"unfinished")
    newest = [entry.digest for entry in registry.entries()]
    assert registry.prune(6, NOW) == []
    removed = registry.prune(1, dt.datetime.now(dt.UTC))
    assert set(removed) == {digests[4], digests[5]} - {newest[0]}
    # An upload in progress stays for a day.
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=1, minutes=1)
    assert registry.prune(6, later) == ["e" * 64]
    for digest in (champion, challenger, previous, elsewhere):
        with registry.fetched(digest):
            pass


def test_a_store_that_is_away_is_one_sentence(registry: Registry, bucket: Bucket) -> None:
    bucket.refuse = lambda method, path: Refusal(403, "AccessDenied")
    with pytest.raises(StorageError, match="cannot read s3://models-[0-9a-f]+/f1/pointers/staging.json: "):
        registry.pointed()


def test_a_store_that_ignores_conditions_is_refused(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = registry_of(bucket)
    objects = registry._objects
    # As stores do that do not know If-None-Match.
    objects.client.meta.events.register(
        "before-send.s3.PutObject", lambda request, **_: request.headers.pop("If-None-Match", None) and None
    )
    with pytest.raises(StorageError, match="ignores the conditions of writes"):
        published(registry, tmp_path)


def test_only_a_model_that_can_be_served_is_promoted(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no challenger to promote"):
        registry.promote(None, "because", NOW)
    digest = published(registry, tmp_path)
    registry.challenge(digest, None, "better", NOW)
    # Signed and whole, but no model that loads.
    with pytest.raises(ArtifactError):
        registry.promote(None, "because", NOW)
    assert registry.pointed().pointer.champion is None
    with pytest.raises(ArtifactError, match="is no digest"):
        registry.promote("latest", "because", NOW)


def test_the_list_of_packages_names_what_is_installed() -> None:
    listed = package.sbom()
    assert listed["bomFormat"] == "CycloneDX"
    names = [each["name"] for each in listed["components"]]
    assert {"xgboost-cpu", "scikit-learn", "model-signing"} <= set(names)
    assert all(each["purl"].startswith("pkg:pypi/") for each in listed["components"])
