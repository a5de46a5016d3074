"""What the API answers: reads of the database, live predictions, and the cache before both."""

from __future__ import annotations

import datetime as dt
import functools
import logging
import math
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Nullable, Select, exists, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, aliased

from f1 import elo
from f1.api import schemas
from f1.api.serving import ServedModel, required
from f1.features import LABELS, FeatureState, replay
from f1.forecast import Chance, Forecast, predict_upcoming
from f1.history import PRE_WEEKEND, RaceRecord, Stage
from f1.model.artifact import ArtifactError, Loaded
from f1.model.baseline import LABELS as BASELINE_LABELS
from f1.model.experts import LABELS as EXPERT_LABELS
from f1.model.scoring import MODEL
from f1.monitoring import records, watch
from f1.store import data_version, load_history
from f1.tables import Circuit, Constructor, Driver, Prediction, Race, Rating, Result, Season, Weather
from servicekit.cache import Cache
from servicekit.database import Database
from servicekit.problems import Problem

log = logging.getLogger(__name__)

CACHE_TAG = "data"
INTENDED_USE = (
    "Chances of winning and of a podium in Formula 1 races, for people who follow the sport. "
    "Not for betting: a bookmaker's odds know more than results and qualifying."
)
LIMITS = [
    "Knows results, grids and qualifying times; not practice, sprints, weather, tyres, upgrades or penalties"
    " announced after the grid.",
    "Before qualifying it predicts from form alone and is clearly less sure.",
    "A rule change or a new team makes the past a poor guide for the first races; the weights of the experts"
    " need a few races to follow, and training after each race.",
    "How much better than the simple baselines it is differs from season to season; in some seasons one of"
    " them is as good or better. The scores of each season are part of this card.",
    "A few hundred races are little data: differences of a few percent between drivers are not meaningful.",
    "The figures are those of walk-forward predictions over the seasons named, each made without knowing"
    " later races.",
]

_PREDICTIONS = (Prediction.race_id, Prediction.stage, Prediction.model_version)


@dataclass(frozen=True)
class _Snapshot:
    """The data as of one version of it, and the features' state after the last completed race."""

    version: str
    history: list[RaceRecord]
    state: FeatureState


@dataclass(frozen=True)
class _Judged:
    """A stored chance beside the place it came to."""

    race: Race
    chance: Prediction
    driver: Driver
    position: int | None


@dataclass(frozen=True)
class _Ranked:
    """What a driver's and a constructor's season have in common; named as in the shapes."""

    id: str
    elo: float
    elo_change: float
    wins: int
    podiums: int
    points: float
    position: int


@functools.cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def _missing(what: str) -> Problem:
    return Problem(404, "Not found", f"There is no {what}.")


