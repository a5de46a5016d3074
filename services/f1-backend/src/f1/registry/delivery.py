"""From new results to a challenger: takes data in, trains, judges, publishes.

A run that was stopped anywhere is run again. A model in the registry is whole or not there, so nothing else
has to be kept: a rerun goes on with the model that was published, or trains again.
"""

from __future__ import annotations

import datetime as dt
import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from f1 import store
from f1.history import POST_QUALIFYING, PRE_WEEKEND, RaceRecord
from f1.ingest.http import Unavailable
from f1.model import artifact, training
from f1.model.artifact import ArtifactError
from f1.model.experts import SEED
from f1.model.scoring import evaluate
from f1.monitoring import watch
from f1.registry import package
from f1.registry.evidence import SEASONS, Champion, gather, measured_apart
from f1.registry.freshness import Seen, freshness, incomplete, without
from f1.registry.gate import decide
from f1.registry.package import Record, short
from f1.registry.registry import Registry
from servicekit.database import Database

# Models that stay in the registry although no pointer names them: the newest.
KEPT = 10
Outcome = Literal["nothing-new", "deferred", "challenger", "unproven", "refused"]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """What a run came to, in one sentence; the model that it is about, the champion, and why it trained."""

    outcome: Outcome
    message: str
    digest: str | None = None
    version: str | None = None
    champion: str | None = None
    because: str | None = None


@dataclass(frozen=True)
class Training:
    """What a run works with.

    `fetch` takes new data in, and raises Unavailable when a source does not answer; `code` is the revision
    that trains; `alpha` is that of monitoring.
    """

    database: Database
    registry: Registry
    signing_key: str
    fetch: Callable[[], None]
    code: str
    say: Say
    now: Callable[[], dt.datetime]
    since: int | None = None
    jobs: int = 2
    alpha: float = 0.05


def deliver(run: Training, force: bool = False) -> Result:
    """Train on what the champion has not seen, and make the result the challenger if it is clearly better.

    Before that the champion's forecast of the next race is kept and the past ones are judged; what
    monitoring finds is a reason to train, once. With `force` also when there is nothing new. Raises
    StorageError when the registry does not answer, ArtifactError when the champion is not what was signed,
    ValueError when there is too little data.
    """
    try:
        run.fetch()
    except Unavailable as error:
        return Result("deferred", f"put off, the champion serves: {error}")
    with run.database.session() as session:
        rounds, history, demo = (
            store.load_rounds(session),
            store.load_history(session),
            store.is_demo(session),
        )
    races = without(history, frozenset(incomplete(rounds)))
    data_hash = training.fingerprint(training.learned(races, run.since))
    champion = _champion(run)
    seen = Seen(champion[1].data_hash, champion[0].cutoff) if champion else None
    findings = _monitored(run, champion, history)
    fresh = freshness(rounds, data_hash, seen, findings)
    name = champion[0].digest if champion else None
    if fresh.state == "incomplete":
        return Result("deferred", f"put off until it is complete: {fresh.reason}", champion=name)
    if fresh.state == "nothing" and not force:
        return Result("nothing-new", f"nothing new: {fresh.reason}", champion=name)
    run.say(fresh.reason)
    result = _judged(run, data_hash, name)
    if result is None:
        result = _train(run, races, demo, champion[0] if champion else None)
    if findings and result.outcome != "deferred":
        watch.answer(run.database, f"{result.outcome}: {result.message}", run.now())
    return replace(result, because=fresh.reason)


def _monitored(
    run: Training, champion: tuple[Champion, Record] | None, history: Sequence[RaceRecord]
) -> list[str]:
    """Keep the champion's forecast of the next race, and judge the past ones; returns the findings that no
    training has answered."""
    now = run.now()
    loaded = champion[0].loaded if champion else None
    if loaded is not None:
        with run.database.session() as session:
            kept = watch.keep_forecast(session, loaded, history, now.date())
        if kept is not None:
            run.say(
                f"kept the forecast of {kept.race.season}/{kept.race.round} {kept.race.name}, {kept.stage}"
            )
    serving = watch.Serving(champion[1].version, champion[0].cutoff) if champion else None
    seen = watch.look(run.database, serving, run.alpha, now)
    for finding in seen.open:
        run.say(f"monitoring found: {finding}")
    return seen.open


