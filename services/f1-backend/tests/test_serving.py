import shutil
import threading

import pytest

from f1.api import serving
from f1.api.serving import ServedModel
from f1.model import artifact
from servicekit.problems import Problem
from tests.conftest import Models
from tests.test_artifact import edit, resign


def served(models: Models, margin: float = 0.05) -> ServedModel:
    model = ServedModel(models.folder, margin)
    model.start()
    model.check()
    return model


def clone(models: Models, version: str) -> Models:
    """The same model under another version."""
    other = Models(models.folder, version)
    shutil.copytree(models.path, other.path)
    edit(other.path, "metadata.json", lambda m: m.update(version=version))
    return other


def worse(models: Models, version: str, by: float) -> Models:
    """A model whose recorded log-loss is worse."""
    other = clone(models, version)

    def change(metadata: dict[str, dict[str, dict[str, float]]]) -> None:
        metadata["metrics"]["model"]["winner_log_loss"] += by

    edit(other.path, "metadata.json", change)
    return other


def test_without_a_model_it_is_not_ready(models: Models) -> None:
    (models.folder / "current").unlink()
    model = ServedModel(models.folder, 0.05)
    model.start()
    with pytest.raises(artifact.ArtifactError, match="current cannot be read"):
        model.check()
    assert model.loaded is None
    # It can be mended without a restart.
    artifact.point(models.folder, models.version)
    assert model.reload(None, False) == (None, models.version)
    model.check()


def test_a_reload_swaps(models: Models) -> None:
    model = served(models)
    clone(models, "second")
    assert model.reload("second", False) == (models.version, "second")
    assert model.loaded and model.loaded.version == "second"


def test_serving_writes_nothing_where_models_are(models: Models) -> None:
    """Pods that serve have the folder mounted read-only."""
    clone(models, "second")
    (clone(models, "bad").path / "golden.json").write_text("[]")

    def state() -> dict[str, tuple[int, int]]:
        # A file that came and went changes the time of its folder.
        return {
            str(path): (path.stat().st_mtime_ns, path.stat().st_size)
            for path in [models.folder, *models.folder.rglob("*")]
        }

    before = state()
    model = served(models)
    with pytest.raises(Problem):
        model.reload("bad", True)
    model.reload("second", False)
    assert state() == before


@pytest.mark.parametrize("broken", ["checksum", "schema", "golden", "missing"])
def test_a_bad_model_is_refused_and_the_old_one_stays(models: Models, broken: str) -> None:
    model = served(models)
    before = model.loaded
    if broken != "missing":
        other = clone(models, "bad")
        if broken == "checksum":
            (other.path / "golden.json").write_text("[]")
        elif broken == "schema":
            edit(other.path, "metadata.json", lambda m: m.update(feature_schema_hash="x"))
        else:
            edit(
                other.path, "pre-weekend/logits.json", lambda v: v["form"].update(scale=v["recent"]["scale"])
            )
            resign(other.path)
    with pytest.raises(Problem) as caught:
        model.reload("bad", True)
    assert caught.value.status_code == (404 if broken == "missing" else 422)
    assert caught.value.extra == {"reason": broken, "current": models.version}
    assert model.loaded is before


def test_a_worse_model_is_refused_unless_forced(models: Models) -> None:
    model = served(models)
    worse(models, "worse", 0.2)
    worse(models, "hardly-worse", 0.04)
    with pytest.raises(Problem, match="it may be at most 0.05 higher") as caught:
        model.reload("worse", False)
    assert caught.value.status_code == 409
    assert caught.value.extra["reason"] == "worse"
    assert model.reload("hardly-worse", False)[1] == "hardly-worse"
    assert model.reload("worse", True) == ("hardly-worse", "worse")


def test_reloads_at_the_same_time_run_one_after_the_other(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = served(models)
    for name in ("a", "b", "c"):
        clone(models, name)
    real, inside, most = artifact.load, [0], [0]

    def watched(*arguments: object) -> object:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        try:
            return real(*arguments)  # type: ignore[arg-type]
        finally:
            inside[0] -= 1

    monkeypatch.setattr(serving, "load", watched)
    swaps: list[tuple[str | None, str]] = []
    threads = [
        threading.Thread(target=lambda version=name: swaps.append(model.reload(version, False)))
        for name in "abc"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1
    # Each swap took over from the one before: none was lost.
    assert {new for _, new in swaps} == {"a", "b", "c"}
    assert model.loaded
    assert {old for old, _ in swaps} == {models.version, "a", "b", "c"} - {model.loaded.version}