class Platform:
    """Answers as shapes; `answer` gives them as JSON text through the cache."""

    def __init__(self, database: Database, cache: Cache, model: ServedModel) -> None:
        self._database, self._cache, self.model = database, cache, model
        self._snapshot: _Snapshot | None = None
        self._building = threading.Lock()

    def answer(self, key: str, shape: Any, loader: Callable[[Loaded | None], Any]) -> str:
        """JSON of what `loader` gives for the current model, cached for that model and until the next
        import."""
        model = self.model.loaded
        name = f"{model.identity if model else 'none'}:{key}"
        text = self._cache.get_or_set(
            name, None, lambda: _adapter(shape).dump_json(loader(model)).decode(), tag=CACHE_TAG
        )
        shadow = self.model.shadow
        if shadow is not None and model is not None and shape is schemas.RaceDetail:
            shadow.consider(key, cast(str, text), loader)
        return cast(str, text)

    def served(self) -> schemas.ServedModels:
        """Which models this process has loaded, and what became of their predictions."""
        model, shadow, refused = self.model.loaded, self.model.shadow, self.model.refused
        return schemas.ServedModels(
            follows_registry=self.model.follows,
            champion=None if model is None else self._counted(model),
            refused=None if refused is None else schemas.RefusedModel(**asdict(refused)),
            shadow=(
                None
                if shadow is None
                else schemas.ShadowModel(
                    digest=shadow.digest,
                    problem=shadow.problem,
                    model=None if shadow.loaded is None else self._counted(shadow.loaded),
                    requests=shadow.compared.requests,
                    other_favourite=shadow.compared.other_favourite,
                    largest_difference=shadow.compared.largest,
                    mean_difference=shadow.compared.mean,
                )
            ),
        )

    def try_out(self, model: Loaded) -> None:
        """Predict the next race with a model before users get it. Does nothing while no race is to come or
        the database does not answer.

        Raises ArtifactError for a model that cannot.
        """
        try:
            with self._database.session() as session:
                key = self._next_key(session)
            snapshot = self._current_snapshot() if key is not None else None
        except SQLAlchemyError:
            log.warning("a model is not tried, because the database does not answer", exc_info=True)
            return
        if key is None or snapshot is None:
            return
        try:
            self._predicted(model, key, snapshot)
        except Exception as error:
            raise ArtifactError(
                "prediction", f"it cannot predict the next race: {type(error).__name__}: {error}"
            ) from error

    def _counted(self, model: Loaded) -> schemas.CountedModel:
        return schemas.CountedModel(
            digest=model.digest, version=model.version, **asdict(self.model.tally(model))
        )

    def seasons(self) -> list[int]:
        """Seasons with races."""
        with self._database.session() as session:
            return list(session.scalars(select(Race.season).distinct().order_by(Race.season)))

    def races(self, season: int | None, model: Loaded | None) -> list[schemas.RaceSummary]:
        """The calendar of a season, empty when it is not ingested."""
        with self._database.session() as session:
            year = season or self._latest_season(session)
            summaries = self._summaries(session, Race.season == year)
            upcoming = self._next_key(session)
        if upcoming is None or upcoming[0] != year or model is None:
            return summaries
        detail = self.race(*upcoming, model)
        return [detail.race if (item.season, item.round) == upcoming else item for item in summaries]

    def next_race(self, model: Loaded | None) -> schemas.RaceDetail:
        """The next race. Raises Problem 404 when no race is to come."""
        with self._database.session() as session:
            key = self._next_key(session)
        if key is None:
            raise _missing("race to come: every race of the calendar has results")
        return self.race(*key, model)

    def race(self, season: int, round_: int, model: Loaded | None) -> schemas.RaceDetail:
        """A race: predicted now when it is to come, with the stored prediction when it has been run."""
        with self._database.session() as session:
            found = self._summaries(session, (Race.season == season) & (Race.round == round_))
            if not found:
                raise _missing(f"race {season}/{round_}")
            summary = found[0]
            weather = self._weather(session, season, round_)
            if summary.status == "completed":
                return self._past(session, summary, weather)
        return self._upcoming(summary, weather, required(model))

    def standings(self, season: int | None) -> schemas.Standings:
        """Points tables of a season. Raises Problem 404 when the season is not ingested."""
        with self._database.session() as session:
            year = season or self._latest_season(session)
            if session.scalar(select(Race.id).where(Race.season == year).limit(1)) is None:
                raise _missing(f"season {year}")
            after = session.scalar(
                select(func.max(Race.round))
                .join(Result, Result.race_id == Race.id)
                .where(Race.season == year)
            )
            return schemas.Standings(
                season=year,
                after_round=after or 0,
                drivers=self._driver_rows(session, year),
                constructors=self._constructor_rows(session, year),
            )

    def driver(self, id_: str) -> schemas.DriverDetail:
        """A driver. Raises Problem 404 for an unknown id."""
        with self._database.session() as session:
            season = self._last_season_of(session, Result.driver == id_)
            if season is None:
                raise _missing(f"driver {id_} with results")
            row = next(item for item in self._driver_rows(session, season) if item.id == id_)
            chosen = self._chosen(None).subquery()
            results = session.execute(
                select(Race, Result, Constructor, Nullable(Prediction.win))
                .join(Result, Result.race_id == Race.id)
                .join(Constructor, Constructor.id == Result.constructor)
                .outerjoin(chosen, chosen.c.race_id == Race.id)
                .outerjoin(Prediction, _matches(chosen) & (Prediction.driver == Result.driver))
                .where(Result.driver == id_)
                .order_by(Race.date)
            )
            return schemas.DriverDetail(
                **row.model_dump(),
                season=season,
                elo_history=self._elo_history(session, "driver", id_),
                results=[
                    schemas.DriverResult(
                        season=race.season,
                        round=race.round,
                        date=race.date,
                        race=race.name,
                        constructor=schemas.ConstructorName(id=team.id, name=team.name),
                        grid=result.grid,
                        position=result.position,
                        status=result.status,
                        points=result.points,
                        win_probability=win,
                    )
                    for race, result, team, win in results
                ],
            )

    def constructor(self, id_: str) -> schemas.ConstructorDetail:
        """A constructor. Raises Problem 404 for an unknown id."""
        with self._database.session() as session:
            season = self._last_season_of(session, Result.constructor == id_)
            if season is None:
                raise _missing(f"constructor {id_} with results")
            row = next(item for item in self._constructor_rows(session, season) if item.id == id_)
            chosen = self._chosen(None).subquery()
            results = session.execute(
                select(
                    Race.season,
                    Race.round,
                    Race.date,
                    Race.name,
                    func.min(Result.position),
                    func.sum(Result.points),
                    Nullable(func.sum(Prediction.win)),
                )
                .join(Result, Result.race_id == Race.id)
                .outerjoin(chosen, chosen.c.race_id == Race.id)
                .outerjoin(Prediction, _matches(chosen) & (Prediction.driver == Result.driver))
                .where(Result.constructor == id_)
                .group_by(Race.id)
                .order_by(Race.date)
            )
            return schemas.ConstructorDetail(
                **row.model_dump(),
                season=season,
                elo_history=self._elo_history(session, "constructor", id_),
                results=[
                    schemas.ConstructorResult(
                        season=year,
                        round=round_,
                        date=date,
                        race=name,
                        best_position=best,
                        points=points,
                        win_probability=None if win is None else min(win, 1.0),
                    )
                    for year, round_, date, name, best, points, win in results
                ],
            )

    def elo(self, season: int | None, kind: schemas.Kind) -> list[schemas.EloSeries]:
        """ELO after each round of a season, the best last rating first; empty when nothing was run."""
        with self._database.session() as session:
            year = season or self._latest_season(session)
            names = self._names(session, kind)
            rows = session.execute(
                select(Rating.entity, Race.round, Race.date, Rating.after)
                .join(Race, Race.id == Rating.race_id)
                .where(Race.season == year, Rating.kind == kind)
                .order_by(Race.date)
            )
            points: dict[str, list[schemas.EloSeriesPoint]] = defaultdict(list)
            for entity, round_, date, after in rows:
                points[entity].append(schemas.EloSeriesPoint(round=round_, date=date, elo=round(after, 1)))
        series = [schemas.EloSeries(id=id_, name=names[id_], points=line) for id_, line in points.items()]
        return sorted(series, key=lambda item: -item.points[-1].elo)

    def model_card(self, model: Loaded | None) -> schemas.ModelCard:
        """The card of the model being served. Raises Problem 503 without one."""
        loaded = required(model)
        metadata = loaded.metadata
        metrics = metadata["metrics"]
        importances = sorted(metadata["importances"].items(), key=lambda item: -item[1])
        return schemas.ModelCard(
            version=loaded.version,
            trained_at=metadata["trained_at"],
            data_cutoff=metadata["data_cutoff"],
            git_sha=metadata["git_sha"],
            libraries=metadata["libraries"],
            feature_schema_hash=metadata["feature_schema_hash"],
            features=[
                schemas.FeatureImportance(name=name, label=LABELS[name], importance=share)
                for name, share in importances
            ],
            experts=[
                schemas.ExpertWeight(stage=stage, name=name, label=EXPERT_LABELS[name], weight=weight)
                for stage, weights in metadata["experts"].items()
                for name, weight in sorted(weights.items(), key=lambda item: -item[1])
            ],
            metrics=schemas.ModelMetrics.model_validate(_labelled(metrics)),
            calibration=schemas.Calibration.model_validate(metrics["calibration"]),
            demo=metadata["demo"],
            intended_use=INTENDED_USE,
            limits=LIMITS,
        )

    def performance(self, season: int | None) -> schemas.Performance:
        """Stored out-of-sample predictions beside what happened."""
        with self._database.session() as session:
            chosen = self._chosen(season).subquery()
            rows = session.execute(
                select(Race, Prediction, Driver, Result.position)
                .join(chosen, chosen.c.race_id == Race.id)
                .join(Prediction, _matches(chosen))
                .join(Driver, Driver.id == Prediction.driver)
                .join(Result, (Result.race_id == Race.id) & (Result.driver == Prediction.driver))
                .order_by(Race.date, Prediction.rank)
            )
            by_race: dict[int, list[_Judged]] = defaultdict(list)
            for row in rows:
                by_race[row[0].id].append(_Judged(*row))
        items = [item for item in (_past_prediction(group) for group in by_race.values()) if item is not None]
        return schemas.Performance(predictions=items, totals=_totals(items))

    def monitoring(self) -> schemas.Monitoring:
        """The report of the last look at the forecasts, and all findings."""
        with self._database.session() as session:
            newest = records.newest_report(session)
            findings = [
                schemas.Finding.model_validate(asdict(each))
                for each in reversed(records.load_findings(session))
            ]
            made = records.load_made(session)
            drivers = {row.id: _driver_name(row) for row in session.scalars(select(Driver))}
        if newest is None:
            return schemas.Monitoring(
                judged_at=None,
                outdated=bool(made),
                alpha=None,
                model_version=None,
                stages=[],
                drift=None,
                findings=findings,
            )
        report = newest.report
        stages = [
            stage | {"races": [race | {"winner": drivers[race["winner"]]} for race in stage["races"]]}
            for stage in report["stages"]
        ]
        return schemas.Monitoring(
            judged_at=newest.made_at,
            outdated=report["inputs"] != watch.inputs(made),
            alpha=report["alpha"],
            model_version=report["model_version"],
            stages=[schemas.WatchedStage.model_validate(stage) for stage in stages],
            drift=schemas.Drift.model_validate(report["drift"]),
            findings=findings,
        )

    def reload(self, request: schemas.ReloadRequest) -> schemas.ReloadResult:
        """Swap the model; see `ServedModel.reload`."""
        previous, current = self.model.reload(request.version, request.force)
        return schemas.ReloadResult(previous=previous, current=current)

    def _latest_season(self, session: Session) -> int:
        """The last season with a result, or the last at all; 0 in an empty database."""
        with_results = session.scalar(select(func.max(Race.season)).join(Result, Result.race_id == Race.id))
        return with_results or session.scalar(select(func.max(Race.season))) or 0

    def _next_key(self, session: Session) -> tuple[int, int] | None:
        """The first race after the last completed one."""
        last = select(func.max(Race.date)).join(Result, Result.race_id == Race.id).scalar_subquery()
        found = session.execute(
            select(Race.season, Race.round)
            .where(Race.date > func.coalesce(last, dt.date.min))
            .order_by(Race.date, Race.round)
            .limit(1)
        ).first()
        return (found[0], found[1]) if found else None

    def _chosen(self, season: int | None) -> Select[int, Stage, str]:
        """For each race the prediction to show: of those after qualifying, if any, the newest that was made
        before
        the race, else that of the last walk-forward run."""
        statement = (
            select(*_PREDICTIONS)
            .join(Race, Race.id == Prediction.race_id)
            .ext(distinct_on(Prediction.race_id))
        )
        if season is not None:
            statement = statement.where(Race.season == season)
        return statement.order_by(
            Prediction.race_id,
            Prediction.stage == PRE_WEEKEND,
            func.date(Prediction.generated_at) > Race.date,
            Prediction.generated_at.desc(),
            Prediction.model_version,
        )

    def _summaries(self, session: Session, condition: ColumnElement[bool]) -> list[schemas.RaceSummary]:
        chosen = self._chosen(None).where(condition).subquery()
        favourites = {
            race_id: _driver_name(driver)
            for race_id, driver in session.execute(
                select(Prediction.race_id, Driver)
                .join(chosen, _matches(chosen))
                .join(Driver, Driver.id == Prediction.driver)
                .where(Prediction.rank == 1)
            )
        }
        any_result = aliased(Result)
        # Results without a winner are those of a race that was run and is being looked into.
        was_run = exists().where(any_result.race_id == Race.id)
        rows = session.execute(
            select(Race, Circuit, Season.demo, Nullable(Driver), was_run)
            .join(Circuit, Circuit.id == Race.circuit)
            .join(Season, Season.year == Race.season)
            .outerjoin(Result, (Result.race_id == Race.id) & (Result.position == 1))
            .outerjoin(Driver, Driver.id == Result.driver)
            .where(condition)
            .order_by(Race.date, Race.round)
        )
        summaries = []
        for race, circuit, demo, winner, run in rows:
            favourite = favourites.get(race.id)
            summaries.append(
                schemas.RaceSummary(
                    season=race.season,
                    round=race.round,
                    name=race.name,
                    circuit=circuit.id,
                    circuit_name=circuit.name,
                    circuit_type=circuit.type,
                    date=race.date,
                    status="completed" if run else "upcoming",
                    demo=demo,
                    winner=(_driver_name(winner) if winner else None),
                    predicted_winner=favourite,
                    hit=favourite.id == winner.id if favourite and winner is not None else None,
                )
            )
        return summaries

    def _weather(self, session: Session, season: int, round_: int) -> schemas.Weather | None:
        row = session.scalar(
            select(Weather)
            .join(Race, Race.id == Weather.race_id)
            .where(Race.season == season, Race.round == round_)
        )
        if row is None or row.precipitation_mm is None or row.temperature_c is None or row.wind_kph is None:
            return None
        return schemas.Weather(
            precipitation_mm=row.precipitation_mm,
            temperature_c=row.temperature_c,
            wind_kph=row.wind_kph,
            source=row.source,
        )

    def _past(
        self, session: Session, summary: schemas.RaceSummary, weather: schemas.Weather | None
    ) -> schemas.RaceDetail:
        at_race = (Race.season == summary.season) & (Race.round == summary.round)
        chosen = self._chosen(None).where(at_race).subquery()
        rows = session.execute(
            select(Prediction, Driver, Constructor, Nullable(Result))
            .join(chosen, _matches(chosen))
            .join(Driver, Driver.id == Prediction.driver)
            .join(Constructor, Constructor.id == Prediction.constructor)
            .outerjoin(Result, (Result.race_id == Prediction.race_id) & (Result.driver == Prediction.driver))
            .order_by(Prediction.rank)
        ).all()
        first = rows[0][0] if rows else None
        return schemas.RaceDetail(
            race=summary,
            stage=first.stage if first else PRE_WEEKEND,
            model_version=first.model_version if first else None,
            out_of_sample=True,
            generated_at=first.generated_at if first else None,
            weather=weather,
            note=None if summary.winner else "The results name no winner; they are still to be corrected.",
            predictions=[
                schemas.Prediction(
                    driver=_driver_name(driver),
                    constructor=schemas.ConstructorName(id=team.id, name=team.name),
                    grid=row.grid,
                    win=row.win,
                    podium=row.podium,
                    rank=row.rank,
                    drivers_of_prediction=[schemas.Contribution(**item) for item in row.contributions],
                    other_contributions=_other_contributions(row.win, len(rows), row.contributions),
                    actual_position=None if result is None else result.position,
                    status=None if result is None else result.status,
                )
                for row, driver, team, result in rows
            ],
        )

    def _upcoming(
        self, summary: schemas.RaceSummary, weather: schemas.Weather | None, model: Loaded
    ) -> schemas.RaceDetail:
        prediction = self._predict(model, (summary.season, summary.round))
        with self._database.session() as session:
            drivers = {row.id: row for row in session.scalars(select(Driver))}
            teams = self._names(session, "constructor")
        listed = [
            _listed(rank, chance, len(prediction.chances), drivers, teams)
            for rank, chance in enumerate(prediction.chances, start=1)
        ]
        return schemas.RaceDetail(
            race=summary.model_copy(update={"predicted_winner": listed[0].driver if listed else None}),
            stage=prediction.stage,
            model_version=model.version,
            out_of_sample=True,
            generated_at=dt.datetime.now(dt.UTC),
            weather=weather,
            note=prediction.note,
            predictions=listed,
        )

    def _predict(self, model: Loaded, key: tuple[int, int]) -> Forecast:
        return self._predicted(model, key, self._current_snapshot())

    def _predicted(self, model: Loaded, key: tuple[int, int], snapshot: _Snapshot) -> Forecast:
        record = next((item for item in snapshot.history if item.race.key == key), None)
        if record is None:
            raise _missing(f"race {key[0]}/{key[1]}")
        return self.model.predicted(
            model, lambda: predict_upcoming(model, record, snapshot.history, snapshot.state)
        )

    def _current_snapshot(self) -> _Snapshot:
        """The features' state, computed once for each version of the data."""
        with self._database.session() as session:
            version = data_version(session)
        with self._building:
            if self._snapshot is None or self._snapshot.version != version:
                with self._database.session() as session:
                    version = data_version(session)
                    history = load_history(session)
                self._snapshot = _Snapshot(version, history, replay(r for r in history if r.run))
            return self._snapshot

    def _names(self, session: Session, kind: schemas.Kind) -> dict[str, str]:
        table = Driver if kind == "driver" else Constructor
        return {id_: name for id_, name in session.execute(select(table.id, table.name))}

    def _last_season_of(self, session: Session, condition: ColumnElement[bool]) -> int | None:
        return session.scalar(
            select(func.max(Race.season)).join(Result, Result.race_id == Race.id).where(condition)
        )

    def _ranking(self, session: Session, season: int, kind: schemas.Kind) -> list[_Ranked]:
        """Standings by points, then by wins, podiums and name."""
        who = Result.driver if kind == "driver" else Result.constructor
        wins = func.count().filter(Result.position == 1)
        podiums = func.count().filter(Result.position <= 3)
        points = func.sum(Result.points)
        rows = session.execute(
            select(who, wins, podiums, points)
            .join(Race, Race.id == Result.race_id)
            .where(Race.season == season)
            .group_by(who)
            .order_by(points.desc(), wins.desc(), podiums.desc(), who)
        )
        ratings = self._ratings(session, season, kind)
        ranked = []
        for place, (id_, won, stood, scored) in enumerate(rows, start=1):
            now, then = ratings.get(id_, (elo.START, elo.START))
            ranked.append(_Ranked(id_, round(now, 1), round(now - then, 1), won, stood, scored, place))
        return ranked

    def _ratings(self, session: Session, season: int, kind: schemas.Kind) -> dict[str, tuple[float, float]]:
        """ELO now, and before the first race of the season."""
        rows = session.execute(
            select(Rating.entity, Rating.before, Rating.after)
            .join(Race, Race.id == Rating.race_id)
            .where(Race.season == season, Rating.kind == kind)
            .order_by(Race.date)
        )
        ratings: dict[str, tuple[float, float]] = {}
        for entity, before, after in rows:
            ratings[entity] = (after, ratings[entity][1] if entity in ratings else before)
        return ratings

    def _driver_rows(self, session: Session, season: int) -> list[schemas.DriverRow]:
        drivers = {row.id: row for row in session.scalars(select(Driver))}
        seats = session.execute(
            select(Result.driver, Constructor)
            .join(Race, Race.id == Result.race_id)
            .join(Constructor, Constructor.id == Result.constructor)
            .where(Race.season == season)
            .order_by(Race.date)
        )
        last_seat = {driver: schemas.ConstructorName(id=team.id, name=team.name) for driver, team in seats}
        return [
            schemas.DriverRow(
                **asdict(item),
                name=drivers[item.id].name,
                code=drivers[item.id].code,
                constructor=last_seat.get(item.id),
            )
            for item in self._ranking(session, season, "driver")
        ]

    def _constructor_rows(self, session: Session, season: int) -> list[schemas.ConstructorRow]:
        names = self._names(session, "constructor")
        line_up: dict[str, dict[str, schemas.DriverName]] = defaultdict(dict)
        for team, driver in session.execute(
            select(Result.constructor, Driver)
            .join(Race, Race.id == Result.race_id)
            .join(Driver, Driver.id == Result.driver)
            .where(Race.season == season)
            .order_by(Driver.id)
        ):
            line_up[team][driver.id] = _driver_name(driver)
        return [
            schemas.ConstructorRow(
                **asdict(item), name=names[item.id], drivers=list(line_up[item.id].values())
            )
            for item in self._ranking(session, season, "constructor")
        ]

    def _elo_history(self, session: Session, kind: schemas.Kind, id_: str) -> list[schemas.EloPoint]:
        rows = session.execute(
            select(Race.season, Race.round, Race.date, Race.name, Rating.after)
            .join(Rating, Rating.race_id == Race.id)
            .where(Rating.kind == kind, Rating.entity == id_)
            .order_by(Race.date)
        )
        return [
            schemas.EloPoint(season=season, round=round_, date=date, race=name, elo=round(after, 1))
            for season, round_, date, name, after in rows
        ]


