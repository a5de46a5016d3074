import datetime as dt
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import delete, func, select

from f1 import store
from f1.api.platform import Platform
from f1.api.serving import ServedModel
from f1.dataset import RaceRow, SeasonData, SourceError, history
from f1.forecast import Forecast, of_predicted
from f1.history import RaceRecord
from f1.ingest import csvfiles, run
from f1.ingest.http import JsonClient
from f1.ingest.jolpica import Jolpica
from f1.ingest.weather import Reading, Unknown, WeatherClient
from f1.model import training
from f1.tables import Driver, LabelVersion, Prediction, Qualifying, Race, Rating, Result, Season, Weather
from servicekit.cache import Cache
from servicekit.database import Database
from servicekit.problems import Problem
from tests.conftest import AS_OF, Models, settings_for
from tests.replay import replaying
from tests.test_csvfiles import write

pytestmark = pytest.mark.integration


@pytest.fixture
def database(empty_database: str) -> Iterator[Database]:
    opened = Database(settings_for(database_url=empty_database))
    yield opened
    opened.close()


def counts(database: Database) -> dict[str, int]:
    with database.session() as session:
        return {
            table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Season, Race, Driver, Result, Qualifying, Rating, Weather)
        }


def test_what_is_read_is_what_was_written(database: Database, seasons: list[SeasonData]) -> None:
    run.ingest(database, "demo", seasons)
    with database.session() as session:
        assert store.load_history(session) == history(seasons)


def test_an_import_done_twice_changes_nothing(database: Database, seasons: list[SeasonData]) -> None:
    assert run.ingest(database, "demo", seasons) == run.Outcome(5, 0)
    run.update_ratings(database)
    before = counts(database)
    assert run.ingest(database, "demo", seasons) == run.Outcome(0, 5)
    # Another source has a journal of its own: it writes the same rows again.
    assert run.ingest(database, "again", seasons) == run.Outcome(5, 0)
    run.update_ratings(database)
    assert counts(database) == before
    assert before["ratings"] == 30 * sum(record.completed for record in history(seasons))


def test_a_corrected_season_replaces_the_old_one(database: Database, seasons: list[SeasonData]) -> None:
    season = seasons[0]
    run.ingest(database, "demo", [season])
    first = season.results[0]
    corrected = replace(
        season,
        races=season.races[:-1],
        results=tuple(
            replace(row, points=99.0) if row is first else row
            for row in season.results
            if row.round < 16 and not (row.round == 1 and row.position == 5)
        ),
        qualifying=tuple(row for row in season.qualifying if row.round < 16),
        rain={},
    )
    run.ingest(database, "demo", [corrected])
    with database.session() as session:
        records = store.load_history(session)
    # A race with results is not deleted when it leaves the calendar: somebody must look at that.
    assert len(records) == 16
    assert len(records[0].outcomes) == 19
    winner = next(o for o in records[0].outcomes if o.driver == first.who.driver)
    assert winner.points == 99.0


def versions(database: Database, kind: str) -> list[tuple[int, str]]:
    with database.session() as session:
        found = session.scalars(
            select(LabelVersion).where(LabelVersion.kind == kind, LabelVersion.version > 1)
        )
        return [(version.version, version.source) for version in found]


def with_another_winner(season: SeasonData) -> SeasonData:
    """The winner of round 2 disqualified and, as a correction does, everybody else moved up."""
    return replace(
        season,
        results=tuple(
            (
                (
                    replace(row, position=None, status="dsq")
                    if row.position == 1
                    else replace(row, position=row.position and row.position - 1)
                )
                if row.round == 2
                else row
            )
            for row in season.results
        ),
    )


def correction_of(season: SeasonData) -> str:
    """What is said of it."""
    first, second = (
        next(row.who.driver for row in season.results if row.round == 2 and row.position == place)
        for place in (1, 2)
    )
    name = f"{season.year}/2 {season.races[1].name}"
    return f"{name}: results corrected by demo, version 2: first was {first}, is {second}"


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_a_correction_is_a_new_version_and_is_said(
    database: Database, seasons: list[SeasonData], caplog: pytest.LogCaptureFixture
) -> None:
    season = seasons[0]
    run.ingest(database, "demo", [season])
    caplog.clear()
    run.ingest(database, "demo", [with_another_winner(season)])
    assert warnings(caplog) == [correction_of(season)]
    assert versions(database, "results") == [(2, "demo")]
    with database.session() as session:
        records = store.load_history(session)
        assert correction_of(season).endswith(f"is {records[1].winner}")
        old = session.scalars(select(LabelVersion).where(LabelVersion.version == 1)).all()
        assert len(old) == 32
        assert sum(label["position"] == 1 for version in old for label in version.labels) == 32
    # Another data hash, and back again.
    assert training.fingerprint(records) != training.fingerprint(history([season]))
    run.ingest(database, "demo", [season])
    assert versions(database, "results") == [(2, "demo"), (3, "demo")]
    with database.session() as session:
        assert training.fingerprint(store.load_history(session)) == training.fingerprint(history([season]))


