"""The command line: `python -m f1 …`."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from psycopg.errors import UndefinedTable
from sqlalchemy.exc import OperationalError, ProgrammingError

import f1
from f1 import store
from f1.api.app import API_PREFIX, make_app, make_cache
from f1.api.platform import CACHE_TAG
from f1.dataset import SeasonData, SourceError, history
from f1.forecast import of_predicted
from f1.history import RaceRecord
from f1.ingest import csvfiles, demo, run
from f1.ingest.http import LONGEST_PAUSE, JsonClient, Pace
from f1.ingest.jolpica import RULES, Jolpica
from f1.ingest.weather import WeatherClient
from f1.model import artifact, training
from f1.model.artifact import Loaded
from f1.monitoring import watch
from f1.registry import delivery, promotion
from f1.registry.opening import open_registry
from f1.registry.package import DIGEST, RECORD
from f1.registry.registry import Registry
from f1.settings import Settings
from servicekit import migrations
from servicekit.auth import TokenService
from servicekit.database import Database
from servicekit.events import Report, take_standard_output
from servicekit.logs import configure_logging
from servicekit.migrations.command import database_commands
from servicekit.objects import StorageError
from servicekit.server import serve as serve_app
from servicekit.settings import load_settings, schema_settings

log = logging.getLogger("f1")

cli = typer.Typer(help="Formula 1 predictions.", no_args_is_help=True, pretty_exceptions_enable=False)
ingest = typer.Typer(help="Take data in.", no_args_is_help=True)
cli.add_typer(ingest, name="ingest")
cli.add_typer(database_commands(f1, API_PREFIX), name="database")
registry = typer.Typer(help="Models as they are kept and delivered.", no_args_is_help=True)
cli.add_typer(registry, name="registry")

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Folder with races.csv, results.csv, qualifying.csv; without it, the database"
    ),
]
JobsOption = Annotated[
    int, typer.Option(min=1, max=64, help="Threads for the forest; the result is the same")
]
FIRST_SEASON = 1950


@cli.command()
def serve() -> None:
    """Serve over HTTP until SIGTERM."""
    settings = _start()
    serve_app(make_app(settings), settings)


@cli.command()
def migrate(revision: Annotated[str, typer.Option(help="Where to, as Alembic names it")] = "head") -> None:
    """Bring the database's schema up to date."""
    settings = _start()
    with _errors():
        migrations.upgrade(settings, f1, revision)
    log.info("the database is at %s", revision)


@cli.command()
def openapi() -> None:
    """Print the API's description (OpenAPI)."""
    app = make_app(schema_settings(Settings))
    print(json.dumps(app.openapi(), indent=2, ensure_ascii=False))


@cli.command()
def admin_token(
    subject: Annotated[str, typer.Option(help="Who it is for, as logs and audits will name it")] = "operator",
    ttl: Annotated[int, typer.Option(min=1, max=31_536_000, help="Seconds until it expires")] = 3600,
) -> None:
    """Print a token for /admin, as ADMIN_JWT_TOKEN holds it."""
    print(TokenService(load_settings(Settings)).issue(subject, "admin", ttl))


@ingest.command("csv")
def ingest_csv(
    folder: Annotated[Path, typer.Argument(help="Holds races.csv, results.csv and qualifying.csv")],
) -> None:
    """Take in seasons from CSV files. A file with an error changes nothing."""
    settings = _start()
    with _errors(), _database(settings) as database:
        _finish(settings, database, run.ingest(database, "csv", csvfiles.read(folder)))


@ingest.command("jolpica")
def ingest_jolpica(
    first: Annotated[int, typer.Option("--from", min=FIRST_SEASON, max=2100, help="First season")] = 2014,
    last: Annotated[
        int | None,
        typer.Option("--to", min=FIRST_SEASON, max=2100, help="Last season; the current year without it"),
    ] = None,
    refresh: Annotated[bool, typer.Option(help="Fetch finished seasons again")] = False,
    weather: Annotated[bool, typer.Option(help="Fetch the weather too")] = True,
) -> None:
    """Take in seasons from the Jolpica API, races to come included. Goes on where an earlier run stopped."""
    settings = _start()
    with _errors(), _database(settings) as database, _jolpica(settings) as jolpica:
        years = run.pending(database, "jolpica", range(first, (last or _today().year) + 1), refresh)
        outcome = _ingest_seasons(settings, database, jolpica, years)
        if weather:
            _fetch_weather(settings, database, first)
        _finish(settings, database, outcome)


