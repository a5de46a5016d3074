"""What a deploy of a model asks of the registry, and what servers say of the models that they have loaded."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from f1.api import serving
from f1.api.serving import NotFinite, ServedModel
from f1.api.shadow import Compared, Shadow, Tally
from f1.forecast import Chance, Forecast
from f1.history import PRE_WEEKEND, Race, RaceRecord
from f1.model import training
from f1.model.artifact import ArtifactError, Loaded, load
from f1.registry import package, promotion
from f1.registry.registry import Pointer, Registry
from servicekit.testing import wait_until
from servicekit.testing_storage import Bucket
from tests.conftest import MakeClient, Models
from tests.models import KEY, registry_of
from tests.test_following import following, packaged
from tests.test_registry import NOW, published

integration = pytest.mark.integration

ONE, TWO, THREE = ("1" * 64, "2" * 64, "3" * 64)


def test_the_pointer_moves_from_the_champion_expected_and_from_no_other(registry: Registry) -> None:
    registry.point(registry.pointed(), Pointer(ONE, TWO, THREE))
    moved = promotion.move(registry, TWO, ONE, ONE, "operation x", NOW)
    assert moved == promotion.Moved("pointed", "222222222222 is the champion", TWO)
    after = Pointer(TWO, None, ONE, "2026-03-16T00:00:00+00:00", "operation x")
    assert registry.pointed().pointer == after
    # Again, as a command that was killed does: nothing changes.
    seen = registry.pointed()
    assert promotion.move(registry, TWO, ONE, ONE, "operation y", NOW).outcome == "pointed"
    assert registry.pointed() == seen
    late = promotion.move(registry, THREE, ONE, ONE, "operation z", NOW)
    assert late.outcome == "superseded"
    assert late.message.startswith("the champion is 222222222222 and not 111111111111")
    assert registry.pointed() == seen
    # Back to none, where there was none, and another challenger stays.
    registry.point(seen, replace(after, challenger=THREE))
    assert promotion.move(registry, None, TWO, None, "operation x", NOW).champion is None
    assert registry.pointed().pointer.challenger == THREE


def test_a_writer_who_comes_between_is_seen(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.point(registry.pointed(), Pointer(ONE))
    whole, other = registry.point, [Pointer(ONE, THREE), Pointer(TWO)]

    def between(seen: Any, pointer: Pointer) -> Any:
        if other:
            whole(registry.pointed(), other.pop(0))
        return whole(seen, pointer)

    monkeypatch.setattr(registry, "point", between)
    # The first changes the challenger alone, the second the champion.
    assert promotion.move(registry, THREE, ONE, ONE, "x", NOW).outcome == "superseded"
    assert registry.pointed().pointer.champion == TWO


def test_a_challenger_is_named_beside_the_champion_expected(registry: Registry) -> None:
    registry.point(registry.pointed(), Pointer(ONE))
    assert promotion.shadow(registry, TWO, ONE, "x", NOW).outcome == "pointed"
    assert registry.pointed().pointer.challenger == TWO
    assert promotion.shadow(registry, THREE, TWO, "x", NOW).outcome == "superseded"
    assert registry.pointed().pointer.challenger == TWO


def test_an_examination_says_what_the_gate_said_and_why_a_model_cannot_be_served(
    registry: Registry, bucket: Bucket, models: Models, trained: training.Trained, tmp_path: Path
) -> None:
    nothing = promotion.examine(registry, "challenger")
    assert (nothing.digest, nothing.message) == (None, "there is no challenger")
    good = registry.publish(packaged(models, trained), KEY)
    registry.challenge(good, None, "better", NOW)
    found = promotion.examine(registry, "challenger")
    assert (found.digest, found.version, found.problem) == (good, models.version, None)
    assert (found.verdict, found.champion) == ("better", None)
    # Trees that are none: everything holds but the model itself.
    bad = published(registry, tmp_path / "bad")
    broken = promotion.examine(registry, bad)
    assert broken.problem is not None and broken.verdict is not None
    name = f"f1/models/{good}/files/record.json"
    bucket.write(name, bucket.read(name)[:-3])
    truncated = promotion.examine(registry, good)
    assert str(truncated.problem).startswith("record.json is truncated")
    assert truncated.verdict is None
    assert "there is no finished model" in str(promotion.examine(registry, THREE).problem)
    assert registry.pointed().pointer.challenger == good


@pytest.mark.parametrize(
    ("arguments", "outcome", "message"),
    [
        (["examine", "previous"], "examined", "there is no previous"),
        (["shadow", ONE, "none", "20260316-000000-ab12"], "pointed", "111111111111 is the challenger"),
        (["point", ONE, TWO, "none", "x"], "superseded", "the champion is none and not 222222222222"),
        (["point", "newest", "none", "none", "x"], "failed", "'newest' is no digest of a model"),
    ],
)
def test_each_command_ends_with_its_outcome(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, arguments: list[str], outcome: str, message: str
) -> None:
    for name, value in {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "JWT_SECRET_KEY": "unit-tests-only-0123456789abcdef",
        "MODEL_REGISTRY": f"s3://{bucket.name}/f1",
        "MODEL_REGISTRY_ENDPOINT": bucket.endpoint,
        "MODEL_PUBLIC_KEY": package.public_key_of(KEY),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "f1", "registry", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == (1 if outcome == "failed" else 0), ran.stderr
    result = json.loads(ran.stdout.splitlines()[-1])
    assert (result["event"], result["outcome"]) == ("result", outcome)
    assert result["message"].startswith(message)


def test_the_challenger_is_loaded_beside_the_champion_and_takes_its_place_without_being_loaded_again(
    registry: Registry, models: Models, trained: training.Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = registry.publish(packaged(models, trained), KEY)
    two = registry.publish(packaged(models, trained, "def"), KEY)
    registry.point(registry.pointed(), Pointer(champion=one, challenger=two))
    model = following(registry, models)
    tried: list[str | None] = []
    model.trial = lambda loaded: tried.append(loaded.digest)
    model.follow()
    try:
        assert model.check() == one
        shadow = model.shadow
        assert shadow is not None and shadow.digest == two
        beside = shadow.loaded
        assert beside is not None
        assert tried == [two]
        with monkeypatch.context() as patch:
            patch.setattr(registry, "load", lambda digest: pytest.fail(f"{digest} is loaded again"))
            promotion.move(registry, two, one, one, "x", NOW)
            model.follow()
        assert model.loaded is beside
        assert model.shadow is None
        assert tried == [two, two]
    finally:
        model.stop()


def test_a_model_that_cannot_predict_is_not_served(
    registry: Registry, models: Models, trained: training.Trained
) -> None:
    one = registry.publish(packaged(models, trained), KEY)
    two = registry.publish(packaged(models, trained, "def"), KEY)
    registry.point(registry.pointed(), Pointer(champion=one))
    model = following(registry, models)

    def refuse(loaded: Loaded) -> None:
        raise ArtifactError("prediction", "it cannot predict the next race")

    # A server without a model takes what there is.
    model.trial = refuse
    model.follow()
    assert model.check() == one
    registry.point(registry.pointed(), Pointer(champion=one, challenger=two))
    model.follow()
    assert model.shadow is not None and model.shadow.loaded is None
    assert model.shadow.problem == "prediction"
    model.check_champion()
    promotion.move(registry, two, one, one, "x", NOW)
    model.follow()
    assert model.check() == one
    refused = model.refused
    assert refused == serving.RefusedModel(two, "prediction")
    with pytest.raises(ArtifactError, match="cannot predict"):
        model.check_champion()
    promotion.move(registry, one, two, None, "x", NOW)
    model.follow()
    assert model.refused is None
    model.check_champion()
    model.stop()


def _forecast(win: float) -> Forecast:
    race = Race(2026, 1, NOW.date(), "A race", "circuit", "RACE")
    return Forecast(race, PRE_WEEKEND, [Chance("ada", "team", None, win, 0.5, 0.1, [])])


def test_predictions_are_counted_and_chances_that_are_no_numbers_are_failures(models: Models) -> None:
    model = ServedModel(models.folder, 0.05)
    model.start()
    loaded = load(models.folder, models.version)
    assert model.tally(loaded) == Tally()
    model.predicted(loaded, lambda: _forecast(0.5))
    for bad in (float("nan"), float("inf")):
        with pytest.raises(NotFinite, match="the chances of ada are"):
            model.predicted(loaded, lambda win=bad: _forecast(win))  # type: ignore[misc]
    assert model.tally(loaded) == Tally(1, 2, "NotFinite")


def test_differences_are_those_of_one_drivers_chance() -> None:
    compared = Compared().with_answers({"ada": 0.6, "bob": 0.4}, {"ada": 0.5, "bob": 0.5})
    assert (compared.requests, compared.other_favourite) == (1, 0)
    assert compared.largest == pytest.approx(0.1)
    assert compared.mean == pytest.approx(0.1)
    # Another favourite, and somebody whom only one of them knows.
    compared = compared.with_answers({"ada": 0.6, "bob": 0.4}, {"ada": 0.1, "bob": 0.6, "eve": 0.3})
    assert (compared.requests, compared.other_favourite) == (2, 1)
    assert compared.largest == pytest.approx(0.5)
    assert Compared().mean == 0.0


def test_an_answer_is_compared_once_and_a_failure_stops_nothing(models: Models) -> None:
    shadow = Shadow(ONE, load(models.folder, models.version))
    asked: list[str] = []

    def answer(status: str, win: float) -> str:
        rows = [{"driver": {"id": "ada"}, "win": win}]
        return json.dumps({"race": {"status": status}, "predictions": rows})

    def again(name: str) -> Callable[[Loaded], Any]:
        def ask(_: Loaded) -> Any:
            asked.append(name)
            raise RuntimeError("the database is away")

        return ask

    try:
        for name, text in (
            ("first", answer("upcoming", 0.5)),
            ("same", answer("upcoming", 0.5)),
            ("changed", answer("upcoming", 0.6)),
        ):
            shadow.consider("next", text, again(name))
        wait_until(lambda: asked == ["first", "changed"], 60)
        assert shadow.compared == Compared()
    finally:
        shadow.stop()


@integration
def test_a_server_says_which_models_it_has_loaded_and_how_their_answers_differ(
    make_client: MakeClient,
    bucket: Bucket,
    models: Models,
    trained: training.Trained,
    races: list[RaceRecord],
) -> None:
    folder = make_client()
    assert folder.get("/api/f1/model/served").json() == {
        "follows_registry": False,
        "champion": {
            "digest": None,
            "version": models.version,
            "predictions": 0,
            "failures": 0,
            "last_failure": None,
        },
        "refused": None,
        "shadow": None,
    }
    registry = registry_of(bucket, "development")
    one = registry.publish(packaged(models, trained), KEY)
    two = registry.publish(packaged(models, trained, "def"), KEY)
    registry.point(registry.pointed(), Pointer(champion=one, challenger=two))
    client: TestClient = make_client(
        model_registry=f"s3://{bucket.name}/f1",
        model_registry_endpoint=bucket.endpoint,
        model_public_key=package.public_key_of(KEY),
        model_poll_seconds=0.05,
    )

    def served() -> dict[str, Any]:
        response = client.get("/api/f1/model/served")
        assert response.headers["cache-control"] == "no-store"
        answer: dict[str, Any] = response.json()
        return answer

    wait_until(lambda: served()["shadow"] is not None, 120)
    assert served()["champion"]["digest"] == one
    for path in ("/api/f1/races/next", "/api/f1/races/2023/1", "/api/f1/races/next"):
        assert client.get(path).status_code == 200
    wait_until(lambda: served()["shadow"]["requests"] == 1, 60)
    shadow = served()["shadow"]
    assert (shadow["digest"], shadow["problem"], shadow["other_favourite"]) == (two, None, 0)
    # The same trees.
    assert shadow["largest_difference"] == 0
    # One trial, and the one that was compared.
    assert (shadow["model"]["predictions"], shadow["model"]["failures"]) == (2, 0)
    before = client.get("/api/f1/races/next").json()["generated_at"]
    promotion.move(registry, two, one, one, "x", NOW)
    wait_until(lambda: served()["champion"]["digest"] == two, 120)
    # The trial counts, so that it is known to predict before a user asks.
    assert served()["champion"]["predictions"] == 1
    assert client.get("/api/f1/races/next").json()["generated_at"] > before


@integration
def test_a_model_that_fails_at_the_next_race_leaves_the_old_one_serving(
    make_client: MakeClient, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client()
    platform = client.app.state.platform  # type: ignore[attr-defined]
    loaded = load(models.folder, models.version)
    platform.try_out(loaded)

    def fails(*_: object) -> Forecast:
        raise ValueError("no such feature")

    monkeypatch.setattr("f1.api.platform.predict_upcoming", fails)
    with pytest.raises(ArtifactError, match="cannot predict the next race: ValueError: no such feature"):
        platform.try_out(loaded)
