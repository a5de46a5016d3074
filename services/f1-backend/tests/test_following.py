"""A server that follows the registry's pointer."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from f1.api.serving import ServedModel
from f1.history import RaceRecord
from f1.model import artifact, training
from f1.model.artifact import ArtifactError
from f1.registry import package
from f1.registry.evidence import gather, measured_apart
from f1.registry.gate import decide
from f1.registry.registry import Pointer, Registry
from servicekit.objects import StorageError
from servicekit.problems import Problem
from servicekit.testing import wait_until
from servicekit.testing_storage import Bucket, Refusal
from tests.conftest import Models
from tests.models import KEY
from tests.test_registry import NOW, RECORDED

SOON = 0.05


def packaged(models: Models, trained: training.Trained, code: str = "abc") -> Path:
    """A model with all that the registry keeps of it."""
    shutil.rmtree(models.folder / "out", ignore_errors=True)
    folder = models.folder / "out"
    shutil.copytree(models.path, folder / models.path.name)
    package.write(
        folder,
        replace(RECORDED, version=models.version, code=code, metrics=METRICS),
        trained.out_of_sample,
    )
    return folder


SCORES = {
    "winner_log_loss": 1.0,
    "winner_top1": 0.5,
    "podium_precision": 0.6,
    "favourite": {"predicted": 0.5, "observed": 0.5},
}
METRICS: dict[str, Any] = {
    stage: {"seasons": [2024], "model": SCORES, "baselines": [{"name": "grid", "scores": SCORES}]}
    for stage in artifact.STAGES
}


def following(registry: Registry, models: Models) -> ServedModel:
    return ServedModel(models.folder, 0.05, registry, SOON)


def test_it_serves_the_champion_and_follows_the_pointer(
    registry: Registry, models: Models, trained: training.Trained
) -> None:
    model = following(registry, models)
    model.start()
    try:
        with pytest.raises(ArtifactError, match="names no champion yet"):
            model.check()
        one = registry.publish(packaged(models, trained), KEY)
        two = registry.publish(packaged(models, trained, "def"), KEY)
        registry.challenge(one, None, "better", NOW)
        assert registry.promote(None, "checked", NOW).champion == one
        wait_until(lambda: model.loaded is not None, 120)
        assert model.check() == one
        # Answers are cached under what is of this model alone.
        assert model.loaded and model.loaded.identity == one
        assert registry.promote(two, "the same trees", NOW) == Pointer(
            two, None, one, "2026-03-16T00:00:00+00:00", "the same trees"
        )
        wait_until(lambda: model.loaded is not None and model.loaded.digest == two, 120)
        model.check_champion()
        with pytest.raises(Problem, match="promote that one there"):
            model.reload("other", False)
    finally:
        model.stop()


def test_a_champion_that_cannot_be_loaded_leaves_the_old_one_serving(
    registry: Registry, bucket: Bucket, models: Models, trained: training.Trained
) -> None:
    good = registry.publish(packaged(models, trained), KEY)
    bad = registry.publish(packaged(models, trained, "def"), KEY)
    registry.challenge(good, None, "better", NOW)
    registry.promote(None, "checked", NOW)
    model = following(registry, models)
    model.follow()
    assert model.check() == good
    name = f"f1/models/{bad}/files/model-{models.version}/golden.json"
    whole = bucket.read(name)
    bucket.write(name, whole[:-10])
    registry.point(registry.pointed(), Pointer(champion=bad, previous=good))
    model.follow()
    assert model.check() == good
    with pytest.raises(ArtifactError, match="golden.json is truncated"):
        model.check_champion()
    with pytest.raises(Problem) as refused:
        model.reload(None, False)
    assert refused.value.status_code == 422
    bucket.refuse = lambda method, path: Refusal(403, "AccessDenied")
    model.follow()
    assert model.check() == good
    with pytest.raises(StorageError):
        model.check_champion()
    # It is tried again, and mended without a restart.
    bucket.refuse = lambda method, path: None
    bucket.write(name, whole)
    model.follow()
    assert model.check() == bad
    model.check_champion()


def test_a_trained_model_is_measured_in_a_process_of_its_own(
    models: Models, trained: training.Trained, races: list[RaceRecord]
) -> None:
    served = measured_apart(models.folder, models.version)
    assert served.golden is None
    assert served.memory > 50 and served.latency > 0
    evidence = gather(trained.out_of_sample, None, races, served)
    assert evidence.leaks == ()
    verdict = decide(evidence)
    assert verdict.checks["leaks"] == "features are equal when all that comes later is cut off"
    (models.path / "golden.json").write_text("[]")
    assert "golden.json was changed" in str(measured_apart(models.folder, models.version).golden)
