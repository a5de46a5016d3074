"""Stored forecasts against results, on a real database."""

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select, text

from f1 import store
from f1.api.app import make_app
from f1.dataset import SeasonData, history
from f1.history import POST_QUALIFYING, PRE_WEEKEND, RaceRecord
from f1.ingest import run
from f1.model import artifact
from f1.model.baseline import names
from f1.monitoring import records, watch
from f1.monitoring.findings import Finding, Raised, answered, followed, retired, since
from f1.monitoring.judging import StageReport
from f1.monitoring.watch import Look
from f1.tables import MonitoringReport, Prediction
from servicekit.database import Database
from tests.conftest import Models, settings_for
from tests.forecasts import BAD, GOOD, keep, said

integration = pytest.mark.integration

NOW = dt.datetime(2026, 3, 16, tzinfo=dt.UTC)
ALPHA = 0.05


@pytest.fixture
def database(empty_database: str) -> Iterator[Database]:
    opened = Database(settings_for(database_url=empty_database))
    yield opened
    opened.close()


@pytest.fixture
def season(seasons: list[SeasonData]) -> SeasonData:
    """A season that was run to its end."""
    return seasons[-2]


@pytest.fixture
def run_races(season: SeasonData, database: Database) -> list[RaceRecord]:
    run.ingest(database, "demo", [season])
    return history([season])


def look(database: Database, version: str = "m-1", now: dt.datetime = NOW) -> Look:
    return watch.look(database, watch.Serving(version, dt.date(2023, 12, 31)), ALPHA, now)


def after(seen: Look) -> StageReport:
    return seen.stages[0]


def reports(database: Database) -> int:
    with database.session() as session:
        return session.scalar(select(func.count()).select_from(MonitoringReport)) or 0


def findings(database: Database) -> list[Finding]:
    with database.session() as session:
        return records.load_findings(session)


def with_winner(season: SeasonData, round_: int, driver: str | None) -> SeasonData:
    """The season with another winner of a round; None: with nobody in place 1."""

    def place(row_driver: str, position: int | None) -> int | None:
        if row_driver == driver:
            return 1
        return 30 if position == 1 else position

    return replace(
        season,
        results=tuple(
            replace(row, position=place(row.who.driver, row.position)) if row.round == round_ else row
            for row in season.results
        ),
    )


@integration
def test_without_a_stored_forecast_there_is_no_data(database: Database, run_races: list[RaceRecord]) -> None:
    seen = look(database)
    assert [(each.stage, each.verdict) for each in seen.stages] == [
        (POST_QUALIFYING, "no-data"),
        (PRE_WEEKEND, "no-data"),
    ]
    assert after(seen).log_loss is None and not seen.findings
    # What is predicted after a race is no forecast of it.
    keep(database, [said(run_races[0], GOOD, BAD)], days=-1)
    assert after(look(database)).verdict == "no-data"


@integration
def test_one_race_proves_nothing_and_a_second_look_changes_nothing(
    database: Database, run_races: list[RaceRecord]
) -> None:
    first = run_races[0]
    # The last one before the race counts.
    keep(database, [said(first, 0.2, 0.2)], version="m-0", days=5)
    keep(database, [said(first, BAD, GOOD)], days=0)
    seen = look(database)
    assert seen.changed and (after(seen).verdict, len(after(seen).races)) == ("undecided", 1)
    (race,) = after(seen).races
    assert (race.winner, race.model_version, race.results_version) == (first.winner, "m-1", 1)
    assert race.log_loss == pytest.approx(-math.log(BAD))
    assert race.baselines == pytest.approx({name: -math.log(GOOD) for name in names(POST_QUALIFYING)})
    assert 1 < race.evidence < after(seen).alarm_at
    assert not look(database).changed and reports(database) == 1


