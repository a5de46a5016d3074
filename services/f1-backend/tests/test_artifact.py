import datetime as dt
import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from f1.history import POST_QUALIFYING
from f1.model import artifact, training
from f1.model.artifact import ArtifactError
from f1.model.experts import ForestExpert
from tests.conftest import TRAINED_AT, Models


def resign(path: Path) -> None:
    """Checksums for what is there now, as somebody would who changes an artifact on purpose."""
    files = sorted(f for f in path.rglob("*") if f.is_file() and f.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.relative_to(path)}\n" for f in files]
    (path / "SHA256SUMS").write_text("".join(lines))


def edit(path: Path, name: str, change: Callable[[Any], None]) -> None:
    """Change a JSON file of an artifact and its checksum."""
    value = json.loads((path / name).read_text())
    change(value)
    (path / name).write_text(json.dumps(value))
    resign(path)


def refused(models: Models, reason: str, message: str) -> None:
    with pytest.raises(ArtifactError, match=message) as caught:
        artifact.load(models.folder, models.version)
    assert caught.value.reason == reason


def test_what_is_loaded_predicts_what_was_saved(saved: Models, trained: training.Trained) -> None:
    loaded = artifact.load(saved.folder, artifact.current(saved.folder))
    item = trained.out_of_sample[-1]
    for ours, theirs in zip(
        trained.model.stages[POST_QUALIFYING].predict(item.features),
        loaded.stages[POST_QUALIFYING].predict(item.features),
        strict=True,
    ):
        assert ours == pytest.approx(theirs, abs=1e-9)
    metadata = loaded.metadata
    assert metadata["git_sha"] == "abc"
    assert metadata["trained_at"] == TRAINED_AT.isoformat()
    assert metadata["demo"] is True
    assert metadata["libraries"]["xgboost-cpu"]
    assert dt.date.fromisoformat(metadata["data_cutoff"]) == trained.model.data_cutoff
    assert loaded.skill < 0
    assert loaded.stages[POST_QUALIFYING].mixture == trained.model.stages[POST_QUALIFYING].mixture
    forest = loaded.stages[POST_QUALIFYING].experts["forest"]
    assert isinstance(forest, ForestExpert) and forest.forest.n_jobs == 1
    reasons = trained.model.stages[POST_QUALIFYING].contributions(item.features).to_numpy()
    again = loaded.stages[POST_QUALIFYING].contributions(item.features).to_numpy()
    assert again == pytest.approx(reasons, abs=1e-6)


def test_an_equal_model_has_an_equal_version_and_is_kept(saved: Models, trained: training.Trained) -> None:
    before = (saved.path / "SHA256SUMS").read_text()
    golden = artifact.golden_races(trained.out_of_sample)
    again = artifact.save(
        saved.folder, trained.model, golden, git_sha="other", trained_at=dt.datetime.now(dt.UTC)
    )
    assert again == saved.version
    assert (saved.path / "SHA256SUMS").read_text() == before
    assert sorted(p.name for p in saved.folder.iterdir()) == ["current", f"model-{saved.version}"]


