import math
import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from f1.api.app import make_app
from f1.settings import Settings
from servicekit.settings import schema_settings
from tests.conftest import MakeClient, Models, settings_for
from tests.test_serving import worse

integration = pytest.mark.integration


def test_the_committed_description_is_that_of_the_code() -> None:
    committed = json.loads((Path(__file__).parents[1] / "openapi.json").read_text())
    assert (
        committed == make_app(schema_settings(Settings)).openapi()
    ), "run: python -m f1 openapi > openapi.json"


@integration
def test_health(client: TestClient, models: Models) -> None:
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert set(ready.json()["checks"]) == {"database", "redis", "model", "champion"}
    assert client.get("/version").json()["service"] == "f1-backend"
    client.get("/api/f1/races/2023/1")
    metrics = client.get("/metrics").text
    assert f'model_info{{model_version="{models.version}"}} 1.0' in metrics
    assert 'route="/api/f1/races/{season}/{round}"' in metrics


@integration
def test_answers_may_be_kept_where_the_flag_is_on(client: TestClient, make_client: MakeClient) -> None:
    paths = ["/api/f1/races", "/api/f1/races/2023/1", "/api/f1/drivers"]
    assert {client.get(path).headers.get("cache-control") for path in paths} == {None}
    flagged = make_client(flags=("cachedAnswers",))
    assert {flagged.get(path).headers["cache-control"] for path in paths} == {"public, max-age=30"}
    for path in ("/api/f1/races/1951/40", "/api/f1/model", "/health/ready"):
        assert flagged.get(path).headers.get("cache-control") != "public, max-age=30"


@integration
def test_the_next_race_is_predicted(client: TestClient, models: Models) -> None:
    body = client.get("/api/f1/races/next").json()
    assert body["race"]["status"] == "upcoming"
    assert body["race"]["demo"] is True
    assert body["stage"] == "post-qualifying"
    assert body["model_version"] == models.version
    rows = body["predictions"]
    assert len(rows) == 20
    assert sum(row["win"] for row in rows) == pytest.approx(1)
    assert sum(row["podium"] for row in rows) == pytest.approx(3)
    assert [row["rank"] for row in rows] == list(range(1, 21))
    assert [row["win"] for row in rows] == sorted((row["win"] for row in rows), reverse=True)
    assert sorted(row["grid"] for row in rows) == list(range(1, 21))
    assert all(len(row["drivers_of_prediction"]) == 5 for row in rows)
    assert rows[0]["drivers_of_prediction"][0]["label"]
    for row in rows:
        listed = sum(part["contribution"] for part in row["drivers_of_prediction"])
        assert listed + row["other_contributions"] == pytest.approx(math.log(row["win"] * 20))
    assert all(row["actual_position"] is None and row["status"] is None for row in rows)
    assert body["race"]["predicted_winner"]["id"] == rows[0]["driver"]["id"]
    assert body["weather"]["source"] == "simulator"


@integration
def test_a_race_further_away_is_predicted_from_form(client: TestClient) -> None:
    last = client.get("/api/f1/races").json()[-1]
    body = client.get(f"/api/f1/races/{last['season']}/{last['round']}").json()
    assert body["stage"] == "pre-weekend"
    assert {row["grid"] for row in body["predictions"]} == {None}
    assert sum(row["win"] for row in body["predictions"]) == pytest.approx(1)


@integration
def test_a_past_race_shows_what_was_predicted_and_what_happened(client: TestClient) -> None:
    body = client.get("/api/f1/races/2024/2").json()
    race = body["race"]
    assert race["status"] == "completed"
    assert body["stage"] == "post-qualifying"
    assert body["out_of_sample"] is True
    places = {row["driver"]["id"]: row["actual_position"] for row in body["predictions"]}
    assert places[race["winner"]["id"]] == 1
    assert race["hit"] is (race["winner"]["id"] == race["predicted_winner"]["id"])
    assert {row["status"] for row in body["predictions"]} <= {"finished", "dnf"}


@integration
def test_a_race_before_the_first_prediction_has_none(client: TestClient) -> None:
    body = client.get("/api/f1/races/2020/1").json()
    assert (body["predictions"], body["model_version"], body["race"]["hit"]) == ([], None, None)
    assert body["race"]["winner"]


@integration
def test_the_calendar(client: TestClient) -> None:
    assert client.get("/api/f1/seasons").json() == [2020, 2021, 2022, 2023, 2024]
    races = client.get("/api/f1/races", params={"season": 2024}).json()
    assert races == client.get("/api/f1/races").json()
    done = [race for race in races if race["status"] == "completed"]
    coming = [race for race in races if race["status"] == "upcoming"]
    assert len(done) + len(coming) == 16
    assert all(race["winner"] and race["predicted_winner"] and race["hit"] is not None for race in done)
    assert coming[0]["predicted_winner"] and not coming[1]["predicted_winner"]
    assert client.get("/api/f1/races", params={"season": 1999}).json() == []


