"""What monitoring reads from the database, and what it keeps there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from f1 import store
from f1.monitoring.drift import Correction
from f1.monitoring.findings import Finding
from f1.monitoring.judging import Made
from f1.tables import LabelVersion, MonitoringFinding, MonitoringReport, Prediction, Race, Result


def load_made(session: Session) -> list[Made]:
    """The last forecast of each race and stage that was stored before the race, of the races that were run.

    What walking forward has predicted later is not among them.
    """
    newest = select(LabelVersion.race_id, func.max(LabelVersion.version)).group_by(LabelVersion.race_id)
    versions = {
        race_id: version for race_id, version in session.execute(newest.where(LabelVersion.kind == "results"))
    }
    first = select(Result.race_id, Result.driver).where(Result.position == 1)
    winners = {race_id: driver for race_id, driver in session.execute(first)}
    rows = session.execute(
        select(Race, Prediction)
        .join(Prediction, Prediction.race_id == Race.id)
        .where(func.date(Prediction.generated_at) <= Race.date)
        .where(exists().where(Result.race_id == Race.id))
        .order_by(Prediction.generated_at, Prediction.model_version)
    )
    forecasts: dict[tuple[int, str], dict[str, list[tuple[Race, Prediction]]]] = defaultdict(dict)
    for race, prediction in rows:
        of_race = forecasts[race.id, prediction.stage]
        of_race.setdefault(prediction.model_version, []).append((race, prediction))
    made = []
    for by_version in forecasts.values():
        chosen = max(by_version.values(), key=lambda found: found[0][1].generated_at)
        race, made_first = chosen[0]
        said = {prediction.driver: prediction.baselines or {} for _, prediction in chosen}
        known = set.intersection(*(set(each) for each in said.values()))
        made.append(
            Made(
                race.season,
                race.round,
                race.name,
                race.date,
                made_first.stage,
                made_first.model_version,
                made_first.generated_at,
                {prediction.driver: prediction.win for _, prediction in chosen},
                {
                    name: {driver: float(each[name]) for driver, each in said.items()}
                    for name in sorted(known)
                },
                winners.get(race.id),
                versions.get(race.id, 1),
            )
        )
    return made


def load_corrections(session: Session) -> list[Correction]:
    """All later versions of results and qualifyings, in the order in which they were recorded."""
    rows = session.execute(
        select(Race, LabelVersion)
        .join(LabelVersion, LabelVersion.race_id == Race.id)
        .where(LabelVersion.version > 1)
        .order_by(LabelVersion.recorded_at, Race.id, LabelVersion.kind, LabelVersion.version)
    )
    return [
        Correction(
            race.season,
            race.round,
            race.name,
            race.date,
            version.kind,
            version.version,
            version.source,
            not version.labels,
            version.recorded_at,
        )
        for race, version in rows
    ]


def load_findings(session: Session) -> list[Finding]:
    """All findings, the oldest first."""
    found = session.scalars(select(MonitoringFinding).order_by(MonitoringFinding.raised_at))
    return [Finding(**{each.name: getattr(row, each.name) for each in fields(Finding)}) for row in found]


def save_findings(session: Session, findings: Sequence[Finding]) -> None:
    """Write findings, each in place of what was known of it."""
    store.upsert(session, MonitoringFinding, [asdict(each) for each in findings])


def newest_report(session: Session) -> MonitoringReport | None:
    """The report that holds; None before the first one."""
    return session.scalar(select(MonitoringReport).order_by(MonitoringReport.id.desc()).limit(1))


def save_report(session: Session, fingerprint: str, report: dict[str, Any]) -> bool:
    """Keep a report unless the newest one says the same; returns whether it was new."""
    newest = newest_report(session)
    if newest is not None and newest.fingerprint == fingerprint:
        return False
    session.add(MonitoringReport(fingerprint=fingerprint, report=report))
    return True