@ingest.command("weather")
def ingest_weather(
    first: Annotated[int, typer.Option("--from", min=FIRST_SEASON, max=2100, help="First season")] = 2014,
) -> None:
    """Fetch the weather of races that have none, and the forecast for races of the next two weeks."""
    settings = _start()
    with _errors(), _database(settings) as database:
        _fetch_weather(settings, database, first)
        _invalidate(settings)


@ingest.command("demo")
def ingest_demo(
    seed: Annotated[int, typer.Option(help="Another seed makes other seasons")] = 7,
    seasons: Annotated[int, typer.Option(min=5, max=30, help="How many")] = 8,
    as_of: Annotated[
        dt.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Races up to this day are run; today without it"),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Delete the demonstration data instead")] = False,
) -> None:
    """Take in fictional seasons with made-up drivers and teams, for demonstration."""
    settings = _start()
    with _errors(), _database(settings) as database:
        if remove:
            with database.session() as session:
                removed = store.remove_demo(session)
            _invalidate(settings)
            log.info("removed %d demonstration seasons", removed)
            return
        day = as_of.date() if as_of else _today()
        _finish(settings, database, run.ingest(database, "demo", demo.simulate(seed, seasons, day)))


@cli.command()
def train(
    since: Annotated[int | None, typer.Option("--from", help="First season to learn from")] = None,
    data: DataOption = None,
    model_dir: Annotated[
        Path | None, typer.Option(help="Where models are kept; MODEL_DIR without it")
    ] = None,
    activate: Annotated[bool, typer.Option(help="Let `current` name the new model")] = True,
    jobs: JobsOption = 2,
) -> None:
    """Train a model, write its artifact, and store the walk-forward predictions of past races.

    With --data nothing is read from or written to a database.
    """
    configure_logging("INFO")
    if data is not None:
        with _errors():
            seasons = csvfiles.read(data)
            folder = model_dir or Path(os.environ.get("MODEL_DIR", "models"))
            _train(history(seasons), since, _is_demo(seasons), folder, activate, jobs)
        return
    settings = _start()
    with _errors(), _database(settings) as database:
        with database.session() as session:
            records, is_demo = store.load_history(session), store.is_demo(session)
        version, trained = _train(records, since, is_demo, model_dir or settings.model_dir, activate, jobs)
        _store_backtest(settings, database, version, trained)


@cli.command()
def evaluate(
    since: Annotated[int | None, typer.Option("--train-from", help="First season to learn from")] = None,
    first: Annotated[int, typer.Option("--from", help="First season to predict")] = 2023,
    last: Annotated[int, typer.Option("--to", help="Last season to predict")] = 2024,
    every: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Train again after so many races; each season without it"),
    ] = None,
    data: DataOption = None,
    out: Annotated[Path, typer.Option(help="Folder for report.md, metrics.json and the plots")] = Path(
        "report"
    ),
    jobs: JobsOption = 2,
) -> None:
    """Measure the model by walking forward, beside the grid-only baseline, and write a report."""
    # Only this command draws: the others start faster without matplotlib.
    from f1.model.report import write_report

    configure_logging("INFO")
    with _errors():
        records = history(csvfiles.read(data)) if data is not None else _history_of_database()
        assessment = training.assess(
            records, since=since, first=first, last=last, every=every, progress=_progress, jobs=jobs
        )
        command = f"f1 evaluate --train-from {since} --from {first} --to {last}" + (
            f" --every {every}" if every else ""
        )
        write_report(out, assessment, command)
        print((out / "report.md").read_text(encoding="utf-8"))


@cli.command()
def predict(
    backfill: Annotated[
        bool,
        typer.Option("--backfill", help="Walk forward over the past instead of predicting the next race"),
    ] = False,
    since: Annotated[
        int | None, typer.Option("--from", help="With --backfill: first season to learn from")
    ] = None,
    jobs: JobsOption = 2,
) -> None:
    """Predict the next race with the model that serves and store it, so that it can be judged after the
    race."""
    settings = _start()
    with _errors(), _database(settings) as database:
        with database.session() as session:
            records = store.load_history(session)
        if backfill:
            version = artifact.current(settings.model_dir)
            _store_backtest(
                settings,
                database,
                version,
                training.train(records, since=since, progress=_progress, jobs=jobs),
            )
            return
        model = _serving(settings)
        with database.session() as session:
            result = watch.keep_forecast(session, model, records, _today())
        if result is None:
            raise SourceError(
                "there is no race to come: ingest a calendar that goes on after the last result, or the "
                "results of the race that was due"
            )
        if result.note:
            log.warning(result.note)
        _invalidate(settings)
        log.info("stored %d chances for %s %d", len(result.chances), result.race.name, result.race.season)


