"""The model on real seasons. F1_DATA names a folder with races.csv, results.csv and qualifying.csv."""

import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from f1.dataset import SeasonData, history
from f1.features import training_table
from f1.history import POST_QUALIFYING, PRE_WEEKEND
from f1.ingest import csvfiles
from f1.model import training
from f1.monitoring.drift import LEAST_WINDOWS, REFERENCE, drift

FOLDER = os.environ.get("F1_DATA")
pytestmark = pytest.mark.skipif(not FOLDER, reason="needs real seasons: F1_DATA names their folder")


@pytest.fixture(scope="module")
def real() -> list[SeasonData]:
    return csvfiles.read(Path(FOLDER or ""))


def test_all_of_it_is_read(real: list[SeasonData]) -> None:
    records = history(real)
    assert all(record.completed for record in records)
    assert all(len(record.podium) == 3 for record in records)
    table = training_table(records)
    grid = table.features[POST_QUALIFYING]["grid"]
    assert grid.notna().all()
    assert len({who.who.driver for season in real for who in season.results}) >= 80


def test_features_of_real_seasons_are_the_same_when_the_future_is_cut_off(real: list[SeasonData]) -> None:
    records = history(real)
    whole = training_table(records)
    for cut in (60, 150, 200):
        part = training_table(records[: cut + 1])
        for stage in (PRE_WEEKEND, POST_QUALIFYING):
            pd.testing.assert_frame_equal(
                part.features[stage], whole.features[stage][whole.group <= cut], check_exact=True
            )


@pytest.mark.slow
@pytest.mark.parametrize("races", [4, 10])
def test_drift_is_rare_and_broken_inputs_are_found(real: list[SeasonData], races: int) -> None:
    records = [record for record in history(real) if record.race.season <= 2022]
    ends = range(REFERENCE + LEAST_WINDOWS * races + races, len(records), 20)
    verdicts = [drift(records[:end], records[end - races - 1].race.date, []).verdict for end in ends]
    assert set(verdicts) <= {"drift", "no-drift"}
    print(f"{verdicts.count('drift')} of {len(verdicts)} looks at {races} races")
    assert verdicts.count("drift") <= 0.3 * len(verdicts)
    for end in ends[::4]:
        broken = [
            replace(
                record,
                entries=tuple(
                    replace(each, session_gap=(each.session_gap or 0) * 900) for each in record.entries
                ),
            )
            for record in records[end - races : end]
        ]
        history_ = [*records[: end - races], *broken]
        report = drift(history_, records[end - races - 1].race.date, [])
        assert "session_gap" in {each.name for each in report.features if each.drifted}, end


@pytest.mark.slow
def test_it_beats_the_grid_on_2023_and_2024(real: list[SeasonData]) -> None:
    assessment = training.assess(history(real), since=2010, first=2023, last=2024)
    evaluation = assessment.evaluation
    assert evaluation.model.races == 46
    assert evaluation.model.winner_log_loss < evaluation.baseline.winner_log_loss
    assert evaluation.log_loss_difference["high"] < 0