@integration
def test_standings_add_up(client: TestClient) -> None:
    body = client.get("/api/f1/standings", params={"season": 2023}).json()
    assert body["after_round"] == 16
    drivers, teams = body["drivers"], body["constructors"]
    assert sum(row["points"] for row in drivers) == sum(row["points"] for row in teams) > 0
    assert sum(row["wins"] for row in drivers) == 16
    assert sum(row["podiums"] for row in teams) == 48
    assert [row["points"] for row in drivers] == sorted((row["points"] for row in drivers), reverse=True)
    assert [row["position"] for row in teams] == list(range(1, 11))
    assert all(len(row["drivers"]) == 2 for row in teams)
    assert client.get("/api/f1/drivers", params={"season": 2023}).json() == drivers
    assert client.get("/api/f1/constructors", params={"season": 2023}).json() == teams


@integration
def test_a_driver_and_a_constructor(client: TestClient) -> None:
    leader = client.get("/api/f1/drivers").json()[0]
    body = client.get(f"/api/f1/drivers/{leader['id']}").json()
    assert {key: body[key] for key in leader} == leader
    assert body["elo_history"][-1]["elo"] == leader["elo"]
    assert len(body["results"]) == len(body["elo_history"])
    predicted = [row for row in body["results"] if row["win_probability"] is not None]
    assert {row["season"] for row in predicted} == {2023, 2024}
    team = client.get(f"/api/f1/constructors/{leader['constructor']['id']}").json()
    assert leader["id"] in {driver["id"] for driver in team["drivers"]}
    assert team["results"][-1]["points"] >= body["results"][-1]["points"]
    assert team["elo_history"][-1]["elo"] == team["elo"]


@integration
@pytest.mark.parametrize("kind", ["driver", "constructor"])
def test_elo_series(client: TestClient, kind: str) -> None:
    series = client.get("/api/f1/elo", params={"season": 2023, "kind": kind}).json()
    assert len(series) == {"driver": 20, "constructor": 10}[kind]
    assert all([p["round"] for p in line["points"]] == list(range(1, 17)) for line in series)
    last = [line["points"][-1]["elo"] for line in series]
    assert last == sorted(last, reverse=True)


@integration
def test_the_model_card(client: TestClient, models: Models) -> None:
    card = client.get("/api/f1/model").json()
    assert card["version"] == models.version
    assert card["demo"] is True
    assert sum(feature["importance"] for feature in card["features"]) == pytest.approx(1)
    assert card["features"][0]["label"]
    assert card["metrics"]["seasons"] == [2023, 2024]
    assert card["metrics"]["bootstrap"]["draws"] == 2000
    interval = card["metrics"]["bootstrap"]["log_loss_difference"]
    assert interval["low"] <= interval["mid"] <= interval["high"]
    assert (
        sum(part["count"] for part in card["calibration"]["model"]) == 20 * card["metrics"]["model"]["races"]
    )
    races = card["metrics"]["model"]["races"]
    assert sum(part["count"] for part in card["calibration"]["favourites"]) == races
    assert [row["name"] for row in card["metrics"]["baselines"]][0] == "grid"
    assert card["metrics"]["baselines"][0]["scores"] == card["metrics"]["baseline"]
    assert [row["season"] for row in card["metrics"]["by_season"]] == [2023, 2024]
    for season in card["metrics"]["by_season"]:
        assert [row["name"] for row in season["scores"]][0] == "model"
        assert all(row["label"] for row in season["scores"])
    for stage in ("pre-weekend", "post-qualifying"):
        weights = [row["weight"] for row in card["experts"] if row["stage"] == stage]
        assert sum(weights) == pytest.approx(1)
        assert weights == sorted(weights, reverse=True)


@integration
def test_performance_is_that_of_the_walk_forward(client: TestClient) -> None:
    everything = client.get("/api/f1/performance").json()
    card = client.get("/api/f1/model").json()["metrics"]
    totals = everything["totals"]
    assert totals["races"] == card["model"]["races"] == len(everything["predictions"])
    assert totals["log_loss"] == pytest.approx(card["model"]["winner_log_loss"])
    assert totals["baseline_log_loss"] == pytest.approx(card["baseline"]["winner_log_loss"])
    assert totals["winner_top1"] == pytest.approx(card["model"]["winner_top1"])
    assert totals["podium_precision"] == pytest.approx(card["model"]["podium_precision"])
    one = client.get("/api/f1/performance", params={"season": 2023}).json()
    assert {row["season"] for row in one["predictions"]} == {2023}
    empty = client.get("/api/f1/performance", params={"season": 1999}).json()
    assert empty["predictions"] == []
    assert empty["totals"]["log_loss"] is None