@cli.command()
def monitor() -> None:
    """Judge all forecasts that were stored before their races, and keep what is found."""
    settings = _start()
    with _errors(), _database(settings) as database:
        seen = watch.look(database, watch.Serving.of(_serving(settings)), settings.monitoring_alpha)
        _invalidate(settings)
    for stage in seen.stages:
        print(
            f"{stage.stage}: {stage.verdict}, {len(stage.races)} races, "
            f"evidence {stage.evidence:.2f} of {stage.alarm_at:.0f}"
        )
    print(f"inputs: {seen.drift.verdict}" + (f", {seen.drift.because}" if seen.drift.because else ""))
    for finding in seen.findings:
        if finding.stands:
            print(f"{finding.state}: {finding.message}")


DigestArgument = Annotated[
    str, typer.Argument(help="Which model: its digest, as `f1 registry list` shows it")
]


@registry.command("list")
def registry_list() -> None:
    """List the models in the registry, the newest first, and which one serves."""
    with _errors():
        models = _registry(_start())
        pointer = models.pointed().pointer
        roles = {
            pointer.previous: "previous",
            pointer.challenger: "challenger",
            pointer.champion: "champion",
        }
        for entry in models.entries():
            record = entry.record
            print(
                f"{entry.digest}  {record.version}  {entry.published:%Y-%m-%d %H:%M}  "
                f"{roles.get(entry.digest, '-'):10}  {record.verdict}: {record.reason}"
            )


@registry.command("verify")
def registry_verify(digest: DigestArgument) -> None:
    """Verify a model as a server does: files, signature, schema, libraries, golden predictions."""
    with _errors():
        loaded = _registry(_start()).load(digest)
        print(
            f"{digest}: {loaded.version} is what was signed, and can be served on this {platform.machine()}"
        )


@registry.command("publish")
def registry_publish(
    folder: Annotated[Path, typer.Argument(help="Files of a model, such as another registry holds")],
) -> None:
    """Sign a folder of files, store it, and print its digest. What is there already stays as it is."""
    with _errors():
        settings = _start()
        if not (folder / RECORD).is_file():
            raise ValueError(f"{folder} holds no model as the registry keeps it: it has no {RECORD}")
        digest = _registry(settings).publish(folder, _signing_key(settings))
        print(digest)


@registry.command("promote")
def registry_promote(
    reason: Annotated[str, typer.Option(help="Why; it is kept with the pointer")],
    digest: Annotated[
        str | None, typer.Option(help="Another model than the challenger, such as the previous one")
    ] = None,
) -> None:
    """Make the challenger the champion, which servers follow, once it is verified here."""
    with _errors():
        pointer = _registry(_start()).promote(digest, reason, dt.datetime.now(dt.UTC))
        print(f"the champion is {pointer.champion}; before it was {pointer.previous or 'none'}")


@registry.command("prune")
def registry_prune(
    keep: Annotated[int, typer.Option(min=1, help="The newest that are kept in any case")] = 10,
) -> None:
    """Remove older models; never a champion, challenger or previous one of any environment."""
    with _errors():
        removed = _registry(_start()).prune(keep, dt.datetime.now(dt.UTC))
        print("\n".join([f"removed {digest}" for digest in removed] or ["nothing to remove"]))


@registry.command("train")
def registry_train(
    first: Annotated[int, typer.Option("--from", min=FIRST_SEASON, max=2100, help="First season")] = 2014,
    force: Annotated[bool, typer.Option("--force", help="Train although there is nothing new")] = False,
    fetch: Annotated[bool, typer.Option(help="Take new data in first")] = True,
    jobs: JobsOption = 2,
) -> None:
    """Take new results in, and train, judge and publish a model when there are some.

    Standard output has one JSON object a line, the last one with the outcome: nothing-new, deferred,
    challenger, unproven, refused or failed.
    """
    settings = load_settings(Settings)
    with _reporting(settings) as report:
        try:
            result = _deliver(settings, first, force, fetch, jobs, report)
        finally:
            # What monitoring found shows at once, whatever came after it.
            _invalidate(settings)
        report({"event": "result", **asdict(result)})