def _labelled(metrics: dict[str, Any]) -> dict[str, Any]:
    """The metrics of an artifact with the names of the ways of predicting in plain words."""

    def label(row: dict[str, Any]) -> dict[str, Any]:
        return row | {"label": "model" if row["name"] == MODEL else BASELINE_LABELS[row["name"]]}

    return metrics | {
        "baselines": [label(row) for row in metrics["baselines"]],
        "by_season": [
            season | {"scores": [label(row) for row in season["scores"]]} for season in metrics["by_season"]
        ],
    }


def _other_contributions(win: float, drivers: int, listed: Sequence[dict[str, Any]]) -> float | None:
    """What the listed contributions leave of ln(win · drivers); None when none is stored."""
    if not listed:
        return None
    return math.log(max(win, 1e-15) * drivers) - sum(float(item["contribution"]) for item in listed)


def _matches(chosen: Any) -> ColumnElement[bool]:
    return cast(
        "ColumnElement[bool]",
        (Prediction.race_id == chosen.c.race_id)
        & (Prediction.stage == chosen.c.stage)
        & (Prediction.model_version == chosen.c.model_version),
    )


def _listed(
    rank: int, chance: Chance, field: int, drivers: dict[str, Driver], teams: dict[str, str]
) -> schemas.Prediction:
    driver = drivers[chance.driver]
    return schemas.Prediction(
        driver=_driver_name(driver),
        constructor=schemas.ConstructorName(id=chance.constructor, name=teams[chance.constructor]),
        grid=chance.grid,
        win=chance.win,
        podium=chance.podium,
        rank=rank,
        drivers_of_prediction=[schemas.Contribution(**item) for item in chance.contributions],
        other_contributions=_other_contributions(chance.win, field, chance.contributions),
        actual_position=None,
        status=None,
    )


