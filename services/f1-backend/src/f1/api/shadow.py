"""The challenger, which predicts beside the champion what users ask for, and is seen by nobody."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from f1.model.artifact import Loaded

log = logging.getLogger(__name__)

# Requests that wait for their second prediction; more are left out, so that no user waits for one.
_WAITING = 16
# Requests whose newest answer is remembered as compared.
_REMEMBERED = 1000
# Seconds until a model that could not be loaded is tried again: the champion needs the processor too.
_AGAIN = 300.0


@dataclass(frozen=True)
class Compared:
    """How the chances of winning differ between the answers of two models.

    Differences are those of one driver's chance, from 0 to 1.
    """

    # Requests with another answer than the last one of their kind: equal answers are compared once.
    requests: int = 0
    other_favourite: int = 0
    largest: float = 0.0
    total: float = 0.0
    chances: int = 0

    @property
    def mean(self) -> float:
        """The mean difference."""
        return self.total / self.chances if self.chances else 0.0

    def with_answers(self, champion: dict[str, float], challenger: dict[str, float]) -> Compared:
        """The same with the answers to one more request: chances by driver."""
        differences = [
            abs(champion.get(driver, 0.0) - challenger.get(driver, 0.0))
            for driver in champion.keys() | challenger.keys()
        ]
        return Compared(
            self.requests + 1,
            self.other_favourite + (max(champion, key=champion.__getitem__) not in _favourites(challenger)),
            max(self.largest, *differences),
            self.total + sum(differences),
            self.chances + len(differences),
        )


def _favourites(chances: dict[str, float]) -> list[str]:
    best = max(chances.values(), default=0.0)
    return [driver for driver, chance in chances.items() if chance == best]


class Shadow:
    """A model that answers the requests of another one too, in a thread of its own.

    `loaded` is None for a model that cannot be loaded, and `problem` says why.
    """

    def __init__(self, digest: str, loaded: Loaded | None, problem: str | None = None) -> None:
        self.digest, self.loaded, self.problem = digest, loaded, problem
        self.compared = Compared()
        self._made = time.monotonic()
        self._answered: dict[str, int] = {}
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
        if loaded is not None:
            self._thread.start()

    @property
    def is_to_be_tried_again(self) -> bool:
        """Whether it could not be loaded a while ago."""
        return self.loaded is None and time.monotonic() - self._made > _AGAIN

    def stop(self) -> None:
        """Compare no longer."""
        if not self._thread.is_alive():
            return
        while True:
            try:
                self._queue.put_nowait(None)
                break
            except queue.Full:
                self._drop()
        self._thread.join()

    def consider(self, key: str, answer: str, again: Callable[[Loaded], Any]) -> None:
        """Let the model answer a request that was answered, and compare. Returns at once.

        `answer` is the JSON of a race as its user got it, `again` gives the same of this model.
        """
        model, mark = self.loaded, hash(answer)
        if model is None or self._answered.get(key) == mark:
            return
        try:
            self._queue.put_nowait(lambda: self._compare(answer, again(model)))
        except queue.Full:
            return
        if len(self._answered) >= _REMEMBERED:
            self._answered.clear()
        self._answered[key] = mark

    def _compare(self, answer: str, challenger: Any) -> None:
        race = json.loads(answer)
        if race["race"]["status"] != "upcoming":
            # It was predicted before it was run, by whichever model served.
            return
        champion = {each["driver"]["id"]: float(each["win"]) for each in race["predictions"]}
        if champion:
            other = {each.driver.id: each.win for each in challenger.predictions}
            self.compared = self.compared.with_answers(champion, other)

    def _work(self) -> None:
        while True:
            task = self._queue.get()
            if task is None:
                return
            try:
                task()
            except Exception:
                # What the model itself fails at is counted where it predicts; the rest is no fault of it.
                log.warning("a request was not compared", exc_info=True)

    def _drop(self) -> None:
        try:
            self._queue.get_nowait()
        except queue.Empty:
            return


@dataclass(frozen=True)
class Tally:
    """What became of a model's predictions in this process."""

    predictions: int = 0
    failures: int = 0
    # The class of the last error; its message may name what nobody outside is to see.
    last_failure: str | None = None

    def with_prediction(self) -> Tally:
        """The same with one that went well."""
        return replace(self, predictions=self.predictions + 1)

    def with_failure(self, kind: str) -> Tally:
        """The same with one that failed with an error of this class."""
        return replace(self, failures=self.failures + 1, last_failure=kind)
