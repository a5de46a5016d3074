import dataclasses
import datetime as dt
import random

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from f1.features import FEATURES, columns, replay, schema_hash, slots, training_table
from f1.history import POST_QUALIFYING, PRE_WEEKEND, Entry, Outcome, Race, RaceRecord

STAGES = (PRE_WEEKEND, POST_QUALIFYING)


def shuffled(record: RaceRecord, seed: int) -> RaceRecord:
    """The same race with another ending: places, retirements and points changed."""
    rng = random.Random(seed)
    drivers = list(record.outcomes)
    rng.shuffle(drivers)
    outcomes = tuple(
        Outcome(
            outcome.driver,
            outcome.constructor,
            None if (out := rng.random() < 0.3 and place > 1) else place,
            "dnf" if out else "finished",
            rng.uniform(0, 25),
        )
        for place, outcome in enumerate(drivers, start=1)
    )
    return dataclasses.replace(record, outcomes=outcomes)


@given(st.integers(1, 60), st.integers(0, 10_000))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_result_on_or_after_the_day_changes_a_feature(
    races: list[RaceRecord], index: int, seed: int
) -> None:
    done = [race for race in races if race.completed]
    other = done[:index] + [shuffled(race, seed + i) for i, race in enumerate(done[index:])]
    ours, theirs = training_table(done), training_table(other)
    upto = ours.group <= index
    for stage in STAGES:
        pd.testing.assert_frame_equal(
            ours.features[stage][upto], theirs.features[stage][upto], check_exact=True
        )


def test_features_are_the_same_when_the_future_is_cut_off(races: list[RaceRecord]) -> None:
    done = [race for race in races if race.completed]
    whole = training_table(done)
    for cut in (1, 16, 17, 40, len(done) - 1):
        cut_off = training_table(done[: cut + 1])
        for stage in STAGES:
            pd.testing.assert_frame_equal(
                cut_off.features[stage], whole.features[stage][whole.group <= cut], check_exact=True
            )


def test_a_result_before_the_day_does_change_features(races: list[RaceRecord]) -> None:
    done = [race for race in races if race.completed]
    other = [*done[:10], shuffled(done[10], 1), *done[11:]]
    ours, theirs = training_table(done), training_table(other)
    after = ours.group == 11
    assert not ours.features[PRE_WEEKEND][after].equals(theirs.features[PRE_WEEKEND][after])


def test_training_and_serving_features_are_equal_to_the_bit(races: list[RaceRecord]) -> None:
    done = [race for race in races if race.completed]
    table = training_table(done)
    for index in (0, 1, 17, len(done) - 1):
        for stage in STAGES:
            served = replay(done[:index]).features(done[index].race, done[index].entries, stage)
            trained = table.features[stage][table.group == index]
            assert served.to_numpy().tobytes() == trained.to_numpy().tobytes()
            assert list(served.index) == list(trained.index)


def test_race_weekends_before_qualifying_know_nothing_of_the_grid(races: list[RaceRecord]) -> None:
    record = next(race for race in races if race.completed)
    bare = [Entry(entry.driver, entry.constructor) for entry in record.entries]
    state = replay([])
    with_grid = state.features(record.race, record.entries, PRE_WEEKEND)
    pd.testing.assert_frame_equal(with_grid, state.features(record.race, bare, PRE_WEEKEND), check_exact=True)
    assert list(with_grid.columns) == [feature.name for feature in FEATURES if not feature.needs_grid]


def test_a_newcomer_in_a_new_team_gets_the_priors(races: list[RaceRecord]) -> None:
    state = replay(race for race in races if race.completed)
    record = next(race for race in races if not race.completed and race.entries)
    entries = [*record.entries, Entry("ada-new", "team-new", 21)]
    row = state.features(record.race, entries, POST_QUALIFYING).loc["ada-new"]
    assert row["experience"] == 0
    assert row["driver_form"] == row["constructor_form"] == 0.5
    assert row["driver_dnf"] == pytest.approx(0.12)
    assert np.isnan(row["session_gap"])
    assert np.isnan(row["teammate_session_gap"])


def race(season: int = 2024, round_: int = 1, rain: float | None = None) -> Race:
    return Race(season, round_, dt.date(season, 3, round_), "Test", "here", "RACE", rain)


def record(order: list[str], season: int = 2024, round_: int = 1, rain: float | None = None) -> RaceRecord:
    entries = tuple(Entry(name, f"team-{name}", place) for place, name in enumerate(sorted(order), start=1))
    outcomes = tuple(Outcome(n, f"team-{n}", p, "finished", 10.0 / p) for p, n in enumerate(order, start=1))
    return RaceRecord(race(season, round_, rain), entries, outcomes)


