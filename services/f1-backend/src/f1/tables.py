"""The database: one table for each kind of thing."""

from __future__ import annotations

import datetime as dt
from typing import Any, get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from f1.history import Stage, Status
from f1.monitoring.findings import Kind, State

CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

STATUSES: tuple[Status, ...] = get_args(Status)


def _one_of(column: str, values: tuple[str, ...], name: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=name)


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=CONVENTION)
    type_annotation_map = {dt.datetime: TIMESTAMP(timezone=True), dict[str, Any]: JSONB, list[Any]: JSONB}


class Season(Base):
    """A championship year."""

    __tablename__ = "seasons"

    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    demo: Mapped[bool] = mapped_column(default=False, server_default="false")


class Circuit(Base):
    """A track; coordinates in degrees, for the weather."""

    __tablename__ = "circuits"
    __table_args__ = (_one_of("type", ("RACE", "STREET", "ROAD"), "type"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    type: Mapped[str] = mapped_column(String(8))
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]


class Race(Base):
    """A race of a calendar, run or not."""

    __tablename__ = "races"
    __table_args__ = (UniqueConstraint("season", "round"), Index("ix_races_date", "date"))

    id: Mapped[int] = mapped_column(primary_key=True)
    season: Mapped[int] = mapped_column(ForeignKey("seasons.year"))
    round: Mapped[int]
    name: Mapped[str] = mapped_column(String(120))
    circuit: Mapped[str] = mapped_column(ForeignKey("circuits.id"))
    date: Mapped[dt.date]
    laps: Mapped[int | None]
    distance_km: Mapped[float | None]


class Driver(Base):
    """A person."""

    __tablename__ = "drivers"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    code: Mapped[str | None] = mapped_column(String(3))


class Constructor(Base):
    """A team under one of its names."""

    __tablename__ = "constructors"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(120))


class Result(Base):
    """How a driver's race ended."""

    __tablename__ = "results"
    __table_args__ = (_one_of("status", STATUSES, "status"), Index("ix_results_driver", "driver"))

    race_id: Mapped[int] = mapped_column(ForeignKey("races.id", ondelete="CASCADE"), primary_key=True)
    driver: Mapped[str] = mapped_column(ForeignKey("drivers.id"), primary_key=True)
    constructor: Mapped[str] = mapped_column(ForeignKey("constructors.id"), index=True)
    position: Mapped[int | None]
    status: Mapped[Status] = mapped_column(String(8))
    grid: Mapped[int | None]
    pit_lane: Mapped[bool]
    laps: Mapped[int | None]
    time: Mapped[str | None] = mapped_column(String(40))
    reason: Mapped[str | None] = mapped_column(String(120))
    points: Mapped[float]


class Qualifying(Base):
    """A driver's qualifying; times in milliseconds."""

    __tablename__ = "qualifying"

    race_id: Mapped[int] = mapped_column(ForeignKey("races.id", ondelete="CASCADE"), primary_key=True)
    driver: Mapped[str] = mapped_column(ForeignKey("drivers.id"), primary_key=True)
    constructor: Mapped[str] = mapped_column(ForeignKey("constructors.id"))
    position: Mapped[int | None]
    q1: Mapped[int | None]
    q2: Mapped[int | None]
    q3: Mapped[int | None]


class LabelVersion(Base):
    """What a source said of a race's results or qualifying, kept when it says something else later.

    `labels` has a row for each driver, none when the source took all of them back; the newest version is what
    `results` and `qualifying` hold.
    """

    __tablename__ = "label_versions"
    __table_args__ = (_one_of("kind", ("results", "qualifying"), "kind"),)

    race_id: Mapped[int] = mapped_column(ForeignKey("races.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(String(40))
    fingerprint: Mapped[str] = mapped_column(String(64))
    labels: Mapped[list[Any]]
    recorded_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class Weather(Base):
    """Weather of the race day; a row without figures says that it could not be had, and why."""

    __tablename__ = "weather"

    race_id: Mapped[int] = mapped_column(ForeignKey("races.id", ondelete="CASCADE"), primary_key=True)
    precipitation_mm: Mapped[float | None]
    temperature_c: Mapped[float | None]
    wind_kph: Mapped[float | None]
    source: Mapped[str] = mapped_column(String(40))
    unknown_because: Mapped[str | None] = mapped_column(String(200))
    fetched_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class Rating(Base):
    """ELO of a driver or constructor before and after a race."""

    __tablename__ = "ratings"
    __table_args__ = (
        _one_of("kind", ("driver", "constructor"), "kind"),
        Index("ix_ratings_entity", "kind", "entity"),
    )

    race_id: Mapped[int] = mapped_column(ForeignKey("races.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12), primary_key=True)
    entity: Mapped[str] = mapped_column(String(64), primary_key=True)
    before: Mapped[float]
    after: Mapped[float]


class Prediction(Base):
    """A driver's predicted chances. Rows here are out of sample: the model had seen only earlier races."""

    __tablename__ = "predictions"
    __table_args__ = (_one_of("stage", ("pre-weekend", "post-qualifying"), "stage"),)

    race_id: Mapped[int] = mapped_column(ForeignKey("races.id", ondelete="CASCADE"), primary_key=True)
    stage: Mapped[Stage] = mapped_column(String(16), primary_key=True)
    model_version: Mapped[str] = mapped_column(String(64), primary_key=True)
    driver: Mapped[str] = mapped_column(ForeignKey("drivers.id"), primary_key=True)
    constructor: Mapped[str] = mapped_column(ForeignKey("constructors.id"))
    grid: Mapped[int | None]
    win: Mapped[float]
    podium: Mapped[float]
    rank: Mapped[int]
    baseline_win: Mapped[float]
    # Win probability by each baseline; NULL in rows that were stored before these were kept.
    baselines: Mapped[dict[str, Any] | None]
    contributions: Mapped[list[Any]]
    data_cutoff: Mapped[dt.date]
    generated_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class MonitoringReport(Base):
    """What monitoring came to, each time that it came to something else; the newest row holds."""

    __tablename__ = "monitoring_reports"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    report: Mapped[dict[str, Any]]
    made_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class MonitoringFinding(Base):
    """Something that monitoring found; see `f1.monitoring.findings`."""

    __tablename__ = "monitoring_findings"
    __table_args__ = (
        _one_of("kind", get_args(Kind), "kind"),
        _one_of("state", get_args(State), "state"),
    )

    key: Mapped[str] = mapped_column(String(160), primary_key=True)
    kind: Mapped[Kind] = mapped_column(String(12))
    stage: Mapped[Stage | None] = mapped_column(String(16))
    model_version: Mapped[str] = mapped_column(String(64))
    message: Mapped[str] = mapped_column(Text)
    state: Mapped[State] = mapped_column(String(10))
    raised_at: Mapped[dt.datetime]
    answered_at: Mapped[dt.datetime | None]
    answer: Mapped[str | None] = mapped_column(Text)
    ended_at: Mapped[dt.datetime | None]


class IngestUnit(Base):
    """A finished piece of an import, so that the next run goes on where the last one stopped."""

    __tablename__ = "ingest_journal"

    source: Mapped[str] = mapped_column(String(40), primary_key=True)
    unit: Mapped[str] = mapped_column(String(80), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    rows: Mapped[int]
    finished_at: Mapped[dt.datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
