"""What becomes of a finding: raised, answered by one training, over when another model serves.

A finding is `open` until a training has ended that knew of it, whatever came of it; then it is `answered` and
asks for no other one. It is `replaced` once another model serves than the one that it was raised about: from
then on the forecasts are tested anew. It is `withdrawn` when its evidence is gone, as after a correction.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from f1.history import Stage

Kind = Literal["performance", "drift"]
State = Literal["open", "answered", "replaced", "withdrawn"]


@dataclass(frozen=True)
class Raised:
    """What monitoring found just now. Equal findings have equal keys."""

    key: str
    kind: Kind
    stage: Stage | None
    message: str


@dataclass(frozen=True)
class Finding:
    """A finding and what became of it. `answer` says what the training came to."""

    key: str
    kind: Kind
    stage: Stage | None
    model_version: str
    message: str
    state: State
    raised_at: dt.datetime
    answered_at: dt.datetime | None = None
    answer: str | None = None
    ended_at: dt.datetime | None = None

    @property
    def stands(self) -> bool:
        """Whether it holds for the model that serves."""
        return self.state in ("open", "answered")


def retired(known: Iterable[Finding], serving: str | None, now: dt.datetime) -> list[Finding]:
    """The findings after a look at the version that serves; None when that is not known."""
    return [
        (
            replace(each, state="replaced", ended_at=now)
            if each.stands and serving is not None and each.model_version != serving
            else each
        )
        for each in known
    ]


def since(known: Iterable[Finding], stage: Stage) -> dt.datetime | None:
    """When another model took the place of the last one that was found to be worse at a stage."""
    ended = [
        each.ended_at
        for each in known
        if each.kind == "performance" and each.stage == stage and each.state == "replaced"
    ]
    return max((each for each in ended if each is not None), default=None)


def followed(
    known: Sequence[Finding], raised: Sequence[Raised], about: str, now: dt.datetime
) -> list[Finding]:
    """The findings after another look at the data; new ones are about the model version `about`."""
    found = {each.key: each for each in raised}
    result = []
    for each in known:
        again = found.pop(each.key, None)
        if each.stands and again is None:
            each = replace(each, state="withdrawn", ended_at=now)
        elif each.stands and again is not None:
            each = replace(each, message=again.message)
        elif each.state == "withdrawn" and again is not None:
            each = _opened(again, about, now)
        result.append(each)
    return result + [_opened(each, about, now) for each in found.values()]


def answered(known: Iterable[Finding], answer: str, now: dt.datetime) -> list[Finding]:
    """The findings after a training that knew of all open ones."""
    return [
        replace(each, state="answered", answered_at=now, answer=answer) if each.state == "open" else each
        for each in known
    ]


def _opened(raised: Raised, about: str, now: dt.datetime) -> Finding:
    return Finding(raised.key, raised.kind, raised.stage, about, raised.message, "open", now)
