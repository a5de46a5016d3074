import dataclasses
import datetime as dt

import numpy as np
import pandas as pd
import pytest

from f1.features import FIELD, columns, replay, training_table
from f1.forecast import LineUp, expected_entries, forecast, grid_baseline, line_up, stage_of
from f1.history import POST_QUALIFYING, PRE_WEEKEND, Entry, RaceRecord
from f1.model import training
from f1.model.ensemble import StageModel, recency
from f1.model.experts import PRIOR, ForestExpert
from f1.model.logit import Logit, design
from f1.model.evaluation import (
    LEAST_SEASONS,
    Table,
    blocks,
    walk_forward,
)
from f1.model.races import Places
from f1.model.scoring import (
    GRID,
    MODEL,
    bootstrap,
    calibration_bins,
    evaluate,
    favourite_bins,
    log_losses,
    podium_hits,
    scores,
)
from tests.test_features import shuffled

STAGES = (PRE_WEEKEND, POST_QUALIFYING)


@pytest.fixture(scope="module")
def table(races: list[RaceRecord]) -> Table:
    return Table.of(training_table(races))


def test_every_race_sums_to_one_winner_and_three_on_the_podium(trained: training.Trained) -> None:
    assert {item.stage for item in trained.out_of_sample} == set(STAGES)
    for item in trained.out_of_sample:
        assert item.win.sum() == pytest.approx(1)
        assert item.podium.sum() == pytest.approx(3)
        assert (item.podium >= item.win - 1e-9).all()
        assert item.baseline.sum() == pytest.approx(1)
        assert item.data_cutoff < item.race.race.date


def test_the_first_seasons_are_only_learned_from(trained: training.Trained, races: list[RaceRecord]) -> None:
    first = min(record.race.season for record in races)
    assert {item.race.race.season for item in trained.out_of_sample} == {
        first + LEAST_SEASONS,
        first + LEAST_SEASONS + 1,
    }


def test_it_learns_the_latent_skills_of_the_simulator(trained: training.Trained) -> None:
    evaluation = trained.model.evaluation
    assert evaluation.model.winner_log_loss < evaluation.baseline.winner_log_loss
    assert evaluation.model.winner_top1 > 0.3


def test_contributions_sum_to_how_many_times_an_even_share_the_chance_is(trained: training.Trained) -> None:
    for item in (trained.out_of_sample[0], trained.out_of_sample[-1]):
        model = trained.model.stages[item.stage]
        win, _ = model.predict(item.features)
        table = model.contributions(item.features)
        assert list(table.columns) == [*columns(item.stage), FIELD]
        # TreeSHAP computes with 32 bits.
        assert table.sum(axis=1).to_numpy() == pytest.approx(np.log(win * len(win)), abs=1e-4)
        # What was stored for the race is of the model that predicted it.
        assert item.contributions.sum(axis=1).to_numpy() == pytest.approx(
            np.log(item.win * len(item.win)), abs=1e-4
        )


def test_each_expert_is_the_sum_of_its_parts(trained: training.Trained) -> None:
    for item in (trained.out_of_sample[0], trained.out_of_sample[-1]):
        model = trained.model.stages[item.stage]
        assert model.experts.keys() == PRIOR[item.stage].keys()
        for name, expert in model.experts.items():
            utility = expert.utility(item.features)
            parts = expert.parts(item.features)
            assert set(parts.columns) <= set(columns(item.stage)), name
            rest = utility - parts.sum(axis=1).to_numpy()
            assert rest == pytest.approx(rest[0], abs=1e-4), name


def test_a_feature_that_does_not_differ_explains_nothing_of_a_difference(trained: training.Trained) -> None:
    item = trained.out_of_sample[-1]
    table = trained.model.stages[item.stage].contributions(item.features)
    assert item.features["grid_matters"].nunique() == 1
    linear = ["driver_elo", "teammate_gap"]
    assert (table[linear].abs().max() > 1e-3).all()
    assert table["grid"].abs().max() > table["grid_matters"].abs().max()


def test_a_forest_explains_rows_with_unknown_values(trained: training.Trained) -> None:
    item = next(i for i in reversed(trained.out_of_sample) if i.stage == POST_QUALIFYING)
    features = item.features.copy()
    features.loc[features.index[3], ["session_gap", "teammate_session_gap"]] = np.nan
    forest = trained.model.stages[POST_QUALIFYING].experts["forest"]
    assert isinstance(forest, ForestExpert)
    rest = forest.utility(features) - forest.parts(features).sum(axis=1).to_numpy()
    assert rest == pytest.approx(rest[0], abs=1e-9)


