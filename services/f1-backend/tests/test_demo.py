import datetime as dt

import pytest

from f1.dataset import SeasonData, history
from f1.ingest import demo
from tests.conftest import AS_OF


def test_equal_arguments_give_equal_seasons(seasons: list[SeasonData]) -> None:
    assert [s.fingerprint() for s in demo.simulate(3, 5, AS_OF)] == [s.fingerprint() for s in seasons]
    assert demo.simulate(4, 5, AS_OF)[0].fingerprint() != seasons[0].fingerprint()


def test_races_until_the_day_are_run_and_the_next_has_a_qualifying(seasons: list[SeasonData]) -> None:
    records = history(seasons)
    done = [record for record in records if record.completed]
    coming = [record for record in records if not record.completed]
    assert done[-1].race.date <= AS_OF < coming[0].race.date
    assert len(coming[0].entries) == 20
    assert all(record.entries == () for record in coming[1:])
    assert all(len(record.podium) == 3 for record in done)
    assert all(season.demo for season in seasons)


def test_there_is_a_race_to_come_after_the_last_of_the_year() -> None:
    records = history(demo.simulate(3, 5, dt.date(2024, 12, 24)))
    coming = next(record for record in records if not record.completed)
    assert (coming.race.season, len(coming.entries)) == (2025, 20)


def test_too_few_seasons_to_train_on() -> None:
    with pytest.raises(ValueError, match="5 seasons or more"):
        demo.simulate(1, 3, AS_OF)
