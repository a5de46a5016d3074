"""The report of an evaluation: report.md, metrics.json and plots."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

from f1.features import replay
from f1.history import RaceRecord
from f1.identities import title
from f1.model.evaluation import Bin, Evaluation, Predicted, Scores, baseline_win, log_losses, model_win
from f1.model.races import Floats
from f1.model.training import Assessment

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend is chosen first: there is no display here)
from matplotlib.figure import Figure  # noqa: E402

MODEL, BASELINE = "#c1121f", "#577590"
ELO_LINES = 8


def write_report(folder: Path, assessment: Assessment, command: str) -> None:
    """Write the report into `folder`, which is made if need be. `command` is quoted in it."""
    folder.mkdir(parents=True, exist_ok=True)
    evaluation = assessment.evaluation
    metrics = {
        "command": command,
        "post_qualifying": evaluation.as_json(),
        "pre_weekend": assessment.before_qualifying.as_json(),
        "races": _races(assessment.items),
    }
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    _save(_calibration_plot(evaluation), folder / "calibration.png")
    _save(_log_loss_plot(assessment.items), folder / "log-loss.png")
    _save(_elo_plot(assessment.history), folder / "elo.png")
    (folder / "report.md").write_text(_text(assessment, command), encoding="utf-8")


def _races(items: Sequence[Predicted]) -> list[dict[str, object]]:
    losses = zip(items, log_losses(items, model_win), log_losses(items, baseline_win), strict=True)
    return [
        {
            "season": item.race.race.season,
            "round": item.race.race.round,
            "winner": item.race.winner,
            "favourite": item.order()[0],
            "probability": round(float(item.win.max()), 4),
            "log_loss": round(float(model), 4),
            "baseline_log_loss": round(float(baseline), 4),
        }
        for item, model, baseline in losses
    ]


def _text(assessment: Assessment, command: str) -> str:
    evaluation, before = assessment.evaluation, assessment.before_qualifying
    interval, early = evaluation.log_loss_difference, before.log_loss_difference
    return f"""# How good the predictions are

Seasons {assessment.first} to {assessment.last}, {evaluation.model.races} races, walking forward: every race
was predicted by a model fitted only on races before it, calibrated on predictions of still earlier ones.
Command:

    {command}

## After qualifying

{_table(evaluation)}

Log-loss of the winner, model minus baseline: **{interval['mid']:+.3f}**, 95 % interval
{interval['low']:+.3f} to {interval['high']:+.3f} (paired bootstrap over races, {evaluation.draws} draws).
Below 0 the model is better.

The baseline gives each starting place the rate at which it won in the seasons before (add-one smoothing),
made to sum to 1 over the field. It is computed in the same run on the same races.

| season | races | log-loss model | log-loss baseline |
| --- | --- | --- | --- |
{_by_season(assessment.items)}

![Calibration](calibration.png)

{_bins("Model", evaluation.model_bins)}

{_bins("Baseline", evaluation.baseline_bins)}

![Log-loss by race](log-loss.png)

## Before the weekend

Without grid and qualifying the model knows form alone. The baseline here still knows the grid.

{_table(before)}

Difference in log-loss to the baseline that knows the grid: {early['mid']:+.3f} ({early['low']:+.3f} to
{early['high']:+.3f}).

## ELO

