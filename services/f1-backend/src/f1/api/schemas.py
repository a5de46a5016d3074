"""Shapes of the HTTP API. The dashboard's types are generated from these."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1, description="Probability from 0 to 1.")]
Stage = Literal["pre-weekend", "post-qualifying"]
Kind = Literal["driver", "constructor"]
CircuitType = Literal["RACE", "STREET", "ROAD"]


class Shape(BaseModel):
    """Base of all answers: a field with a default is still always present in the answer."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True, protected_namespaces=())


class DriverName(Shape):
    """A driver, as far as a label needs it."""

    id: str
    name: str
    code: str | None = Field(default=None, description="Three-letter code, when the source gives one.")


class ConstructorName(Shape):
    """A constructor, as far as a label needs it."""

    id: str
    name: str


class RaceSummary(Shape):
    """A race of the calendar with what was predicted and what happened."""

    season: int
    round: int
    name: str
    circuit: str = Field(description="Slug of the circuit.")
    circuit_name: str
    circuit_type: CircuitType
    date: dt.date
    status: Literal["upcoming", "completed"] = Field(
        description="completed as soon as there are results, be it without a winner."
    )
    demo: bool = Field(description="True for races of the simulator: fictional, for demonstration.")
    winner: DriverName | None
    predicted_winner: DriverName | None = Field(
        description="Favourite of the out-of-sample prediction (of the current model for an upcoming race)."
    )
    hit: bool | None = Field(description="Whether the predicted winner won; null when either is not known.")


class Weather(Shape):
    """Weather of the race day at the circuit, forecast or observed."""

    precipitation_mm: float
    temperature_c: float
    wind_kph: float
    source: str


class Contribution(Shape):
    """How much one feature moved a driver's prediction."""

    feature: str
    label: str = Field(description="The feature in plain words.")
    value: float | None = Field(description="The feature's value; null when it is not known.")
    contribution: float = Field(
        description="Signed. All of a driver's contributions sum to ln(win × number of drivers), the "
        "logarithm of how many times an even share the chance is; exact for the mixture of experts."
    )


class Prediction(Shape):
    """One driver's chances in one race."""

    driver: DriverName
    constructor: ConstructorName
    grid: int | None = Field(
        description="Starting place; null when not known, or for a start from the pit lane."
    )
    win: Probability
    podium: Probability
    rank: int = Field(ge=1, description="1 is the most likely winner.")
    drivers_of_prediction: list[Contribution] = Field(
        max_length=5, description="The five features that moved the prediction most."
    )
    other_contributions: float | None = Field(
        description="All contributions that are not listed, the strength of the field among them: with the "
        "listed ones they sum to ln(win × number of drivers). null when no explanation is stored."
    )
    actual_position: int | None
    status: str | None = Field(description="finished, dnf, dns, dsq, nc …; null before the race.")


class RaceDetail(Shape):
    """A race with the predictions for it. Win probabilities sum to 1, podium probabilities to 3."""

    race: RaceSummary
    stage: Stage
    model_version: str | None = Field(description="null when no prediction is stored for this race.")
    out_of_sample: bool = Field(
        description="True when the model that predicted had not seen this race or any later one."
    )
    generated_at: dt.datetime | None
    weather: Weather | None = Field(description="null when the weather is not known.")
    note: str | None = Field(
        description="Why the forecast or the result is not what one would expect, as when qualifying is only "
        "partly known; null when there is nothing to say."
    )
    predictions: list[Prediction]


class DriverRow(Shape):
    """A driver's season."""

    id: str
    name: str
    code: str | None
    constructor: ConstructorName | None
    elo: float
    elo_change: float = Field(description="ELO points won or lost over the season so far.")
    wins: int
    podiums: int
    points: float
    position: int = Field(ge=1, description="Place in the standings by points of the ingested races.")


class ConstructorRow(Shape):
    """A constructor's season."""

    id: str
    name: str
    drivers: list[DriverName]
    elo: float
    elo_change: float
    wins: int
    podiums: int
    points: float
    position: int = Field(ge=1)


class EloPoint(Shape):
    """ELO after a race."""

    season: int
    round: int
    date: dt.date
    race: str
    elo: float