def test_importances_are_shares(trained: training.Trained) -> None:
    assert sum(trained.model.importances.values()) == pytest.approx(1)
    assert set(trained.model.importances) == set(columns(POST_QUALIFYING))


def test_equal_data_makes_equal_experts_with_any_number_of_threads(table: Table) -> None:
    rows = table.group < 20
    places = table.places(rows, 2020)
    features = table.features[POST_QUALIFYING][rows]
    one = StageModel.fit(POST_QUALIFYING, features, places, jobs=1)
    two = StageModel.fit(POST_QUALIFYING, features, places, jobs=2)
    for name, opinion in one.opinions(features, places.group).items():
        assert (opinion == two.opinions(features, places.group)[name]).all(), name
    for a, b in zip(one.predict(features, places.group), two.predict(features, places.group), strict=True):
        assert (a == b).all()


def test_walking_forward_does_not_see_the_piece_it_predicts(races: list[RaceRecord]) -> None:
    done = [race for race in races if race.completed][:52]
    changed = [*done[:51], shuffled(done[51], 5)]
    results = []
    for history in (done, changed):
        table = Table.of(training_table(history))
        pieces = blocks(table, done[-1].race.season, done[-1].race.season, None)
        results.append(walk_forward(table, PRE_WEEKEND, pieces, jobs=1).predicted[-1])
    assert (results[0].win == results[1].win).all()
    assert results[0].race.outcomes != results[1].race.outcomes


def test_blocks_are_seasons_or_parts_of_them(table: Table) -> None:
    whole = blocks(table, 2020, 2021, None)
    parts = blocks(table, 2020, 2021, 5)
    assert [int(piece.sum()) for piece in whole] == [16, 16]
    assert [int(piece.sum()) for piece in parts] == [5, 5, 5, 1] * 2
    assert np.logical_or.reduce(parts).tolist() == np.logical_or.reduce(whole).tolist()


def test_too_little_data_is_said(races: list[RaceRecord]) -> None:
    short = [race for race in races if race.race.season <= 2022]
    with pytest.raises(ValueError, match=r"4 seasons with results are needed, found 3 \(2020 to 2022\)"):
        training.train(short)
    with pytest.raises(ValueError, match="found 0"):
        training.train([])


def test_seasons_that_cannot_be_evaluated_are_said(races: list[RaceRecord]) -> None:
    with pytest.raises(
        ValueError, match="seasons from 2023 to 2024 can be evaluated, asked for 2021 to 2024"
    ):
        training.assess(races, since=None, first=2021, last=2024)


def test_the_weights_served_are_those_after_the_last_race(trained: training.Trained, table: Table) -> None:
    for stage in STAGES:
        items = [item for item in trained.out_of_sample if item.stage == stage]
        pieces = blocks(table, items[0].race.race.season, items[-1].race.race.season, None)
        again = walk_forward(table, stage, pieces)
        assert again.mixture == trained.model.stages[stage].mixture
        assert sum(again.mixture.weights.values()) == pytest.approx(1)
        assert again.mixture.weights != PRIOR[stage]


def test_a_logit_finds_the_coefficients_that_made_the_races() -> None:
    rng = np.random.default_rng(5)
    count, drivers = 600, 6
    group = np.repeat(np.arange(count), drivers)
    features = pd.DataFrame(rng.normal(0, 1, (count * drivers, 2)), columns=["driver_elo", "teammate_gap"])
    noise = features.to_numpy() @ [1.5, -0.5] + rng.gumbel(size=count * drivers)
    position = np.concatenate([np.argsort(np.argsort(-part)) + 1 for part in noise.reshape(count, drivers)])
    places = Places.of(position.astype(np.int64), group)
    for importance in ((1.0, 0.0, 0.0), (0.0, 1.0, 1.0)):
        found = Logit.fit(("driver_elo", "teammate_gap"), features, places, 0.1, importance)
        assert found.coefficients / found.scale == pytest.approx([1.5, -0.5], abs=0.15)
    assert found.win(features, group)[:drivers].sum() == pytest.approx(1)