@integration
def test_a_worse_model_is_a_finding_that_one_training_answers_and_another_model_ends(
    database: Database, run_races: list[RaceRecord]
) -> None:
    keep(database, [said(record, BAD, GOOD) for record in run_races[:6]])
    seen = look(database)
    assert after(seen).verdict == "worse"
    (finding,) = seen.findings
    assert (finding.state, finding.stage, finding.model_version) == ("open", POST_QUALIFYING, "m-1")
    assert "after qualifying, the model's log-loss over 6 races is 2.639 a race above" in finding.message
    assert seen.open == [finding.message]
    assert not look(database).changed

    watch.answer(database, "unproven: the champion stays", NOW)
    (finding,) = findings(database)
    assert (finding.state, finding.answer) == ("answered", "unproven: the champion stays")
    # More of the same is no other finding.
    keep(database, [said(record, BAD, GOOD) for record in run_races[6:8]])
    seen = look(database)
    assert seen.changed and not seen.open and "8 races" in seen.findings[0].message

    # Another model serves: its forecasts are judged from the beginning.
    then = dt.datetime.combine(run_races[8].race.date, dt.time(), dt.UTC) - dt.timedelta(days=3)
    keep(database, [said(run_races[8], GOOD, BAD)], version="m-2")
    seen = look(database, "m-2", then)
    assert [each.state for each in seen.findings] == ["replaced"]
    assert [race.model_version for race in after(seen).races] == ["m-2"]
    keep(database, [said(record, BAD, GOOD) for record in run_races[9:]], version="m-2")
    assert [each.state for each in look(database, "m-2").findings] == ["replaced", "open"]


@integration
def test_a_correction_is_judged_again_and_may_take_a_finding_back(
    database: Database, season: SeasonData, run_races: list[RaceRecord]
) -> None:
    # The model was sure of somebody whom the results name only later.
    late = {
        record.race.round: next(e.driver for e in record.entries if e.driver != record.winner)
        for record in run_races[:8]
    }
    keep(database, [said(record, 0.99, 0.2, winner=late[record.race.round]) for record in run_races[:8]])
    assert after(look(database)).verdict == "worse"
    corrected = season
    for round_, driver in late.items():
        corrected = with_winner(corrected, round_, driver)
    run.ingest(database, "demo", [corrected])
    seen = look(database)
    assert seen.changed and after(seen).verdict != "worse"
    assert {race.results_version for race in after(seen).races} == {2}
    assert [each.state for each in seen.findings] == ["withdrawn"]
    # The correction was wrong.
    run.ingest(database, "demo", [season])
    seen = look(database)
    assert [each.state for each in seen.findings] == ["open"]
    assert {race.results_version for race in after(seen).races} == {3}
    assert reports(database) == 3


@integration
def test_what_was_found_of_demonstration_data_goes_with_it(
    database: Database, run_races: list[RaceRecord]
) -> None:
    keep(database, [said(record, BAD, GOOD) for record in run_races])
    assert look(database).open
    with database.session() as session:
        assert store.remove_demo(session) == 1
    assert (reports(database), findings(database)) == (0, [])
    assert after(look(database)).verdict == "no-data"


@integration
def test_races_that_cannot_be_judged_are_named_and_withdrawn_ones_are_gone(
    database: Database, season: SeasonData, run_races: list[RaceRecord]
) -> None:
    first, second, third = run_races[:3]
    keep(database, [said(first, GOOD, BAD), said(second, GOOD, BAD), said(third, GOOD, BAD)])
    stranger = first.winner
    with database.session() as session:
        session.execute(
            text(
                "DELETE FROM predictions p USING races r WHERE r.id = p.race_id AND r.round = :round "
                "AND p.driver = :driver"
            ),
            {"round": first.race.round, "driver": stranger},
        )
    run.ingest(database, "demo", [with_winner(season, second.race.round, None)])
    report = after(look(database))
    assert [(each.round, each.because) for each in report.left_out] == [
        (first.race.round, f"{stranger} won, who was in no forecast of it"),
        (second.race.round, "its results name no winner"),
    ]
    assert [race.round for race in report.races] == [third.race.round]
    withdrawn = replace(season, results=tuple(row for row in season.results if row.round != third.race.round))
    run.ingest(database, "demo", [withdrawn])
    report = after(look(database))
    # The second one has its winner back.
    assert [race.round for race in report.races] == [second.race.round]
    assert third.race.round not in [each.round for each in report.left_out]


@integration
def test_a_better_model_is_proven_and_zero_is_no_infinity(
    database: Database, run_races: list[RaceRecord]
) -> None:
    keep(database, [said(record, GOOD, BAD, PRE_WEEKEND) for record in run_races])
    keep(database, [said(run_races[0], 0.0, GOOD)])
    seen = look(database)
    assert seen.stages[1].verdict == "better"
    assert seen.stages[1].best in names(PRE_WEEKEND)
    (race,) = after(seen).races
    assert race.log_loss == pytest.approx(-math.log(1e-15)) and race.evidence < after(seen).alarm_at


