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
from f1.model.baseline import LABELS
from f1.model.evaluation import Predicted
from f1.model.races import Floats
from f1.model.scoring import GRID, MODEL, Bin, Evaluation, Scores, log_losses
from f1.model.training import Assessment

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend is chosen first: there is no display here)
from matplotlib.figure import Figure  # noqa: E402

MODEL_COLOUR, GRID_COLOUR = "#c1121f", "#577590"
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
    losses = zip(items, log_losses(items, MODEL), log_losses(items, GRID), strict=True)
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
    return f"""# How good the predictions are

Seasons {assessment.first} to {assessment.last}, {evaluation.model.races} races, walking forward: every race
was predicted by a model fitted only on races before it, and so was every baseline.
Command:

    {command}

## After qualifying

{_table(evaluation)}

{_seasons(evaluation)}

{_verdict(evaluation)}

### Calibration

![Calibration](calibration.png)

{_bins("The model says of a driver", evaluation.bins[MODEL])}

{_bins("The model says of its favourite", evaluation.favourites[MODEL])}

{_bins("The grid's frequencies say of a driver", evaluation.bins[GRID])}

![Log-loss by race](log-loss.png)

## Before qualifying

Here the model knows form alone. "{LABELS["grid"]}" still knows the grid and is shown for comparison only.

{_table(before)}

{_seasons(before)}

{_verdict(before)}

{_bins("The model says of its favourite", before.favourites[MODEL])}

## ELO

![ELO of the leading drivers](elo.png)
"""


def _name(name: str) -> str:
    return "**model**" if name == MODEL else LABELS[name]


def _table(evaluation: Evaluation) -> str:
    lines = [
        "| | log-loss of the winner | model minus this, 95 % interval | winner predicted | podium precision"
        " | podium log-loss | Brier | ECE | favourite: says, wins |",
        "| --- " * 9 + "|",
    ]
    for name, of in evaluation.scores.items():
        apart = evaluation.differences.get(name)
        difference = f"{apart['mean']:+.3f} ({apart['low']:+.3f} to {apart['high']:+.3f})" if apart else ""
        lines.append(
            f"| {_name(name)} | {of.winner_log_loss:.4f} | {difference} | {of.winner_top1:.1%} "
            f"| {of.podium_precision:.1%} | {of.podium_log_loss:.4f} | {of.brier:.4f} | {of.ece:.4f} "
            f"| {of.favourite.predicted:.1%}, {of.favourite.observed:.1%} |"
        )
    lines += [
        "",
        f"Below 0 the model is better (paired bootstrap over races, {evaluation.draws} draws). Log-losses, "
        "Brier score and expected calibration error: lower is better. The favourite's column says how sure "
        "of its favourite each is on average, and how often that one wins.",
    ]
    return "\n".join(lines)


def _seasons(evaluation: Evaluation) -> str:
    names = list(evaluation.scores)
    lines = [
        "| log-loss of the winner | races | " + " | ".join(_name(name) for name in names) + " |",
        "| --- " * (2 + len(names)) + "|",
    ]
    for season, of in sorted(evaluation.seasons.items()):
        figures = " | ".join(f"{of[name].winner_log_loss:.4f}" for name in names)
        lines.append(f"| {season} | {of[MODEL].races} | {figures} |")
    lines += [
        "",
        "| winner predicted, podium precision | " + " | ".join(_name(name) for name in names) + " |",
        "| --- " * (1 + len(names)) + "|",
    ]
    for season, of in sorted(evaluation.seasons.items()):
        figures = " | ".join(f"{of[name].winner_top1:.1%}, {of[name].podium_precision:.1%}" for name in names)
        lines.append(f"| {season} | {figures} |")
    return "\n".join(lines)


def _verdict(evaluation: Evaluation) -> str:
    """In words: how much of the gain over the grid each season brought, and where a baseline was better."""
    lines = []
    gains = {
        season: (of[GRID].winner_log_loss - of[MODEL].winner_log_loss) * of[MODEL].races
        for season, of in sorted(evaluation.seasons.items())
    }
    parts = [f"{gain:+.1f} in {season}" for season, gain in gains.items()]
    lines.append(f"Log-loss gained over the grid's frequencies, summed over the races: {', '.join(parts)}.")
    worse = [
        f"{season}: {_name(name)} ({of[name].winner_log_loss:.3f} against {of[MODEL].winner_log_loss:.3f})"
        for season, of in sorted(evaluation.seasons.items())
        for name in of
        if name != MODEL and of[name].winner_log_loss < of[MODEL].winner_log_loss
    ]
    lines.append(
        "Seasons in which a baseline had the lower log-loss: " + ("; ".join(worse) if worse else "none") + "."
    )
    less = [
        f"{season}: {_name(name)} ({of[name].podium_precision:.1%} against {of[MODEL].podium_precision:.1%})"
        for season, of in sorted(evaluation.seasons.items())
        for name in of
        if name != MODEL and of[name].podium_precision > of[MODEL].podium_precision
    ]
    lines.append(
        "Seasons in which a baseline named more of the podium: " + ("; ".join(less) if less else "none") + "."
    )
    return "\n\n".join(lines)


def _bins(name: str, bins: Sequence[Bin]) -> str:
    rows = [
        f"| {b.bin_low:.0%} to {b.bin_high:.0%} | {b.predicted:.1%} | {b.observed:.1%} | {b.count} |"
        for b in bins
    ]
    return "\n".join([f"| {name} | on average | came true | drivers |", "| --- | --- | --- | --- |", *rows])


def _calibration_plot(evaluation: Evaluation) -> Figure:
    figure, axes = plt.subplots(figsize=(6, 6))
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle="--", label="perfect")
    sets: list[tuple[str, str, Sequence[Bin], Scores]] = [
        ("grid only", GRID_COLOUR, evaluation.bins[GRID], evaluation.baseline),
        ("model", MODEL_COLOUR, evaluation.bins[MODEL], evaluation.model),
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
    for name, colour, of in (("grid only", GRID_COLOUR, GRID), ("model", MODEL_COLOUR, MODEL)):
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