@registry.command("examine")
def registry_examine(
    model: Annotated[str, typer.Argument(help="challenger, previous, or the digest of a model")],
) -> None:
    """Verify a model that may become the champion, and say what the gate said of it. Changes nothing.

    Standard output is as that of `train`, with the outcome examined or failed.
    """
    settings = load_settings(Settings)
    with _reporting(settings) as report:
        report({"event": "result", **asdict(promotion.examine(_registry(settings), model))})


@registry.command("shadow")
def registry_shadow(
    digest: Annotated[str, typer.Argument(help="Which model: its digest")],
    champion: Annotated[str, typer.Argument(help="The champion beside which it is loaded, or none")],
    operation: Annotated[str, typer.Argument(help="The operation that asks for it; kept with the pointer")],
) -> None:
    """Make a model the challenger, which servers load beside the champion. A step of a deploy.

    Standard output is as that of `train`, with the outcome pointed, superseded or failed.
    """
    settings = load_settings(Settings)
    with _reporting(settings) as report:
        moved = promotion.shadow(
            _registry(settings), _model(digest), _model_or_none(champion), _by(operation), _now()
        )
        report({"event": "result", **asdict(moved)})


@registry.command("point")
def registry_point(
    digest: Annotated[str, typer.Argument(help="Which model: its digest, or none")],
    champion: Annotated[str, typer.Argument(help="The champion until then, or none")],
    previous: Annotated[str, typer.Argument(help="Where the next rollback goes, or none")],
    operation: Annotated[str, typer.Argument(help="The operation that asks for it; kept with the pointer")],
) -> None:
    """Make a model the champion in the place of the one named. A step of a deploy, which examines it first.

    Standard output is as that of `train`, with the outcome pointed, superseded or failed.
    """
    settings = load_settings(Settings)
    with _reporting(settings) as report:
        moved = promotion.move(
            _registry(settings),
            _model_or_none(digest),
            _model_or_none(champion),
            _model_or_none(previous),
            _by(operation),
            _now(),
        )
        report({"event": "result", **asdict(moved)})


@contextmanager
def _reporting(settings: Settings) -> Iterator[Report]:
    """Standard output for events; an error is the last one, with exit code 1."""
    report = take_standard_output(settings.secrets())
    _start()
    try:
        yield report
    except Exception as error:
        message = _sentence(error)
        if message is None:
            log.error("unexpected", exc_info=error)
            message = f"{type(error).__name__}: {error}"
        report({"event": "result", "outcome": "failed", "message": message})
        raise typer.Exit(1) from None


def _model(text: str) -> str:
    if DIGEST.fullmatch(text):
        return text
    raise ValueError(f"{text!r} is no digest of a model: 64 hexadecimal digits are allowed")


def _model_or_none(text: str) -> str | None:
    return None if text == "none" else _model(text)


def _by(operation: str) -> str:
    return f"operation {operation}"


def _deliver(
    settings: Settings, first: int, force: bool, fetch: bool, jobs: int, report: Report
) -> delivery.Result:
    with _database(settings) as database:

        def fetch_seasons() -> None:
            with database.session() as session:
                # Demonstration and real seasons do not mix.
                if not fetch or store.is_demo(session):
                    return
            with _jolpica(settings, patience=60.0) as jolpica:
                today = _today().year
                years = run.pending(database, "jolpica", range(first, today + 1), refresh=False)
                # Results of the newest season are corrected for weeks.
                _ingest_seasons(settings, database, jolpica, sorted({*years, today}))

        return delivery.deliver(
            delivery.Training(
                database,
                _registry(settings),
                _signing_key(settings),
                fetch_seasons,
                _revision(),
                lambda text: report({"event": text}),
                _now,
                jobs=jobs,
                alpha=settings.monitoring_alpha,
            ),
            force,
        )


def _serving(settings: Settings) -> Loaded:
    """The model that serves: the registry's champion, or without a registry the current one of MODEL_DIR."""
    registry = open_registry(settings)
    if registry is None:
        return artifact.load(settings.model_dir, artifact.current(settings.model_dir))
    digest = registry.pointed().pointer.champion
    if digest is None:
        raise ValueError("the registry has no champion yet: promote a model with `f1 registry promote`")
    return registry.load(digest)


def _registry(settings: Settings) -> Registry:
    found = open_registry(settings)
    if found is None:
        raise ValueError("no registry is named: set MODEL_REGISTRY and MODEL_PUBLIC_KEY")
    return found


def _signing_key(settings: Settings) -> str:
    if settings.model_signing_key is None:
        raise ValueError("models are signed here: set MODEL_SIGNING_KEY")
    return settings.model_signing_key.get_secret_value()