class DriverResult(Shape):
    """One race of a driver's history."""

    season: int
    round: int
    date: dt.date
    race: str
    constructor: ConstructorName
    grid: int | None
    position: int | None
    status: str
    points: float
    win_probability: Probability | None = Field(
        description="Out-of-sample prediction; null when none is stored."
    )


class DriverDetail(DriverRow):
    """A driver over all ingested seasons; the season figures are of the latest one."""

    season: int
    elo_history: list[EloPoint]
    results: list[DriverResult]


class ConstructorResult(Shape):
    """One race of a constructor's history: the best car and the points of both."""

    season: int
    round: int
    date: dt.date
    race: str
    best_position: int | None
    points: float
    win_probability: Probability | None = Field(description="Sum over its cars, out of sample.")


class ConstructorDetail(ConstructorRow):
    """A constructor over all ingested seasons; the season figures are of the latest one."""

    season: int
    elo_history: list[EloPoint]
    results: list[ConstructorResult]


class Standings(Shape):
    """Points tables of a season, from the ingested races (sprint points are not part of them)."""

    season: int
    after_round: int = Field(description="Last completed round; 0 before the first.")
    drivers: list[DriverRow]
    constructors: list[ConstructorRow]


class EloSeriesPoint(Shape):
    """ELO after a round of the season asked for."""

    round: int
    date: dt.date
    elo: float


class EloSeries(Shape):
    """One line of the ELO chart."""

    id: str
    name: str
    points: list[EloSeriesPoint]


class FeatureImportance(Shape):
    """A feature of the model."""

    name: str
    label: str
    importance: float = Field(ge=0, description="Share of the contributions' mean size; all sum to 1.")


class Favourite(Shape):
    """Calibration where it matters: how sure the favourites are, and how often they win."""

    predicted: Probability = Field(description="Mean probability of the favourite.")
    observed: Probability = Field(description="Share of the races that the favourite won.")


class Metrics(Shape):
    """Scores over the evaluated races."""

    races: int
    winner_top1: Probability
    podium_precision: Probability = Field(
        description="Share of the three most likely that reached the podium."
    )
    winner_log_loss: float = Field(ge=0, description="Mean of −ln(probability given to the winner).")
    podium_log_loss: float = Field(
        ge=0, description="Mean over drivers of −ln(probability given to being on the podium, or not)."
    )
    brier: float = Field(
        ge=0, description="Mean over races of the summed squared error of win probabilities."
    )
    ece: float = Field(ge=0, description="Expected calibration error of the win probabilities.")
    favourite: Favourite


class Interval(Shape):
    """Percentile interval of a bootstrap (2.5 %, 50 %, 97.5 %), and the mean itself."""

    low: float
    mid: float
    high: float
    mean: float


class Bootstrap(Shape):
    """Paired bootstrap over races, model minus baseline; below 0 the model is better."""

    draws: int
    log_loss_difference: Interval


class NamedMetrics(Shape):
    """Scores of one way of predicting."""

    name: str = Field(description="model, or the name of a baseline.")
    label: str = Field(description="The way of predicting in plain words.")
    scores: Metrics


class BaselineMetrics(NamedMetrics):
    """A baseline over the same races, and how far the model is from it."""

    log_loss_difference: Interval = Field(description="Model minus this; below 0 the model is better.")


class SeasonMetrics(Shape):
    """Model and baselines over one season."""

    season: int
    scores: list[NamedMetrics]


class ModelMetrics(Shape):
    """Walk-forward scores after qualifying, of the model beside the baselines of the same run.

    `baseline` is the one that knows how often each starting place won.
    """

    seasons: list[int]
    model: Metrics
    baseline: Metrics
    bootstrap: Bootstrap
    baselines: list[BaselineMetrics]
    by_season: list[SeasonMetrics]


class CalibrationBin(Shape):
    """One bin of the calibration plot."""

    bin_low: float
    bin_high: float
    predicted: float
    observed: float
    count: int


class Calibration(Shape):
    """Calibration of win probabilities; bins without a prediction are left out."""

    model: list[CalibrationBin]
    baseline: list[CalibrationBin]
    favourites: list[CalibrationBin] = Field(description="Of the model's favourites alone, one a race.")


