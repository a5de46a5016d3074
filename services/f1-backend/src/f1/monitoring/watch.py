"""A look at the forecasts: stores the next one, judges the past ones, and keeps what was found.

Looking twice changes nothing, and looking after a correction of results judges by the corrected ones.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from f1 import store
from f1.forecast import Forecast, next_race, to_be_judged
from f1.history import RaceRecord
from f1.model.artifact import Loaded
from f1.monitoring import records
from f1.monitoring.drift import DriftReport, drift
from f1.monitoring.findings import Finding, Raised, answered, followed, retired, since
from f1.monitoring.judging import STAGES, Made, StageReport, judge
from servicekit.database import Database

# Looks wait for each other, so that none overwrites what another has found.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('f1 monitoring'))"


@dataclass(frozen=True)
class Serving:
    """The model that serves: its version, and the date of the last race that it has seen."""

    version: str
    cutoff: dt.date

    @classmethod
    def of(cls, model: Loaded) -> Serving:
        """As the model says of itself."""
        return cls(model.version, dt.date.fromisoformat(model.metadata["data_cutoff"]))


@dataclass(frozen=True)
class Look:
    """What a look came to. `changed`: something else than the look before."""

    stages: list[StageReport]
    drift: DriftReport
    findings: list[Finding]
    changed: bool

    @property
    def open(self) -> list[str]:
        """The findings that no training has answered yet, each in a sentence."""
        return [each.message for each in self.findings if each.state == "open"]


def keep_forecast(
    session: Session, model: Loaded, history: Sequence[RaceRecord], today: dt.date
) -> Forecast | None:
    """Store the model's forecast of the next race beside those of all baselines, to be judged later.

    Returns None, and stores nothing, when there is no race to come: the calendar has none, or the day of the
    next one has passed and only its results are missing.
    """
    coming = next_race(history)
    if coming is None or coming.race.date < today:
        return None
    forecast = to_be_judged(model, coming, history)
    cutoff = max((record.race.date for record in history if record.run), default=dt.date.min)
    store.save_predictions(session, model.version, [(forecast, cutoff)])
    return forecast


def look(database: Database, serving: Serving | None, alpha: float, now: dt.datetime) -> Look:
    """Judge all stored forecasts, compare inputs, and keep the report and the findings.

    `serving` is None when there is no model; `alpha` the largest chance of a false finding about forecasts,
    see `judging.judge`.
    """
    version = serving.version if serving else None
    with database.session() as session:
        session.execute(text(_LOCK))
        made = records.load_made(session)
        known = retired(records.load_findings(session), version, now)
        stages = [judge(made, stage, since(known, stage), alpha) for stage in STAGES]
        inputs_of = drift(
            store.load_history(session),
            serving.cutoff if serving else None,
            records.load_corrections(session),
        )
        raised = [_worse(each) for each in stages if each.verdict == "worse"]
        about = version or _newest(made)
        if inputs_of.verdict == "drift":
            raised.append(Raised(f"drift:{about}", "drift", None, inputs_of.finding()))
        findings = followed(known, raised, about, now)
        records.save_findings(session, findings)
        report = {
            "inputs": inputs(made),
            "alpha": alpha,
            "model_version": version,
            "stages": [_plain(each) for each in stages],
            "drift": _plain(inputs_of),
        }
        changed = records.save_report(session, _hash(report), report)
    return Look(stages, inputs_of, findings, changed)


def answer(database: Database, said: str, now: dt.datetime) -> None:
    """Note that a training which knew of all open findings has ended, and what it came to."""
    with database.session() as session:
        session.execute(text(_LOCK))
        records.save_findings(session, answered(records.load_findings(session), said, now))


def inputs(made: Sequence[Made]) -> str:
    """SHA-256 over all that is judged: another one after a new result, forecast or correction."""
    return _hash(
        [_plain(each) for each in sorted(made, key=lambda each: (each.season, each.round, each.stage))]
    )


def _worse(stage: StageReport) -> Raised:
    start = stage.since.isoformat() if stage.since else "start"
    return Raised(f"performance:{stage.stage}:{start}", "performance", stage.stage, stage.finding())


def _newest(made: Sequence[Made]) -> str:
    return max(made, key=lambda each: each.generated_at).model_version if made else "none"


def _plain(item: Made | StageReport | DriftReport) -> Any:
    return json.loads(json.dumps(asdict(item), default=str))


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