def test_ratings_follow_results_and_regress_between_seasons() -> None:
    state = replay([record(["a", "b", "c"])])
    now = state.ratings(["a", "b", "c"], 2024)
    assert now["a"] > now["b"] > now["c"]
    later = state.ratings(["a"], 2025)["a"]
    assert 1500 < later < now["a"]
    state.update(record(["c", "a", "b"], 2025))
    assert state.ratings(["c"], 2025)["c"] > now["c"]
    assert state.constructor_ratings(["team-a", "unheard-of"], 2025)["unheard-of"] == 1500


def test_rain_is_not_in_the_table() -> None:
    dry, wet = (replay([record(["b", "a", "c"], rain=mm)]) for mm in (0.0, 9.0))
    entries = record(["a", "b", "c"]).entries
    for stage in STAGES:
        ours = dry.features(race(round_=2, rain=4.5), entries, stage)
        pd.testing.assert_frame_equal(ours, wet.features(race(round_=2), entries, stage), check_exact=True)


def test_what_is_short_lived_fades_between_seasons_before_and_after_the_first_race() -> None:
    slow = RaceRecord(race(), tuple(Entry(n, f"team-{n}", p, session_gap=0.0) for p, n in enumerate("ab", 1)))
    state = replay([dataclasses.replace(slow, outcomes=record(["a", "b"]).outcomes)])
    entries = slow.entries
    now = state.features(race(round_=2), entries, PRE_WEEKEND)
    later = state.features(race(2025), entries, PRE_WEEKEND)
    assert later["constructor_pace_recent"]["a"] > now["constructor_pace_recent"]["a"]
    assert later["constructor_pace"]["a"] == now["constructor_pace"]["a"]
    assert now["season_points"].sum() == pytest.approx(1)
    assert later["season_points"].sum() == 0
    # To look ahead changes nothing.
    pd.testing.assert_frame_equal(now, state.features(race(round_=2), entries, PRE_WEEKEND), check_exact=True)
    state.update(record(["a", "b"], 2025))
    assert state.features(race(2025, 2), entries, PRE_WEEKEND)["season_wins"].tolist() == [1, 0]


def test_gaps_in_the_race_are_of_the_better_car() -> None:
    outcomes = (
        Outcome("a", "one", 1, "finished", 25, 0.0),
        Outcome("b", "two", 2, "finished", 18, 0.5),
        Outcome("c", "two", 3, "finished", 15, 9.0),
        Outcome("d", "three", 4, "finished", 12),
    )
    entries = tuple(Entry(o.driver, o.constructor, i) for i, o in enumerate(outcomes, 1))
    state = replay([RaceRecord(race(), entries, outcomes)])
    pace = state.features(race(round_=2), entries, PRE_WEEKEND)["constructor_race_pace"]
    assert pace["b"] == pace["c"] == pytest.approx((0.5 + 1.2) / 2)
    assert pace["a"] == pytest.approx(0.6)
    assert pace["d"] == 1.2


def test_a_race_in_which_nobody_is_classified_moves_no_rating() -> None:
    outcomes = tuple(Outcome(name, "team", None, "dnf") for name in ("a", "b"))
    entries = (Entry("a", "team", 1), Entry("b", "team", 2))
    state = replay([RaceRecord(race(), entries, outcomes)])
    assert state.ratings(["a", "b"], 2024) == {"a": 1500.0, "b": 1500.0}
    assert state.features(race(round_=2), entries, PRE_WEEKEND)["driver_dnf"]["a"] > 0.12


def test_slots() -> None:
    def grid(*entries: Entry) -> list[float]:
        return slots(entries)

    assert grid(Entry("a", "t", 2), Entry("b", "t", 1), Entry("c", "t", None, True)) == [2, 1, 3]
    assert grid(Entry("a", "t", qualifying_position=1), Entry("b", "t", qualifying_position=2)) == [1, 2]
    assert grid(Entry("a", "t", 5), Entry("b", "t")) == [5, 5]
    assert all(np.isnan(grid(Entry("a", "t"), Entry("b", "t"))))


@pytest.mark.parametrize("drivers", [["a"], ["a", "a"]])
def test_a_field_must_be_two_different_drivers_or_more(drivers: list[str]) -> None:
    with pytest.raises(ValueError, match="two or more entries, each driver once"):
        replay([]).features(race(), [Entry(d, "t") for d in drivers], PRE_WEEKEND)


def test_the_schema_has_a_name_for_every_column_of_every_stage() -> None:
    assert len(schema_hash()) == 64
    assert set(columns(PRE_WEEKEND)) < set(columns(POST_QUALIFYING))


def test_a_race_that_was_not_run_has_no_winner() -> None:
    with pytest.raises(ValueError, match="has no winner"):
        _ = RaceRecord(race(), ()).winner