def test_a_failure_while_writing_leaves_nothing(
    models: Models, trained: training.Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    before = sorted(models.folder.iterdir())
    monkeypatch.setattr(artifact, "_golden", full)
    with pytest.raises(OSError, match="disk full"):
        artifact.save(models.folder, trained.model, [], git_sha="abc", trained_at=TRAINED_AT)
    assert sorted(models.folder.iterdir()) == before


@pytest.mark.parametrize("name", ["metadata.json", "pre-weekend/booster.ubj", "post-qualifying/forest.skops"])
def test_a_changed_byte_is_found(models: Models, name: str) -> None:
    data = bytearray((models.path / name).read_bytes())
    data[len(data) // 2] ^= 1
    (models.path / name).write_bytes(data)
    refused(models, "checksum", f"{name} was changed")


def test_a_missing_and_an_added_file_are_found(models: Models) -> None:
    (models.path / "extra.txt").write_text("hello")
    refused(models, "checksum", "extra.txt is not listed")
    (models.path / "extra.txt").unlink()
    (models.path / "golden.json").unlink()
    refused(models, "checksum", "golden.json is missing")
    (models.path / "SHA256SUMS").unlink()
    refused(models, "checksum", "SHA256SUMS cannot be read")


@pytest.mark.parametrize(
    ("change", "reason", "message"),
    [
        (lambda m: m.update(feature_schema_hash="0" * 64), "schema", "other features"),
        (lambda m: m.update(format=99), "format", "format 99"),
        (lambda m: m.update(version="another"), "metadata", "says version another"),
        (
            lambda m: m["libraries"].update({"scikit-learn": "1.2.0"}),
            "libraries",
            "scikit-learn 1.2.0, here is",
        ),
        (lambda m: m["libraries"].update({"numpy": "1.26.4"}), "libraries", "numpy 1.26.4, here is"),
        (lambda m: m.pop("metrics"), "unreadable", "not what its format says"),
        (lambda m: m["metrics"]["model"].update(winner_log_loss=float("nan")), "metadata", "not a number"),
        (lambda m: m.pop("libraries"), "unreadable", "not what its format says"),
    ],
)
def test_metadata_that_does_not_fit(
    models: Models, change: Callable[[Any], None], reason: str, message: str
) -> None:
    edit(models.path, "metadata.json", change)
    refused(models, reason, message)


def test_a_library_may_differ_in_its_last_number(models: Models) -> None:
    def older(metadata: Any) -> None:
        major, minor, *_ = metadata["libraries"]["xgboost-cpu"].split(".")
        metadata["libraries"]["xgboost-cpu"] = f"{major}.{minor}.999"

    edit(models.path, "metadata.json", older)
    assert artifact.load(models.folder, models.version).version == models.version


def test_golden_predictions_must_come_out(models: Models) -> None:
    edit(models.path, "golden.json", lambda g: g[0]["win"].__setitem__(0, g[0]["win"][0] + 1e-5))
    refused(models, "golden", r"win probabilities are off by 1e-05, allowed is 1e-06")


def test_golden_predictions_must_be_of_both_stages(models: Models) -> None:
    edit(models.path, "golden.json", lambda g: g.__setitem__(slice(None), g[:2]))
    refused(models, "golden", "both stages")


def test_other_weights_do_not_pass_the_golden_predictions(models: Models) -> None:
    edit(
        models.path,
        "post-qualifying/mixture.json",
        lambda m: m["weights"].update(form=m["weights"]["recent"], recent=m["weights"]["form"]),
    )
    refused(models, "golden", "post-qualifying .* win probabilities are off")


def test_a_logit_with_too_few_numbers_and_weights_that_do_not_sum_to_one(models: Models) -> None:
    kept = (models.path / "pre-weekend/logits.json").read_text()
    edit(models.path, "pre-weekend/logits.json", lambda v: v["form"]["mean"].pop())
    refused(models, "unreadable", "not one for each input")
    (models.path / "pre-weekend/logits.json").write_text(kept)
    edit(
        models.path,
        "pre-weekend/mixture.json",
        lambda m: m["weights"].update(form=m["weights"]["form"] + 0.1),
    )
    refused(models, "unreadable", "a weight for each expert")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("pre-weekend/booster.ubj", b"not a booster", "unreadable"),
        ("pre-weekend/logits.json", b"{", "unreadable"),
        ("pre-weekend/logits.json", b'{"form": {"mean": [1]}}', "unreadable"),
        ("pre-weekend/mixture.json", b'{"prior": {}, "weights": {}}', "unreadable"),
        ("golden.json", b"[{}]", "unreadable"),
        ("pre-weekend/forest.skops", b"PK not a zip", "unreadable"),
    ],
)
def test_files_that_are_not_what_they_should_be(
    models: Models, name: str, content: bytes, reason: str
) -> None:
    (models.path / name).write_bytes(content)
    resign(models.path)
    with pytest.raises(ArtifactError) as caught:
        artifact.load(models.folder, models.version)
    assert caught.value.reason == reason


def rewrite_forest(path: Path, change: Callable[[Any], None]) -> None:
    """Change the schema inside a skops file."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(parts["schema.json"])
    change(schema)
    parts["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


def test_a_forest_that_asks_for_other_code_is_not_opened(models: Models) -> None:
    path = models.path / "post-qualifying" / "forest.skops"
    rewrite_forest(path, lambda schema: schema.update(__module__="subprocess", __class__="Popen"))
    resign(models.path)
    refused(models, "untrusted", "asks for subprocess.Popen")


def test_a_forest_of_another_scikit_learn_is_not_served(models: Models) -> None:
    path = models.path / "post-qualifying" / "forest.skops"
    text = json.dumps
    found: list[str] = []

    def older(node: Any) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "_sklearn_version" and isinstance(value, dict):
                    found.append(text(value))
                    value["content"] = json.dumps("1.0.2")
                older(value)
        elif isinstance(node, list):
            for value in node:
                older(value)

    rewrite_forest(path, older)
    assert found
    resign(models.path)
    refused(models, "libraries", "1.0.2")


@pytest.mark.parametrize("version", ["../etc", "", "a/b", ".hidden", "x" * 65])
def test_a_version_is_never_a_path(models: Models, version: str) -> None:
    for use in (artifact.load, artifact.point):
        with pytest.raises(ArtifactError, match="a version is letters"):
            use(models.folder, version)


def test_the_pointer(models: Models, tmp_path: Path) -> None:
    assert artifact.current(models.folder) == models.version
    artifact.point(models.folder, "next")
    assert artifact.current(models.folder) == "next"
    with pytest.raises(ArtifactError, match="there is no model next"):
        artifact.load(models.folder, "next")
    with pytest.raises(ArtifactError, match="current cannot be read"):
        artifact.current(tmp_path / "nowhere")
    (models.folder / "current").write_bytes(b"\xff\xfe")
    with pytest.raises(ArtifactError, match="does not hold a version"):
        artifact.current(models.folder)


def test_the_golden_file_has_the_last_races_of_both_stages(saved: Models) -> None:
    golden = json.loads((saved.path / "golden.json").read_text())
    assert [item["stage"] for item in golden] == ["pre-weekend"] * 3 + ["post-qualifying"] * 3
    assert np.isclose(sum(golden[0]["win"]), 1)