def _champion(run: Training) -> tuple[Champion, Record] | None:
    """The champion, verified. One that this program cannot serve can still be compared with over the past."""
    digest = run.registry.pointed().pointer.champion
    if digest is None:
        return None
    with run.registry.fetched(digest) as fetched:
        record = fetched.record
        try:
            loaded, problem = fetched.load(digest), None
        except ArtifactError as error:
            loaded, problem = None, str(error)
        cutoff = dt.date.fromisoformat(record.data_cutoff)
        return Champion(digest, cutoff, fetched.walk_forward, loaded, problem), record


def _judged(run: Training, data_hash: str, champion: str | None) -> Result | None:
    """The end of a run that goes on with the model which an earlier one has made of the same data with the
    same code, and judged against the same champion; None when there is none."""
    for digest, record in ((entry.digest, entry.record) for entry in run.registry.entries()):
        same = (record.data_hash, record.code, record.champion) == (data_hash, run.code, champion)
        if not same or champion == digest:
            continue
        run.say(f"goes on with {short(digest)}, which was trained on these races")
        with run.registry.fetched(digest):
            pass
        is_over = record.verdict != "better" or run.registry.pointed().pointer.challenger == digest
        result = _concluded(run, digest, record)
        if not is_over:
            return result
        message = f"nothing new since a model was trained on these races: {result.message}"
        return replace(result, outcome="nothing-new", message=message)
    return None


def _train(run: Training, races: Sequence[RaceRecord], demo: bool, champion: Champion | None) -> Result:
    if champion is not None and champion.problem is not None:
        run.say(
            f"the champion does not load here, so races after its cutoff are not compared: {champion.problem}"
        )
    for race in training.undecided(races):
        run.say(f"{race} has no winner: nothing is learned from who won it")
    trained = training.train(races, since=run.since, demo=demo, progress=run.say, jobs=run.jobs)
    now = run.now()
    with tempfile.TemporaryDirectory(prefix="candidate-") as work:
        folder = Path(work)
        version = artifact.save(
            folder,
            trained.model,
            artifact.golden_races(trained.out_of_sample),
            git_sha=run.code,
            trained_at=now,
        )
        run.say(f"trained {version}; measures it")
        served = measured_apart(folder, version)
        learned = training.learned(races, run.since)
        verdict = decide(gather(trained.out_of_sample, champion, races, served))
        newest = sorted({item.race.race.season for item in trained.out_of_sample})[-SEASONS:]
        record = Record(
            version=version,
            data_hash=trained.model.data_fingerprint,
            data_cutoff=trained.model.data_cutoff.isoformat(),
            races=len(learned),
            code=run.code,
            machine=platform.machine(),
            trained_at=now.isoformat(timespec="seconds"),
            demo=demo,
            champion=champion.digest if champion else None,
            verdict=verdict.outcome,
            reason=verdict.reason,
            checks=dict(verdict.checks),
            metrics={
                stage: evaluate(
                    [
                        item
                        for item in trained.out_of_sample
                        if item.stage == stage and item.race.race.season in newest
                    ],
                    SEED,
                ).as_json()
                for stage in (POST_QUALIFYING, PRE_WEEKEND)
            },
        )
        package.write(folder, record, trained.out_of_sample)
        digest = run.registry.publish(folder, run.signing_key)
    run.say(f"published {run.registry.address(digest)}")
    # As whoever serves it will: from the store, with signature and golden predictions.
    with run.registry.fetched(digest) as fetched:
        if verdict.outcome != "refused":
            fetched.load(digest)
    for removed in run.registry.prune(KEPT, run.now()):
        run.say(f"removed {short(removed)}, which is old and served nowhere")
    return _concluded(run, digest, record)


def _concluded(run: Training, digest: str, record: Record) -> Result:
    champion, name = record.champion, f"{record.version} ({short(digest)})"
    if record.verdict == "better":
        reason = f"{name}: {record.reason}"
        if run.registry.challenge(digest, champion, reason, run.now()):
            return Result(
                "challenger", f"{name} is the challenger: {record.reason}", digest, record.version, champion
            )
        message = (
            f"{name} is not the challenger, because the champion that it was judged against was replaced "
            "meanwhile; the next run judges anew"
        )
        return Result("deferred", message, digest, record.version, champion)
    if record.verdict == "unproven":
        return Result("unproven", f"{name}: {record.reason}", digest, record.version, champion)
    return Result("refused", f"{name} is refused: {record.reason}", digest, record.version, champion)
