"""What a deploy of a model asks of the registry. Each step may be repeated: what has been done already is
left as it is."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Literal

from f1.model.artifact import ArtifactError
from f1.registry.package import short
from f1.registry.registry import Pointer, Registry
from servicekit.objects import Changed

# Names of models by what the pointer says, beside their digests.
CHALLENGER, PREVIOUS = "challenger", "previous"


@dataclass(frozen=True)
class Examined:
    """A model that may take the champion's place, and what the pointer says now.

    `problem` is why it cannot be served; `verdict` and `reason` are the gate's.
    """

    outcome: Literal["examined"]
    message: str
    champion: str | None
    challenger: str | None
    previous: str | None
    digest: str | None = None
    version: str | None = None
    verdict: str | None = None
    reason: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Moved:
    """Whether the pointer says what it should. `superseded`: another writer came first."""

    outcome: Literal["pointed", "superseded"]
    message: str
    champion: str | None


def examine(registry: Registry, which: str) -> Examined:
    """Verify a model as whoever serves it will: the challenger, the previous champion, or one by its digest.
    Changes nothing."""
    pointer = registry.pointed().pointer
    found = Examined("examined", "", pointer.champion, pointer.challenger, pointer.previous)
    named = {CHALLENGER: pointer.challenger, PREVIOUS: pointer.previous}
    digest = named.get(which, which)
    if digest is None:
        return replace(found, message=f"there is no {which}")
    found = replace(found, digest=digest)
    try:
        with registry.fetched(digest) as fetched:
            record = fetched.record
            found = replace(found, version=record.version, verdict=record.verdict, reason=record.reason)
            fetched.load(digest)
    except ArtifactError as error:
        return replace(found, problem=str(error), message=f"{short(digest)} cannot be served: {error}")
    return replace(found, message=f"{found.version} ({short(digest)}) can be served; {found.reason}")


def shadow(registry: Registry, digest: str, champion: str | None, reason: str, now: dt.datetime) -> Moved:
    """Make a model the challenger, which servers load beside the champion."""
    if registry.challenge(digest, champion, reason, now):
        return Moved("pointed", f"{short(digest)} is the challenger", champion)
    return _superseded(registry.pointed().pointer, champion)


def move(
    registry: Registry,
    champion: str | None,
    expected: str | None,
    previous: str | None,
    reason: str,
    now: dt.datetime,
) -> Moved:
    """Make a model the champion in the place of the one expected; None is none.

    `previous` is where the next rollback goes. Whether the model can be served was examined before.
    """
    while True:
        seen = registry.pointed()
        pointer = seen.pointer
        if pointer.champion == champion:
            return Moved("pointed", f"{_name(champion)} is the champion", champion)
        if pointer.champion != expected:
            return _superseded(pointer, expected)
        challenger = None if pointer.challenger == champion else pointer.challenger
        after = Pointer(champion, challenger, previous, now.isoformat(timespec="seconds"), reason)
        try:
            registry.point(seen, after)
        except Changed:
            # Whoever came first may have changed the champion, or the challenger alone.
            continue
        return Moved("pointed", f"{_name(champion)} is the champion", champion)


def _superseded(pointer: Pointer, expected: str | None) -> Moved:
    message = (
        f"the champion is {_name(pointer.champion)} and not {_name(expected)}: somebody else has changed it "
        "meanwhile"
    )
    return Moved("superseded", message, pointer.champion)


def _name(digest: str | None) -> str:
    return "none" if digest is None else short(digest)