def test_an_unknown_grid_does_not_depend_on_how_many_rows_are_stacked() -> None:
    one = pd.DataFrame({"grid": [1.0, np.nan]})
    many = pd.DataFrame({"grid": [1.0, np.nan] * 500})
    assert (design(one, ["log_grid", "pole"]) == design(many, ["log_grid", "pole"])[:2]).all()


def test_recency_halves_every_six_seasons() -> None:
    assert recency([2024, 2018, 2012, 2025], 2024).tolist() == [1.0, 0.5, 0.25, 1.0]


def test_the_scores_by_hand(trained: training.Trained) -> None:
    item = trained.out_of_sample[-1]
    winner = list(item.drivers).index(item.race.winner)
    assert log_losses([item], MODEL)[0] == pytest.approx(-np.log(item.win[winner]))
    top = {item.drivers[i] for i in np.argsort(-item.podium)[:3]}
    assert podium_hits(item, MODEL) == len(top & item.race.podium)
    only = scores([item], GRID)
    assert only.winner_top1 == only.favourite.observed == float(np.argmax(item.baseline) == winner)
    assert only.favourite.predicted == item.baseline.max()
    expected = np.sum(item.baseline**2) - 2 * item.baseline[winner] + 1
    assert only.brier == pytest.approx(expected)
    p = item.by[GRID].podium
    stood = [driver in item.race.podium for driver in item.drivers]
    assert only.podium_log_loss == pytest.approx(
        -sum(np.log(q if y else 1 - q) for q, y in zip(p, stood, strict=True)) / len(p)
    )


def test_calibration_bins_hold_every_driver_once(trained: training.Trained) -> None:
    items = trained.out_of_sample[:20]
    bins = calibration_bins(items, MODEL)
    assert sum(b.count for b in bins) == sum(len(item.win) for item in items)
    assert all(b.bin_low <= b.predicted <= b.bin_high for b in bins)
    assert sum(b.observed * b.count for b in bins) == pytest.approx(20)
    favourites = favourite_bins(items, MODEL)
    assert sum(b.count for b in favourites) == 20
    assert sum(b.predicted * b.count for b in favourites) == pytest.approx(sum(i.win.max() for i in items))


def test_every_baseline_stands_beside_the_model_in_each_season(trained: training.Trained) -> None:
    by_stage = {
        stage: evaluate([item for item in trained.out_of_sample if item.stage == stage], 1)
        for stage in STAGES
    }
    assert list(by_stage[POST_QUALIFYING].scores) == [
        "model",
        "grid",
        "log-grid",
        "log-grid-gap",
        "log-grid-form",
    ]
    assert list(by_stage[PRE_WEEKEND].scores) == ["model", "grid", "form", "last-winner", "leader"]
    for evaluation in by_stage.values():
        assert set(evaluation.differences) == set(evaluation.scores) - {MODEL}
        for of in evaluation.seasons.values():
            assert set(of) == set(evaluation.scores)
        races = [of[MODEL].races for of in evaluation.seasons.values()]
        mean = np.average([of[GRID].winner_log_loss for of in evaluation.seasons.values()], weights=races)
        assert evaluation.baseline.winner_log_loss == pytest.approx(mean)
        for item in trained.out_of_sample:
            for way in item.by.values():
                assert way.win.sum() == pytest.approx(1)
                assert way.podium.sum() == pytest.approx(3)


def test_who_won_last_and_who_leads(table: Table) -> None:
    for index in (1, 16, 17):
        rows = np.flatnonzero(table.group == index)
        entries = [entry.driver for entry in table.races[index].entries]
        before = table.races[index - 1]
        last = [entries[i] for i in np.flatnonzero(table.pointed["last-winner"][rows])]
        assert last == [driver for driver in [before.winner] if driver in entries]
    # The first race of a season is led by the champion of the one before.
    points: dict[str, float] = {}
    for record in table.races[:16]:
        for outcome in record.outcomes:
            points[outcome.driver] = points.get(outcome.driver, 0.0) + outcome.points
    champion = max(points, key=points.__getitem__)
    rows = np.flatnonzero(table.group == 16)
    leads = [table.races[16].entries[i].driver for i in np.flatnonzero(table.pointed["leader"][rows])]
    assert leads == [driver for driver in [champion] if driver in {e.driver for e in table.races[16].entries}]
    assert not table.pointed["leader"][table.group == 0].any()


