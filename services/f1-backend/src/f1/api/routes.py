"""Routes under /api/f1 and /admin. They only parse, ask `Platform` and answer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from f1.api import schemas
from f1.api.platform import Platform
from servicekit.auth import require_role
from servicekit.problems import problem_responses


def _platform(request: Request) -> Platform:
    platform: Platform = request.app.state.platform
    return platform


Served = Annotated[Platform, Depends(_platform)]
Season = Annotated[int, Path(ge=1950, le=2100)]
SeasonQuery = Annotated[
    int | None, Query(ge=1950, le=2100, description="Season; without it, the latest one with results.")
]
Round = Annotated[int, Path(ge=1, le=40)]
Slug = Annotated[str, Path(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]

api = APIRouter(prefix="/api/f1", tags=["f1"])
admin = APIRouter(prefix="/admin", tags=["admin"])


def _json(text: str) -> Response:
    # Answers are kept as JSON text in the cache: no need to parse and write them again.
    return Response(text, media_type="application/json")


@api.get("/seasons", response_model=list[int])
def seasons(platform: Served) -> Response:
    """Seasons with at least one ingested race, oldest first."""
    return _json(platform.answer("seasons", list[int], lambda _: platform.seasons()))


@api.get("/races", response_model=list[schemas.RaceSummary])
def races(platform: Served, season: SeasonQuery = None) -> Response:
    """The calendar of a season, with the predicted and the real winner of each race; empty for an unknown
    season."""
    return _json(
        platform.answer(
            f"races:{season}", list[schemas.RaceSummary], lambda model: platform.races(season, model)
        )
    )


@api.get("/races/next", response_model=schemas.RaceDetail, responses=problem_responses(404, 503))
def next_race(platform: Served) -> Response:
    """The next race: the first one after the last completed race. Predicted by the model being served."""
    return _json(platform.answer("next", schemas.RaceDetail, platform.next_race))


@api.get("/races/{season}/{round}", response_model=schemas.RaceDetail, responses=problem_responses(404, 503))
def race(platform: Served, season: Season, round: Round) -> Response:
    """One race.

    A completed race shows the prediction that was stored for it, which is always out of sample: made by a
    model
    trained on earlier races only. `predictions` is empty when none is stored.
    """
    return _json(
        platform.answer(
            f"race:{season}:{round}", schemas.RaceDetail, lambda model: platform.race(season, round, model)
        )
    )


@api.get("/drivers", response_model=list[schemas.DriverRow], responses=problem_responses(404))
def drivers(platform: Served, season: SeasonQuery = None) -> Response:
    """Drivers of a season in the order of the standings."""
    return _json(
        platform.answer(
            f"drivers:{season}", list[schemas.DriverRow], lambda _: platform.standings(season).drivers
        )
    )


@api.get("/drivers/{id}", response_model=schemas.DriverDetail, responses=problem_responses(404))
def driver(platform: Served, id: Slug) -> Response:
    """A driver with ELO and results of all ingested seasons."""
    return _json(platform.answer(f"driver:{id}", schemas.DriverDetail, lambda _: platform.driver(id)))


@api.get("/constructors", response_model=list[schemas.ConstructorRow], responses=problem_responses(404))
def constructors(platform: Served, season: SeasonQuery = None) -> Response:
    """Constructors of a season in the order of the standings."""
    return _json(
        platform.answer(
            f"constructors:{season}",
            list[schemas.ConstructorRow],
            lambda _: platform.standings(season).constructors,
        )
    )


@api.get("/constructors/{id}", response_model=schemas.ConstructorDetail, responses=problem_responses(404))
def constructor(platform: Served, id: Slug) -> Response:
    """A constructor with ELO and results of all ingested seasons."""
    return _json(
        platform.answer(f"constructor:{id}", schemas.ConstructorDetail, lambda _: platform.constructor(id))
    )


@api.get("/standings", response_model=schemas.Standings, responses=problem_responses(404))
def standings(platform: Served, season: SeasonQuery = None) -> Response:
    """Points tables of a season."""
    return _json(
        platform.answer(f"standings:{season}", schemas.Standings, lambda _: platform.standings(season))
    )


@api.get("/elo", response_model=list[schemas.EloSeries])
def elo(platform: Served, season: SeasonQuery = None, kind: schemas.Kind = "driver") -> Response:
    """ELO after each round of a season, one series for each driver or constructor."""
    return _json(
        platform.answer(f"elo:{season}:{kind}", list[schemas.EloSeries], lambda _: platform.elo(season, kind))
    )


@api.get("/model", response_model=schemas.ModelCard, responses=problem_responses(503))
def model(platform: Served) -> Response:
    """The card of the model being served."""
    return _json(platform.answer("model", schemas.ModelCard, platform.model_card))


@api.get("/model/served")
def served(platform: Served, response: Response) -> schemas.ServedModels:
    """Which models the server that answers has loaded, and what became of their predictions."""
    response.headers["Cache-Control"] = "no-store"
    return platform.served()


@api.get("/performance", response_model=schemas.Performance)
def performance(
    platform: Served,
    season: Annotated[
        int | None, Query(ge=1950, le=2100, description="Season; without it, all seasons with predictions.")
    ] = None,
) -> Response:
    """How past predictions fared.

    Every row is out of sample: made by a model that was trained only on races before the one it predicts.
    """
    return _json(
        platform.answer(f"performance:{season}", schemas.Performance, lambda _: platform.performance(season))
    )


@api.get("/monitoring", response_model=schemas.Monitoring)
def monitoring(platform: Served) -> Response:
    """Whether the forecasts hold: those that were stored before their races against the results and every
    baseline, and what was found."""
    return _json(platform.answer("monitoring", schemas.Monitoring, lambda _: platform.monitoring()))


@admin.post(
    "/model/reload",
    dependencies=[Depends(require_role("admin"))],
    responses=problem_responses(401, 403, 404, 409, 422),
)
def reload_model(platform: Served, request: schemas.ReloadRequest | None = None) -> schemas.ReloadResult:
    """Load a model beside the current one, verify it, and swap.

    Checked are the checksums, the feature schema, the versions of the libraries and the golden predictions
    (422),
    and that its recorded score is not worse than the current model's (409). On any failure the current one
    keeps
    serving; `reason` and `detail` say why.
    """
    return platform.reload(request or schemas.ReloadRequest())