def test_the_first_correction_of_what_was_stored_before_versions_is_said(
    database: Database, seasons: list[SeasonData], caplog: pytest.LogCaptureFixture
) -> None:
    season = seasons[0]
    run.ingest(database, "demo", [season])
    with database.session() as session:
        session.execute(delete(LabelVersion))
    caplog.clear()
    run.ingest(database, "demo", [with_another_winner(season)])
    assert warnings(caplog) == [correction_of(season)]
    assert versions(database, "results") == [(2, "demo")]
    with database.session() as session:
        first = session.scalars(select(LabelVersion).where(LabelVersion.version == 1)).all()
    # All races of both kinds have one, the unchanged ones no second.
    assert len(first) == 32
    assert {version.source for version in first} == {"demo"}


def test_withdrawn_results_go_and_another_source_does_not_take_them_away(
    database: Database, seasons: list[SeasonData], caplog: pytest.LogCaptureFixture
) -> None:
    season = seasons[0]
    run.ingest(database, "demo", [season])
    without = replace(
        season,
        results=tuple(row for row in season.results if row.round != 16),
        qualifying=tuple(row for row in season.qualifying if row.round != 16),
    )
    run.ingest(database, "other", [without])
    with database.session() as session:
        assert store.load_history(session)[-1].completed
    run.ingest(database, "demo", [without])
    with database.session() as session:
        last = store.load_history(session)[-1]
        assert (last.run, last.entries) == (False, ())
        assert not store.season_complete(session, season.year)
    assert "version 2: they are withdrawn" in caplog.text
    run.ingest(database, "demo", [season])
    with database.session() as session:
        assert store.load_history(session) == history([season])


def test_a_race_without_a_winner_was_run(database: Database, seasons: list[SeasonData]) -> None:
    season = seasons[0]
    nobody = replace(
        season,
        results=tuple(
            replace(row, position=None, status="dsq") if (row.round, row.position) == (16, 1) else row
            for row in season.results
        ),
    )
    run.ingest(database, "demo", [nobody])
    run.update_ratings(database)
    with database.session() as session:
        last = store.load_history(session)[-1]
        assert (last.run, last.completed) == (True, False)
        assert not store.season_complete(session, season.year)
        rated = session.scalar(select(func.count(Rating.race_id.distinct())))
        assert rated == 16
    cache = Cache(settings_for(database_url=str(database.engine.url)), "f1")
    model = ServedModel(settings_for().model_dir, 0.05)
    platform = Platform(database, cache, model)
    races = platform.races(season.year, None)
    assert (races[-1].status, races[-1].winner, races[-1].hit) == ("completed", None, None)
    assert "name no winner" in str(platform.race(season.year, 16, None).note)
    with pytest.raises(Problem, match="no race to come"):
        platform.next_race(None)
    cache.close()


def test_a_partly_known_qualifying_and_a_new_season_are_said_to_the_reader(
    database: Database, seasons: list[SeasonData], saved: Models
) -> None:
    season = seasons[-1]
    coming = max(row.round for row in season.qualifying)
    one = next(row for row in season.qualifying if row.round == coming)
    partly = replace(season, qualifying=(*[row for row in season.qualifying if row.round != coming], one))
    opener = RaceRow(1, "First", season.races[0].circuit, dt.date(2025, 3, 2))
    run.ingest(database, "demo", [*seasons[:-1], partly, SeasonData(2025, (opener,), (), (), True)])
    cache = Cache(settings_for(redis_url="redis://127.0.0.1:1/0"), "f1")
    served = ServedModel(saved.folder, 0.05)
    served.start()
    platform = Platform(database, cache, served)
    detail = platform.next_race(served.loaded)
    assert detail.stage == "pre-weekend"
    assert detail.note == "Qualifying has 1 of about 20 drivers so far; this is the forecast from before it."
    assert len(detail.predictions) == 20
    first = platform.race(2025, 1, served.loaded)
    assert (first.predictions, first.race.predicted_winner) == ([], None)
    assert first.note == "Who takes part in 2025 is not known before its first qualifying."
    cache.close()


def test_a_race_that_is_called_off_goes(database: Database, seasons: list[SeasonData]) -> None:
    season = seasons[-1]
    run.ingest(database, "demo", [season])
    run.ingest(database, "demo", [replace(season, races=season.races[:-1])])
    assert counts(database)["races"] == 15


def test_a_season_with_an_error_leaves_nothing_of_itself(
    database: Database, seasons: list[SeasonData]
) -> None:
    bad = seasons[1]
    broken = replace(bad, results=(*bad.results, replace(bad.results[0], round=99)))
    with pytest.raises(KeyError):
        run.ingest(database, "demo", [seasons[0], broken])
    with database.session() as session:
        assert list(session.scalars(select(Season.year))) == [2020]
        assert store.journal(session, "demo", "2021") is None
    assert run.ingest(database, "demo", seasons[:2]) == run.Outcome(1, 1)