@integration
@pytest.mark.parametrize(
    "path",
    [
        "races/2023/40",
        "races/1999/1",
        "drivers/nobody",
        "constructors/nobody",
        "standings?season=1999",
        "drivers?season=1999",
        "nothing",
    ],
)
def test_what_does_not_exist_is_a_problem_404(client: TestClient, path: str) -> None:
    response = client.get(f"/api/f1/{path}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


@integration
@pytest.mark.parametrize(
    "path", ["races/2023/0", "races/x/1", "drivers/UP", "elo?kind=team", "races?season=5"]
)
def test_a_bad_request_is_a_problem_422(client: TestClient, path: str) -> None:
    response = client.get(f"/api/f1/{path}")
    assert response.status_code == 422
    assert response.json()["errors"]


@integration
def test_an_empty_database_has_empty_answers(make_client: MakeClient, empty_database: str) -> None:
    client = make_client(database_url=empty_database)
    for path in ("seasons", "races", "elo"):
        assert client.get(f"/api/f1/{path}").json() == []
    assert client.get("/api/f1/performance").json()["predictions"] == []
    for path in ("races/next", "standings", "drivers", "constructors"):
        assert client.get(f"/api/f1/{path}").status_code == 404


@integration
def test_without_a_model_history_is_still_there(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(model_dir=tmp_path / "none")
    assert client.get("/health/ready").status_code == 503
    assert client.get("/health/live").status_code == 200
    for path in ("races/next", "model"):
        assert client.get(f"/api/f1/{path}").status_code == 503
    assert client.get("/api/f1/races/2024/2").json()["predictions"]
    assert len(client.get("/api/f1/races").json()) == 16


@integration
def test_answers_come_from_the_cache_until_the_model_changes(make_client: MakeClient, models: Models) -> None:
    client = make_client()
    first = client.get("/api/f1/races/next").json()
    assert client.get("/api/f1/races/next").json()["generated_at"] == first["generated_at"]
    worse(models, "other", 0.01)
    swapped = client.post("/admin/model/reload", json={"version": "other"})
    assert swapped.json() == {"previous": models.version, "current": "other"}
    second = client.get("/api/f1/races/next").json()
    assert second["model_version"] == "other"
    assert second["generated_at"] > first["generated_at"]
    # Equal weights, equal chances.
    assert second["predictions"] == first["predictions"]


@integration
def test_without_redis_everything_is_answered(make_client: MakeClient) -> None:
    client = make_client(redis_url="redis://127.0.0.1:1/0")
    assert client.get("/api/f1/races/next").status_code == 200
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")


@integration
def test_only_administrators_reload(make_client: MakeClient, models: Models) -> None:
    client = make_client()
    assert client.post("/admin/model/reload", headers={"Authorization": ""}).status_code == 401
    editor = client.app.state.tokens.issue("someone", "editor", 60)  # type: ignore[attr-defined]
    forbidden = client.post("/admin/model/reload", headers={"Authorization": f"Bearer {editor}"})
    assert forbidden.status_code == 403
    again = client.post("/admin/model/reload")
    assert again.json() == {"previous": models.version, "current": models.version}


@integration
def test_a_refused_reload_says_why(make_client: MakeClient, models: Models) -> None:
    client = make_client()
    (worse(models, "broken", 0).path / "golden.json").write_text("[]")
    worse(models, "worse", 0.5)
    for body, status, reason in (
        ({"version": "broken"}, 422, "checksum"),
        ({"version": "absent"}, 404, "missing"),
        ({"version": "worse"}, 409, "worse"),
    ):
        response = client.post("/admin/model/reload", json=body)
        assert response.status_code == status
        problem = response.json()
        assert (problem["reason"], problem["current"]) == (reason, models.version)
    assert client.post("/admin/model/reload", json={"version": "../x"}).status_code == 422
    assert client.get("/api/f1/model").json()["version"] == models.version
    assert client.post("/admin/model/reload", json={"version": "worse", "force": True}).status_code == 200


@integration
def test_a_database_that_goes_away_is_503(make_client: MakeClient) -> None:
    client = make_client(database_url="postgresql://postgres@127.0.0.1:1/none")
    response = client.get("/api/f1/standings?season=2021")
    assert response.status_code == 503
    assert client.get("/health/ready").status_code == 503


def test_settings_without_a_database_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="model_worse_margin"):
        settings_for(model_worse_margin=-1)