@integration
def test_forecasts_from_before_baselines_were_kept_are_shown_and_prove_nothing(
    database: Database, run_races: list[RaceRecord]
) -> None:
    keep(database, [replace(said(record, BAD, GOOD), baselines={}) for record in run_races])
    report = after(look(database))
    assert (report.verdict, report.evidence, report.best) == ("undecided", 1.0, None)
    assert len(report.races) == len(run_races) and not report.baselines


@integration
def test_the_forecast_of_the_next_race_is_kept_with_every_baseline(
    database: Database, seasons: list[SeasonData], models: Models
) -> None:
    run.ingest(database, "demo", seasons)
    model = artifact.load(models.folder, models.version)
    with database.session() as session:
        records_ = store.load_history(session)
        coming = next(record for record in records_ if not record.run)
        kept = watch.keep_forecast(session, model, records_, coming.race.date)
        assert kept is not None and kept.stage == POST_QUALIFYING
        rows = list(session.scalars(select(Prediction)))
        # Again, with one driver fewer: the old forecast is gone as a whole.
        again = replace(kept, chances=kept.chances[1:])
        store.save_predictions(session, model.version, [(again, coming.race.date - dt.timedelta(days=1))])
        assert session.scalar(select(func.count()).select_from(Prediction)) == len(rows) - 1
        # The day after, only the results are missing: what was said before must stay.
        day_after = coming.race.date + dt.timedelta(days=1)
        assert watch.keep_forecast(session, model, records_, day_after) is None
        assert watch.keep_forecast(session, model, [r for r in records_ if r.run], day_after) is None
    assert len(rows) == 20
    for name in names(POST_QUALIFYING):
        assert sum((row.baselines or {})[name] for row in rows) == pytest.approx(1.0)


@integration
def test_the_api_tells_what_was_found_and_when_it_is_outdated(
    database: Database, empty_database: str, models: Models, season: SeasonData, run_races: list[RaceRecord]
) -> None:
    settings = settings_for(database_url=empty_database, model_dir=models.folder)
    with TestClient(make_app(settings)) as client:

        def answer() -> dict[str, object]:
            client.app.state.platform._cache.invalidate("data")  # type: ignore[attr-defined]
            response = client.get("/api/f1/monitoring")
            assert response.status_code == 200
            body: dict[str, object] = response.json()
            return body

        assert answer() == {
            "judged_at": None,
            "outdated": False,
            "alpha": None,
            "model_version": None,
            "stages": [],
            "drift": None,
            "findings": [],
        }
        keep(database, [said(record, BAD, GOOD) for record in run_races])
        assert answer()["outdated"] is True
        look(database)
        body = answer()
        assert (body["outdated"], body["alpha"], body["model_version"]) == (False, ALPHA, "m-1")
        assert body["drift"]["verdict"] == "too-little-data"  # type: ignore[index]
        stage = body["stages"][0]  # type: ignore[index]
        assert stage["verdict"] == "worse"
        assert stage["races"][0]["winner"]["id"] == run_races[0].winner
        assert [each["state"] for each in body["findings"]] == ["open"]  # type: ignore[attr-defined]
        run.ingest(database, "demo", [with_winner(season, 1, run_races[0].entries[0].driver)])
        assert answer()["outdated"] is (run_races[0].entries[0].driver != run_races[0].winner)


RAISED = Raised("performance:post-qualifying:start", "performance", POST_QUALIFYING, "worse")


def test_a_finding_asks_for_one_training_and_ends_with_its_model() -> None:
    (opened,) = followed([], [RAISED], "m-1", NOW)
    assert (opened.state, opened.model_version) == ("open", "m-1")
    assert followed([opened], [RAISED], "m-1", NOW) == [opened]
    (done,) = answered([opened], "refused", NOW)
    assert (done.state, done.answer) == ("answered", "refused")
    assert answered([done], "again", NOW) == [done]
    # Nobody knows what serves: it may be the same.
    assert retired([done], None, NOW) == retired([done], "m-1", NOW) == [done]
    (over,) = retired([done], "m-2", NOW)
    assert (over.state, over.ended_at, over.stands) == ("replaced", NOW, False)
    assert since([over], POST_QUALIFYING) == NOW and since([over], PRE_WEEKEND) is None
    assert followed([over], [], "m-2", NOW) == [over]
    (gone,) = followed([done], [], "m-1", NOW)
    assert gone.state == "withdrawn" and since([gone], POST_QUALIFYING) is None