def test_demonstration_and_real_data_do_not_mix(
    database: Database, seasons: list[SeasonData], tmp_path_factory: pytest.TempPathFactory
) -> None:
    real = csvfiles.read(write(tmp_path_factory.mktemp("csv")))
    run.ingest(database, "csv", real)
    with pytest.raises(SourceError, match="the database holds real seasons"):
        run.ingest(database, "demo", seasons)
    with database.session() as session:
        assert not store.is_demo(session)
        assert store.remove_demo(session) == 0
    assert counts(database)["seasons"] == 1


def test_removing_the_demonstration_leaves_an_empty_database(
    database: Database, seasons: list[SeasonData]
) -> None:
    run.ingest(database, "demo", seasons)
    run.update_ratings(database)
    with database.session() as session:
        assert store.is_demo(session)
        assert store.remove_demo(session) == 5
    assert set(counts(database).values()) == {0}
    assert run.ingest(database, "demo", seasons).written == 5


def test_pending_seasons(database: Database, seasons: list[SeasonData]) -> None:
    run.ingest(database, "jolpica", seasons)
    years = range(2019, 2025)
    assert run.pending(database, "jolpica", years, refresh=False) == [2019, 2024]
    assert run.pending(database, "jolpica", years, refresh=True) == list(years)


def test_predictions_of_the_past_are_replaced_those_made_before_a_race_stay(
    database: Database, seasons: list[SeasonData], trained: training.Trained, races: list[RaceRecord]
) -> None:
    run.ingest(database, "demo", seasons)
    items = [(of_predicted(item), item.data_cutoff) for item in trained.out_of_sample]
    coming = next(race for race in races if not race.completed)
    future = replace(coming.race, date=dt.date(2999, 1, 1))
    live = Forecast(future, "post-qualifying", items[-1][0].chances)
    with database.session() as session:
        session.get_one(Race, store.race_ids(session)[coming.race.key]).date = future.date
        session.flush()
        assert store.replace_backtest(session, "one", items) == 20 * len(items)
        store.save_predictions(session, "one", [(live, AS_OF)])
    with database.session() as session:
        store.replace_backtest(session, "two", items[:2])
    with database.session() as session:
        found = session.execute(
            select(Prediction.model_version, func.count()).group_by(Prediction.model_version)
        )
        assert {version: count for version, count in found} == {"one": 20, "two": 40}


def test_a_prediction_that_knew_the_race_is_refused(
    database: Database, seasons: list[SeasonData], trained: training.Trained
) -> None:
    run.ingest(database, "demo", seasons)
    item = of_predicted(trained.out_of_sample[0])
    with database.session() as session, pytest.raises(ValueError, match="is not after"):
        store.save_predictions(session, "one", [(item, item.race.date)])


def test_weather_is_filled_in_and_a_failure_is_recorded(
    database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run.ingest(database, "csv", csvfiles.read(write(tmp_path_factory.mktemp("csv"))))
    with replaying(script=["404"]) as replay, JsonClient(timeout=60, attempts=1) as http:
        url = replay.url + "/weather"
        client = WeatherClient(http, settings_for(weather_archive_url=url, weather_forecast_url=url))
        # The first answer fails; the other race has no coordinates.
        assert run.update_weather(database, client, None, lambda: AS_OF) == (0, 1)
        with database.session() as session:
            row = session.scalars(select(Weather)).one()
            assert row.precipitation_mm is None
            assert row.unknown_because and "404" in row.unknown_because
            assert store.load_history(session)[0].race.rain_mm is None
        assert run.update_weather(database, client, None, lambda: AS_OF) == (1, 0)
        assert run.update_weather(database, client, None, lambda: AS_OF) == (0, 0)
    with database.session() as session:
        assert store.load_history(session)[0].race.rain_mm == 2.5
        # What is known is not lost to a later failure.
        store.save_weather(session, session.scalars(select(Weather.race_id)).one(), Unknown("down"))
    with database.session() as session:
        assert session.scalars(select(Weather.precipitation_mm)).one() == 2.5
        store.save_weather(session, session.scalars(select(Weather.race_id)).one(), Reading(0.0, 20.0, 5.0))
    with database.session() as session:
        assert session.scalars(select(Weather.precipitation_mm)).one() == 0.0


def test_a_weather_service_that_is_down_is_given_up_on(database: Database) -> None:
    with replaying(completed=3) as replay, JsonClient(timeout=60, attempts=1) as http:
        run.ingest(database, "jolpica", [Jolpica(http, replay.url).season(year) for year in (2023, 2024)])
        replay.always = "500"
        client = WeatherClient(http, settings_for(weather_archive_url=replay.url + "/weather"))
        replay.requests.clear()
        assert run.update_weather(database, client, None, lambda: AS_OF) == (0, 3)
        assert len(replay.requests) == 3