![ELO of the leading drivers](elo.png)
"""


def _table(evaluation: Evaluation) -> str:
    def row(name: str, of: str, form: str, better: str) -> str:
        model, baseline = getattr(evaluation.model, of), getattr(evaluation.baseline, of)
        return f"| {name} | {model:{form}} | {baseline:{form}} | {better} |"

    rows = [
        row("Winner predicted (top 1)", "winner_top1", ".1%", "higher"),
        row("Podium precision at 3", "podium_precision", ".1%", "higher"),
        row("Log-loss of the winner", "winner_log_loss", ".4f", "lower"),
        row("Brier score (sum over the field)", "brier", ".4f", "lower"),
        row("Expected calibration error", "ece", ".4f", "lower"),
    ]
    return "\n".join(["| | model | grid only | better is |", "| --- | --- | --- | --- |", *rows])


def _by_season(items: Sequence[Predicted]) -> str:
    lines = []
    for season in sorted({item.race.race.season for item in items}):
        own = [item for item in items if item.race.race.season == season]
        model, baseline = log_losses(own, model_win).mean(), log_losses(own, baseline_win).mean()
        lines.append(f"| {season} | {len(own)} | {model:.4f} | {baseline:.4f} |")
    return "\n".join(lines)


def _bins(name: str, bins: Sequence[Bin]) -> str:
    rows = [
        f"| {b.bin_low:.0%} to {b.bin_high:.0%} | {b.predicted:.1%} | {b.observed:.1%} | {b.count} |"
        for b in bins
    ]
    return "\n".join(
        [f"| {name} says | on average | came true | drivers |", "| --- | --- | --- | --- |", *rows]
    )


def _calibration_plot(evaluation: Evaluation) -> Figure:
    figure, axes = plt.subplots(figsize=(6, 6))
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle="--", label="perfect")
    sets: list[tuple[str, str, Sequence[Bin], Scores]] = [
        ("grid only", BASELINE, evaluation.baseline_bins, evaluation.baseline),
        ("model", MODEL, evaluation.model_bins, evaluation.model),
    ]
    for name, colour, bins, scores in sets:
        x, y = np.array([b.predicted for b in bins]), np.array([b.observed for b in bins])
        low, high = _wilson(y, np.array([b.count for b in bins], dtype=np.float64))
        bars = np.clip([y - low, high - y], 0.0, None)
        label = f"{name} (ECE {scores.ece:.3f}), 95 % intervals"
        axes.errorbar(
            x, y, yerr=bars, fmt="o", color=colour, capsize=3, linewidth=1, label=label, clip_on=False
        )
    axes.set(xlabel="predicted chance of winning", ylabel="how often it came true", xlim=(0, 1), ylim=(0, 1))
    axes.set_title("Calibration")
    axes.legend(frameon=False)
    return figure


def _wilson(rate: Floats, count: Floats) -> tuple[Floats, Floats]:
    """Wilson's 95 % interval of an observed rate."""
    z2 = 1.96**2
    centre = (rate + z2 / (2 * count)) / (1 + z2 / count)
    half = 1.96 * np.sqrt(rate * (1 - rate) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return centre - half, centre + half


def _log_loss_plot(items: Sequence[Predicted]) -> Figure:
    figure, axes = plt.subplots(figsize=(10, 4.5))
    x = np.arange(len(items))
    for name, colour, of in (("grid only", BASELINE, baseline_win), ("model", MODEL, model_win)):
        losses = log_losses(items, of)
        axes.scatter(x, losses, s=14, color=colour, alpha=0.6)
        axes.plot(x, np.cumsum(losses) / (x + 1), color=colour, linewidth=2, label=f"{name}, mean so far")
    starts = [i for i, item in enumerate(items) if item.race.race.round == 1]
    for i in starts:
        axes.axvline(i - 0.5, color="#cccccc", linewidth=1)
    axes.set_xticks(starts, [str(items[i].race.race.season) for i in starts], ha="left")
    axes.set(xlabel="race", ylabel="−ln(probability of the winner)", ylim=(0, None))
    axes.set_title("Log-loss by race")
    axes.legend(frameon=False)
    return figure


def _elo_plot(history: Sequence[RaceRecord]) -> Figure:
    """ELO over time of the drivers who are best at the end."""
    last = history[-1].race.season
    state = replay(history)
    final = state.ratings({e.driver for e in history[-1].entries}, last)
    leaders = sorted(final, key=lambda driver: -final[driver])[:ELO_LINES]
    figure, axes = plt.subplots(figsize=(10, 5))
    lines: dict[str, tuple[list[float], list[float]]] = {driver: ([], []) for driver in leaders}
    for position, (record, ratings) in enumerate(_rated(history)):
        for entry in record.entries:
            if entry.driver in lines:
                lines[entry.driver][0].append(position)
                lines[entry.driver][1].append(ratings[entry.driver])
    colours = matplotlib.colormaps["tab10"]
    for i, driver in enumerate(leaders):
        axes.plot(*lines[driver], color=colours(i), linewidth=1.4, label=title(driver))
    starts = [i for i, record in enumerate(history) if record.race.round == 1]
    axes.set_xticks(starts, [str(history[i].race.season) for i in starts], rotation=45, ha="right")
    axes.set(ylabel="ELO", title="ELO of the leading drivers")
    axes.legend(frameon=False, ncols=2)
    return figure


def _rated(history: Sequence[RaceRecord]) -> list[tuple[RaceRecord, dict[str, float]]]:
    state = replay([])
    rated = []
    for record in history:
        state.update(record)
        rated.append((record, state.ratings([e.driver for e in record.entries], record.race.season)))
    return rated


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
