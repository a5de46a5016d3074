"""Measures a candidate: against champion and baselines, for leaks, and in a process that serves it."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from f1.features import columns, replay, training_table
from f1.history import POST_QUALIFYING, PRE_WEEKEND, RaceRecord, Stage
from f1.model import artifact
from f1.model.artifact import ArtifactError, Loaded
from f1.model.evaluation import Predicted
from f1.model.races import Floats
from f1.model.scoring import MODEL, log_losses
from f1.registry.gate import Evidence, Served
from f1.registry.package import Race

# Seasons that are compared: the newest ones that were predicted by walking forward.
SEASONS = 5
LEAK_RACES = 5
REPEATS = 40
_MEASURE_SECONDS = 3600


@dataclass(frozen=True)
class Champion:
    """The model to compare with: what it said of past races without knowing them.

    `loaded` predicts the races after its cutoff; None when this program cannot serve it, `problem` says why.
    """

    digest: str
    cutoff: dt.date
    walk_forward: Mapping[Race, Mapping[str, float]]
    loaded: Loaded | None
    problem: str | None = None

    def win(self, item: Predicted) -> Mapping[str, float] | None:
        """Win probabilities by driver; None when it said nothing that it would not have known."""
        race = item.race.race
        if race.date > self.cutoff:
            if self.loaded is None:
                return None
            win, _ = self.loaded.stages[item.stage].predict(item.features)
            return {driver: float(p) for driver, p in zip(item.drivers, win, strict=True)}
        return self.walk_forward.get((item.stage, race.season, race.round))


def gather(
    predicted: Sequence[Predicted], champion: Champion | None, history: Sequence[RaceRecord], served: Served
) -> Evidence:
    """Put the evidence together from the candidate's walk-forward predictions.

    Raises ValueError when there are none.
    """
    newest = sorted({item.race.race.season for item in predicted})[-SEASONS:]
    recent = [item for item in predicted if item.race.race.season in newest]
    after = [item for item in recent if item.stage == POST_QUALIFYING]
    if not after:
        raise ValueError("there is no completed race to judge the model by")
    losses = {name: log_losses(after, name) for name in after[0].by}
    baseline = min((name for name in losses if name != MODEL), key=lambda name: float(losses[name].mean()))
    best = [int(np.argmax(item.win)) for item in after]
    stages: tuple[Stage, ...] = (POST_QUALIFYING, PRE_WEEKEND)
    return Evidence(
        against={stage: _against(recent, champion, stage) for stage in stages} if champion else None,
        baseline=baseline,
        against_baseline=losses[MODEL] - losses[baseline],
        favourites=np.array([item.win[i] for item, i in zip(after, best, strict=True)]),
        favourites_won=np.array([bool(item.won()[i]) for item, i in zip(after, best, strict=True)]),
        leaks=tuple(leaks(history)),
        served=served,
    )


def _against(items: Sequence[Predicted], champion: Champion, stage: Stage) -> Floats:
    """Log-loss of the candidate minus the champion's, of the races that both predicted; by the results as
    they are known now, whatever they were when the champion was trained."""
    differences = []
    for item in items:
        if item.stage != stage:
            continue
        said = champion.win(item)
        if said is None or item.race.winner not in said:
            continue
        own = float(log_losses([item], MODEL)[0])
        differences.append(own + float(np.log(max(said[item.race.winner], 1e-15))))
    return np.array(differences, dtype=np.float64)


def leaks(history: Sequence[RaceRecord], count: int = LEAK_RACES) -> list[str]:
    """Races whose features change when the race's own outcome and all that comes later are cut off, by name.

    Looks at `count` races, spread over the history.
    """
    table = training_table([record for record in history if record.run])
    found = []
    for index in np.unique(np.linspace(0, len(table.races) - 1, count).astype(int)):
        race = table.races[index]
        known = [record for record in history if record.run and record.race.date < race.race.date]
        state = replay(known)
        for stage, features in table.features.items():
            cut = state.features(race.race, race.entries, stage)
            kept = features[table.group == index]
            if not np.array_equal(
                cut.to_numpy(dtype=np.float64), kept.to_numpy(dtype=np.float64), equal_nan=True
            ):
                found.append(f"{race.race.season}/{race.race.round} {race.race.name}, {stage}")
    return found


def measure(folder: Path, version: str) -> Served:
    """Load a model as a server does and predict with it: to be called in a process that does nothing else.

    Its golden predictions are compared while it is loaded.
    """
    machine = platform.machine()
    try:
        loaded = artifact.load(folder, version)
    except ArtifactError as error:
        return Served(machine, 0.0, _peak(), str(error))
    golden = json.loads((folder / f"model-{version}" / "golden.json").read_text(encoding="utf-8"))
    times = []
    for repeat in range(REPEATS):
        item = golden[repeat % len(golden)]
        model = loaded.stages[item["stage"]]
        features = pd.DataFrame(
            item["features"], index=item["drivers"], columns=columns(item["stage"]), dtype=np.float64
        )
        # Processor time says the same on a busy machine.
        began = time.process_time()
        model.predict(features)
        model.contributions(features)
        times.append((time.process_time() - began) * 1000.0)
    return Served(machine, float(np.percentile(times, 95)), _peak())


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def measured_apart(folder: Path, version: str) -> Served:
    """What `measure` finds in a process of its own. A process that fails is a finding, too."""
    command = [sys.executable, "-m", "f1.registry.evidence", str(folder), version]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=_MEASURE_SECONDS, env=environment)
    if ran.returncode != 0:
        last = (ran.stderr.strip().splitlines() or ["it says nothing"])[-1]
        return Served(
            platform.machine(), 0.0, 0.0, f"a process that loads it ends with {ran.returncode}: {last}"
        )
    return Served(**json.loads(ran.stdout))


if __name__ == "__main__":
    print(json.dumps(asdict(measure(Path(sys.argv[1]), sys.argv[2]))))