def _start() -> Settings:
    settings = load_settings(Settings)
    configure_logging(settings.log_level, settings.secrets())
    # httpx2 logs whole addresses, and an address may hold a key.
    for name in ("httpx2", "botocore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return settings


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _today() -> dt.date:
    return _now().date()


def _progress(text: str) -> None:
    log.info(text)


def _is_demo(seasons: Sequence[SeasonData]) -> bool:
    return any(season.demo for season in seasons)


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    database = Database(settings)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def _jolpica(settings: Settings, patience: float = LONGEST_PAUSE) -> Iterator[Jolpica]:
    key = settings.ergast_api_key
    with JsonClient(
        timeout=settings.http_timeout_seconds,
        attempts=settings.http_attempts,
        pace=Pace("jolpica", RULES, settings.redis_url.get_secret_value()),
        headers={"Authorization": f"Bearer {key.get_secret_value()}"} if key else {},
        patience=patience,
    ) as client:
        yield Jolpica(client, str(settings.jolpica_url))


def _ingest_seasons(
    settings: Settings, database: Database, jolpica: Jolpica, years: Sequence[int]
) -> run.Outcome:
    try:
        return run.ingest(database, "jolpica", (jolpica.season(year) for year in years))
    finally:
        # What was written before an error is complete and must show.
        run.update_ratings(database)
        _invalidate(settings)


@contextmanager
def _errors() -> Iterator[None]:
    """What the user can mend ends with a message and exit code 1, without a traceback."""
    try:
        yield
    except Exception as error:
        message = _sentence(error)
        if message is None:
            raise
    else:
        return
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(1)


def _sentence(error: Exception) -> str | None:
    """What the user can mend, in a sentence; None for an error that nobody expects."""
    match error:
        case SourceError() | artifact.ArtifactError() | ValueError() | StorageError():
            return str(error)
        case ProgrammingError() if isinstance(error.orig, UndefinedTable):
            return "the database has no schema, or an old one: `f1 migrate` brings it up to date"
        case OperationalError():
            # The driver's own message may name users and addresses.
            return "the database does not answer; it must be running where DATABASE_URL says"
    return None


def _finish(settings: Settings, database: Database, outcome: run.Outcome) -> None:
    if outcome.written:
        run.update_ratings(database)
    _invalidate(settings)
    log.info("seasons written: %d, already there: %d", outcome.written, outcome.unchanged)


def _invalidate(settings: Settings) -> None:
    cache = make_cache(settings)
    cache.invalidate(CACHE_TAG)
    cache.close()


def _fetch_weather(settings: Settings, database: Database, since: int) -> None:
    with JsonClient(timeout=settings.http_timeout_seconds, attempts=2) as client:
        known, unknown = run.update_weather(database, WeatherClient(client, settings), since, _today)
    log.info("weather known: %d, unknown: %d", known, unknown)


def _history_of_database() -> list[RaceRecord]:
    with _database(_start()) as database, database.session() as session:
        return store.load_history(session)


def _train(
    records: Sequence[RaceRecord], since: int | None, is_demo: bool, folder: Path, activate: bool, jobs: int
) -> tuple[str, training.Trained]:
    for race in training.undecided(records):
        log.warning("%s has no winner: nothing is learned from who won it", race)
    trained = training.train(records, since=since, demo=is_demo, progress=_progress, jobs=jobs)
    golden = artifact.golden_races(trained.out_of_sample)
    version = artifact.save(
        folder, trained.model, golden, git_sha=_revision(), trained_at=dt.datetime.now(dt.UTC)
    )
    artifact.load(folder, version)
    if activate:
        artifact.point(folder, version)
    evaluation = trained.model.evaluation
    log.info(
        "model written",
        extra={
            "model_version": version,
            "seasons": evaluation.seasons,
            "log_loss": round(evaluation.model.winner_log_loss, 4),
            "baseline_log_loss": round(evaluation.baseline.winner_log_loss, 4),
        },
    )
    print(version)
    return version, trained


def _store_backtest(settings: Settings, database: Database, version: str, trained: training.Trained) -> None:
    items = [(of_predicted(item), item.data_cutoff) for item in trained.out_of_sample]
    with database.session() as session:
        rows = store.replace_backtest(session, version, items)
    _invalidate(settings)
    log.info("stored %d walk-forward chances", rows)


def _revision() -> str:
    """The revision that trains: SERVICE_REVISION, else that of the checkout."""
    if revision := os.environ.get("SERVICE_REVISION"):
        return revision
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()
