import json
import math
from pathlib import Path

import pytest

from f1.history import RaceRecord
from f1.model import training
from f1.model.report import write_report
from f1.model.scoring import MODEL


@pytest.fixture(scope="module")
def assessment(races: list[RaceRecord]) -> training.Assessment:
    return training.assess(races, since=2020, first=2024, last=2024, every=6)


def test_an_assessment_predicts_each_race_of_the_seasons_asked_for(
    assessment: training.Assessment, races: list[RaceRecord]
) -> None:
    asked = [race for race in races if race.completed and race.race.season == 2024]
    assert [item.race.race.key for item in assessment.items] == [race.race.key for race in asked]
    # Training again within the season lets later pieces know earlier ones.
    assert len({item.data_cutoff for item in assessment.items}) == 2
    assert set(assessment.evaluation.seasons) == {2024}
    assert assessment.before_qualifying.model.races == len(asked)


def test_the_report_has_figures_plots_and_the_command(
    assessment: training.Assessment, tmp_path: Path
) -> None:
    write_report(tmp_path / "deep" / "report", assessment, "f1 evaluate --from 2024")
    folder = tmp_path / "deep" / "report"
    text = (folder / "report.md").read_text()
    evaluation = assessment.evaluation
    assert "    f1 evaluate --from 2024\n" in text
    for name, of in evaluation.scores.items():
        assert f"| {of.winner_log_loss:.4f} |" in text
        if name != MODEL:
            assert f"{evaluation.differences[name]['mean']:+.3f}" in text
    assert f"| 2024 | {evaluation.model.races} |" in text
    gain = evaluation.baseline.winner_log_loss - evaluation.model.winner_log_loss
    assert f"{gain * evaluation.model.races:+.1f} in 2024" in text
    for plot in ("calibration.png", "log-loss.png", "elo.png"):
        assert (folder / plot).read_bytes().startswith(b"\x89PNG")
        assert plot in text
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["post_qualifying"] == evaluation.as_json()
    assert metrics["pre_weekend"]["model"]["races"] == len(metrics["races"])
    assert metrics["races"][0]["log_loss"] == pytest.approx(
        -math.log(assessment.items[0].win[_winner(assessment)]), abs=1e-4
    )


def _winner(assessment: training.Assessment) -> int:
    item = assessment.items[0]
    return list(item.features.index).index(item.race.winner)