class ExpertWeight(Shape):
    """One expert of the mixture."""

    stage: Stage
    name: str
    label: str = Field(description="The expert in plain words.")
    weight: Probability = Field(description="Its weight for the next race; those of a stage sum to 1.")


class ModelCard(Shape):
    """What the served model is, how good it is, and what it is not for."""

    version: str
    trained_at: dt.datetime
    data_cutoff: dt.date = Field(description="Date of the last race that it was trained on.")
    git_sha: str
    libraries: dict[str, str]
    feature_schema_hash: str
    features: list[FeatureImportance]
    experts: list[ExpertWeight]
    metrics: ModelMetrics
    calibration: Calibration
    demo: bool = Field(description="True when it was trained on the simulator's fictional seasons.")
    intended_use: str
    limits: list[str]


class PastPrediction(Shape):
    """An out-of-sample prediction beside what happened."""

    season: int
    round: int
    race: str
    date: dt.date
    model_version: str
    predicted_winner: DriverName
    probability: Probability
    winner: DriverName
    winner_probability: Probability
    hit: bool
    podium_hits: int = Field(ge=0, le=3)
    log_loss: float = Field(ge=0)
    baseline_log_loss: float = Field(ge=0)


class PerformanceTotals(Shape):
    """Sums over the listed predictions; scores are null when there are none."""

    races: int
    hits: int
    podium_hits: int
    winner_top1: Probability | None
    podium_precision: Probability | None
    log_loss: float | None
    baseline_log_loss: float | None


class Performance(Shape):
    """How past predictions fared."""

    predictions: list[PastPrediction]
    totals: PerformanceTotals


class WatchedRace(Shape):
    """A forecast that was stored before its race, beside the winner as the results name him now."""

    season: int
    round: int
    race: str
    date: dt.date
    model_version: str
    results_version: int = Field(ge=1, description="Higher than 1 when the results were corrected.")
    winner: DriverName
    winner_probability: Probability
    log_loss: float = Field(ge=0, description="−ln(probability given to the winner).")
    baselines: dict[str, float] = Field(description="The same of each baseline, by its name.")
    evidence: float = Field(ge=0, description="Evidence of all races so far that the model is worse.")


class WatchedBaseline(Shape):
    """A baseline over the races of which its forecast was stored, and the model over the same races."""

    name: str
    label: str = Field(description="The way of predicting in plain words.")
    races: int
    log_loss: float = Field(ge=0)
    model_log_loss: float = Field(ge=0)


class UnjudgedRace(Shape):
    """A race with a forecast that cannot be judged."""

    season: int
    round: int
    race: str
    because: str


class WatchedStage(Shape):
    """The forecasts of a stage, judged one after the other by a sequential test.

    Evidence is an e-value: it starts at 1, and while the model is as good as every baseline it ever reaches
    `alarm_at` with a chance of at most alpha, over both stages together, however often one looks.
    """

    stage: Stage
    verdict: Literal["no-data", "undecided", "worse", "better"] = Field(
        description="no-data: no forecast was stored before a race that is judged. undecided: neither is "
        "proven. worse: than at least one baseline. better: than every baseline."
    )
    since: dt.datetime | None = Field(
        description="Forecasts made after this are tested: since another model took the place of one that "
        "was found to be worse; null for all."
    )
    alarm_at: float = Field(description="The evidence that makes a finding.")
    evidence: float = Field(ge=0, description="The largest evidence so far that the model is worse.")
    evidence_better: float = Field(ge=0, description="Evidence that it is better than every baseline.")
    log_loss: float | None = Field(description="The model's mean over all races; null without any.")
    best: str | None = Field(description="The baseline with the lowest log-loss over these races.")
    baselines: list[WatchedBaseline]
    races: list[WatchedRace]
    left_out: list[UnjudgedRace]


class DriftedFeature(Shape):
    """How far a feature of the races that the model has not seen is from the races before them."""

    name: str
    label: str = Field(description="The feature in plain words.")
    distance: Probability = Field(
        description="Kolmogorov–Smirnov statistic: 0 the same, 1 nothing in common."
    )
    usual: Probability = Field(description="The median of earlier windows of as many races.")
    chance: Probability = Field(
        description="Of a distance as large in a usual window, adjusted for the number of features (Holm)."
    )
    drifted: bool