def test_the_bootstrap_is_seeded_and_covers_the_mean() -> None:
    difference = np.random.default_rng(0).normal(-0.2, 0.5, 60)
    one, same = bootstrap(difference, 1), bootstrap(difference, 1)
    assert one == same != bootstrap(difference, 2)
    assert one["low"] < difference.mean() < one["high"]
    assert one["mid"] == pytest.approx(difference.mean(), abs=0.02)
    assert one["mean"] == difference.mean()


def test_nothing_to_evaluate_is_said() -> None:
    with pytest.raises(ValueError, match="no completed race"):
        evaluate([], 1)


def test_a_new_driver_in_a_new_team_gets_a_chance(trained: training.Trained, races: list[RaceRecord]) -> None:
    done = [race for race in races if race.completed]
    coming = next(race for race in races if not race.completed and race.entries)
    entries = [*coming.entries, Entry("ada-new", "team-new", qualifying_position=21, session_gap=2.0)]
    result = forecast(
        replay(done), coming.race, entries, trained.model.stages[POST_QUALIFYING], grid_baseline(done, 2024)
    )
    chance = next(chance for chance in result.chances if chance.driver == "ada-new")
    assert 0 < chance.win < 0.05
    assert sum(c.win for c in result.chances) == pytest.approx(1)
    assert len(chance.contributions) == 5
    sizes = [abs(part["contribution"]) for part in chance.contributions]
    assert sizes == sorted(sizes, reverse=True)


def test_before_qualifying_those_of_the_last_race_are_expected(races: list[RaceRecord]) -> None:
    coming = [race for race in races if not race.completed][-1]
    expected = expected_entries(coming.race, races)
    last = [race for race in races if race.completed][-1]
    assert {entry.driver for entry in expected} == {entry.driver for entry in last.entries}
    assert stage_of(expected) == PRE_WEEKEND
    assert stage_of(last.entries) == POST_QUALIFYING
    assert expected_entries(races[0].race, races) == ()


def test_drivers_of_last_season_are_not_expected_in_a_new_one(races: list[RaceRecord]) -> None:
    done = [race for race in races if race.completed]
    opener = RaceRecord(
        dataclasses.replace(done[-1].race, season=2025, round=1, date=dt.date(2025, 3, 2)), ()
    )
    assert expected_entries(opener.race, done) == ()
    found = line_up(opener, done)
    assert (found.entries, found.note) == (
        (),
        "Who takes part in 2025 is not known before its first qualifying.",
    )
    qualified = dataclasses.replace(opener, entries=done[-1].entries)
    assert line_up(qualified, done) == LineUp(done[-1].entries, POST_QUALIFYING)


def test_a_qualifying_that_is_partly_known_keeps_the_forecast_from_before_it(races: list[RaceRecord]) -> None:
    done = [race for race in races if race.completed]
    coming = next(race for race in races if not race.completed and race.entries)
    for count, stage in ((1, PRE_WEEKEND), (15, PRE_WEEKEND), (16, POST_QUALIFYING), (20, POST_QUALIFYING)):
        part = dataclasses.replace(coming, entries=coming.entries[:count])
        found = line_up(part, done)
        assert found.stage == stage
        if stage == PRE_WEEKEND:
            assert found.entries == expected_entries(coming.race, done)
            assert found.note == (
                f"Qualifying has {count} of about 20 drivers so far; this is the forecast from before it."
            )
        else:
            assert (found.entries, found.note) == (part.entries, None)


def test_a_race_without_a_winner_is_taken_in_but_nothing_is_learned_from_who_won(
    races: list[RaceRecord],
) -> None:
    done = [race for race in races if race.completed]
    kept = [
        dataclasses.replace(o, position=None, status="dsq") if o.position == 1 else o
        for o in done[20].outcomes
    ]
    history = [*done[:20], dataclasses.replace(done[20], outcomes=tuple(kept)), *done[21:]]
    assert training.undecided(history) == [
        f"{done[20].race.season}/{done[20].race.round} {done[20].race.name}"
    ]
    ours, theirs = training_table(history), training_table([*done[:20], *done[21:]])
    assert ours.races == theirs.races
    after = ours.group == 20
    assert not ours.features[PRE_WEEKEND][after].equals(theirs.features[PRE_WEEKEND][after])
    assert training.fingerprint(ours.races) != training.fingerprint(done)