def _past_prediction(rows: Sequence[_Judged]) -> schemas.PastPrediction | None:
    """One race's row, None when its winner was not among those predicted (a race that is still running)."""
    won = next((row for row in rows if row.position == 1), None)
    if won is None:
        return None
    race, favourite = won.race, rows[0]
    likely = sorted(rows, key=lambda row: -row.chance.podium)[:3]
    return schemas.PastPrediction(
        season=race.season,
        round=race.round,
        race=race.name,
        date=race.date,
        model_version=favourite.chance.model_version,
        predicted_winner=_driver_name(favourite.driver),
        probability=favourite.chance.win,
        winner=_driver_name(won.driver),
        winner_probability=won.chance.win,
        hit=favourite is won,
        podium_hits=sum(row.position is not None and row.position <= 3 for row in likely),
        log_loss=_log_loss(won.chance.win),
        baseline_log_loss=_log_loss(won.chance.baseline_win),
    )


def _log_loss(probability: float) -> float:
    return max(-math.log(max(probability, 1e-15)), 0.0)


def _driver_name(driver: Driver) -> schemas.DriverName:
    return schemas.DriverName(id=driver.id, name=driver.name, code=driver.code)


def _totals(items: Sequence[schemas.PastPrediction]) -> schemas.PerformanceTotals:
    races = len(items)
    hits, podium_hits = sum(item.hit for item in items), sum(item.podium_hits for item in items)
    return schemas.PerformanceTotals(
        races=races,
        hits=hits,
        podium_hits=podium_hits,
        winner_top1=hits / races if races else None,
        podium_precision=podium_hits / (3 * races) if races else None,
        log_loss=sum(item.log_loss for item in items) / races if races else None,
        baseline_log_loss=sum(item.baseline_log_loss for item in items) / races if races else None,
    )