class DataCorrection(Shape):
    """A later version of what a source said of a race."""

    season: int
    round: int
    race: str
    date: dt.date
    kind: Literal["results", "qualifying"]
    version: int = Field(ge=2)
    source: str
    withdrawn: bool = Field(description="True when the source took all rows back.")
    recorded_at: dt.datetime


class Drift(Shape):
    """Whether the inputs of the races that the model has not seen differ from those before beyond what is
    usual."""

    verdict: Literal["no-model", "too-little-data", "no-drift", "drift"] = Field(
        description="too-little-data: fewer than 4 such races, or fewer than 8 earlier windows of as many "
        "races to compare with; that is not the absence of drift."
    )
    because: str | None = Field(description="Why nothing can be said; null otherwise.")
    cutoff: dt.date | None = Field(description="Date of the last race that the model has seen.")
    races: int = Field(description="Races compared that the model has not seen, the newest 10 at most.")
    rows: int = Field(description="Drivers' rows in them.")
    reference: int = Field(description="Races before them that they are compared with.")
    windows: int = Field(description="Earlier windows that say what is usual.")
    features: list[DriftedFeature] = Field(description="The least usual first.")
    corrections: list[DataCorrection] = Field(description="Corrections of the races compared.")


class Finding(Shape):
    """Something that monitoring found, and what became of it."""

    kind: Literal["performance", "drift"]
    stage: Stage | None
    model_version: str = Field(description="The model that it is about.")
    message: str
    state: Literal["open", "answered", "replaced", "withdrawn"] = Field(
        description="open: the next training knows of it. answered: a training has ended that knew of it. "
        "replaced: another model serves. withdrawn: its evidence is gone, as after a correction."
    )
    raised_at: dt.datetime
    answered_at: dt.datetime | None
    answer: str | None = Field(description="What the training came to.")
    ended_at: dt.datetime | None


class Monitoring(Shape):
    """What was found when the stored forecasts were judged last."""

    judged_at: dt.datetime | None = Field(
        description="When something else was found than before; null when nobody has looked yet."
    )
    outdated: bool = Field(
        description="True when results or forecasts have changed since, and nobody has looked again."
    )
    alpha: float | None = Field(description="The largest chance of a false finding of performance.")
    model_version: str | None = Field(description="The model that served then.")
    stages: list[WatchedStage]
    drift: Drift | None = Field(description="null when nobody has looked yet.")
    findings: list[Finding] = Field(description="The newest first.")


class CountedModel(Shape):
    """A model that a server has loaded, and what became of its predictions there."""

    digest: str | None = Field(description="Its digest in the registry; null for a model of a folder.")
    version: str
    predictions: int = Field(
        ge=0, description="Those that went well since it was loaded or became the champion."
    )
    failures: int = Field(ge=0)
    last_failure: str | None = Field(description="The class of the last error; null when there was none.")


class RefusedModel(Shape):
    """A model that should serve and cannot be loaded on a server."""

    digest: str
    reason: str = Field(description="A word, such as `signature`, `truncated` or `prediction`.")


class ShadowModel(Shape):
    """The challenger, which answers the same requests as the champion, for nobody to see."""

    digest: str
    problem: str | None = Field(description="Why it cannot be loaded, in a word; null when it was.")
    model: CountedModel | None
    requests: int = Field(
        ge=0, description="Requests whose two answers were compared; equal ones count once."
    )
    other_favourite: int = Field(ge=0, description="How many of them have another favourite.")
    largest_difference: Probability = Field(description="Of one driver's chance of winning.")
    mean_difference: Probability


class ServedModels(Shape):
    """Which models one server has loaded. Others may be a moment ahead or behind."""

    follows_registry: bool
    champion: CountedModel | None = Field(description="The model that serves; null when there is none.")
    refused: RefusedModel | None = Field(
        description="The champion by the registry, while it cannot be loaded here and the one before serves."
    )
    shadow: ShadowModel | None


class ReloadRequest(BaseModel):
    """Which model to load."""

    model_config = ConfigDict(extra="forbid")

    version: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="Version to load; without it, the one that the `current` pointer names.",
    )
    force: bool = Field(
        default=False, description="Accept a model whose recorded log-loss is worse than the current."
    )


class ReloadResult(Shape):
    """The swap that was made."""

    previous: str | None
    current: str
