"""The model that is being served, and how another one takes its place."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import Counter, Gauge

from f1.api.shadow import Shadow, Tally
from f1.forecast import Forecast
from f1.model.artifact import ArtifactError, Loaded, current, load
from f1.registry.registry import Registry
from servicekit.objects import StorageError
from servicekit.problems import Problem

log = logging.getLogger(__name__)

RELOADS = Counter("model_reloads_total", "Reloads of the model by result", ["result"])
MODEL_INFO = Gauge("model_info", "Always 1; the label says which model is served", ["model_version"])

Trial = Callable[[Loaded], None]
"""Predicts with a model what users would get now. Raises ArtifactError for one that cannot."""


class NotFinite(ArithmeticError):
    """A model has given a chance that is no number."""


@dataclass(frozen=True)
class RefusedModel:
    """A model that should serve and cannot be loaded here; `reason` as in ArtifactError."""

    digest: str
    reason: str


class ServedModel:
    """Holds the current model. Readers take a reference once and use it throughout a request.

    With a registry it follows the pointer there: another champion is loaded, verified and tried beside the
    one that serves, which goes on serving when that fails, and the next look tries again. The challenger is
    loaded beside it too, and becomes the champion without being loaded again. Without a registry it is what
    `current` names in the folder.
    """

    def __init__(
        self,
        folder: Path,
        worse_margin: float,
        registry: Registry | None = None,
        poll_seconds: float = 30.0,
    ) -> None:
        self._folder, self._margin = folder, worse_margin
        self._registry, self._poll = registry, poll_seconds
        self._lock = threading.Lock()
        self._loaded: Loaded | None = None
        self._shadow: Shadow | None = None
        self._refused: RefusedModel | None = None
        self._tallies: dict[str, Tally] = {}
        self._counting = threading.Lock()
        # Set before it starts, by whoever can predict.
        self.trial: Trial = lambda _: None
        self._problem: Exception | None = RuntimeError("no model was loaded yet")
        self._stopped = threading.Event()
        self._follower = threading.Thread(target=self._keep_following, name="model", daemon=True)

    def start(self) -> None:
        """Load the model. On failure the service runs without one and is not ready."""
        if self._registry is not None:
            self.follow()
            self._follower.start()
            return
        try:
            self._swap(load(self._folder, current(self._folder)))
        except ArtifactError as error:
            self._note(error)

    def stop(self) -> None:
        """Follow no longer."""
        self._stopped.set()
        if self._follower.is_alive():
            self._follower.join()
        if self._shadow is not None:
            self._shadow.stop()

    def follow(self) -> None:
        """Look which model is the champion, and serve it if it is another one; load the challenger."""
        assert self._registry is not None
        with self._lock:
            try:
                pointer = self._registry.pointed().pointer
            except (ArtifactError, StorageError) as error:
                self._note_once(error)
                return
            try:
                self._serve_champion(self._registry, pointer.champion)
            except (ArtifactError, StorageError) as error:
                self._note_once(error)
            else:
                self._problem = None
            self._follow_challenger(self._registry, pointer.challenger)

    def _serve_champion(self, registry: Registry, champion: str | None) -> None:
        if champion is None:
            self._refused = None
            raise ArtifactError("missing", "the registry names no champion yet")
        if self._loaded is not None and champion == self._loaded.digest:
            self._refused = None
            return
        try:
            candidate = self._shadowed(champion) or registry.load(champion)
            # What it did in the shadow does not count for it.
            self._forget(candidate)
            if self._loaded is not None:
                # A server without a model needs this one, whatever the next race looks like.
                self.trial(candidate)
        except ArtifactError as error:
            self._refused = RefusedModel(champion, error.reason)
            raise
        self._refused = None
        self._swap(candidate)
        RELOADS.labels("loaded").inc()

    def _shadowed(self, model: str) -> Loaded | None:
        shadow = self._shadow
        return shadow.loaded if shadow is not None and model == shadow.digest else None

    def _follow_challenger(self, registry: Registry, challenger: str | None) -> None:
        shadow = self._shadow
        if shadow is not None and challenger == shadow.digest and not shadow.is_to_be_tried_again:
            return
        if shadow is not None:
            shadow.stop()
            self._shadow = None
        if challenger is None or self._loaded is None or challenger == self._loaded.digest:
            return
        try:
            candidate = registry.load(challenger)
            self.trial(candidate)
        except ArtifactError as error:
            if shadow is None or shadow.problem != error.reason:
                log.error(
                    "the challenger cannot be loaded", extra={"reason": error.reason, "detail": str(error)}
                )
            self._shadow = Shadow(challenger, None, error.reason)
        except StorageError as error:
            log.error("the challenger cannot be read", extra={"detail": str(error)})
        else:
            self._shadow = Shadow(challenger, candidate)
            log.info("challenger loaded", extra={"digest": challenger})

    def check(self) -> str:
        """Which model serves, by its digest or its version. Raises when there is none."""
        if self._loaded is None:
            raise self._problem or RuntimeError("no model was loaded yet")
        return self._loaded.identity

    def check_champion(self) -> None:
        """Raises when another model should serve than does, and cannot be loaded."""
        if self._problem is not None:
            raise self._problem

    @property
    def follows(self) -> bool:
        """Whether it follows a registry."""
        return self._registry is not None

    @property
    def refused(self) -> RefusedModel | None:
        """The champion that cannot be loaded here, None while it can."""
        return self._refused

    @property
    def shadow(self) -> Shadow | None:
        """The challenger, None while there is none."""
        return self._shadow

    def tally(self, model: Loaded) -> Tally:
        """What became of a model's predictions since it was loaded, or became the champion."""
        return self._tallies.get(model.identity, Tally())

    def predicted(self, model: Loaded, predict: Callable[[], Forecast]) -> Forecast:
        """A prediction of a model, counted. Raises what it raises, and NotFinite for chances that are no
        numbers."""
        try:
            result = predict()
            for chance in result.chances:
                if not (math.isfinite(chance.win) and math.isfinite(chance.podium)):
                    raise NotFinite(f"the chances of {chance.driver} are {chance.win} and {chance.podium}")
        except Exception as error:
            log.error("a model cannot predict", extra={"model_version": model.version}, exc_info=error)
            kind = type(error).__name__
            self._count(model, lambda tally: tally.with_failure(kind))
            raise
        self._count(model, Tally.with_prediction)
        return result

    def _count(self, model: Loaded, change: Callable[[Tally], Tally]) -> None:
        with self._counting:
            self._tallies[model.identity] = change(self.tally(model))

    def _forget(self, model: Loaded) -> None:
        with self._counting:
            self._tallies.pop(model.identity, None)

    @property
    def loaded(self) -> Loaded | None:
        """The current model, None while there is none."""
        return self._loaded

    def reload(self, version: str | None, force: bool) -> tuple[str | None, str]:
        """Load, verify and swap; returns the previous and the new version. One reload runs at a time.

        Raises Problem 404 (no such model), 422 (fails a check) or 409 (worse than the current one), each with
        a `reason`; the current model then keeps serving.
        """
        if self._registry is not None:
            return self._reload_champion(version)
        with self._lock:
            previous = self._loaded
            try:
                candidate = load(self._folder, version or current(self._folder))
            except ArtifactError as error:
                RELOADS.labels(error.reason).inc()
                log.warning("model refused", extra={"reason": error.reason, "detail": str(error)})
                raise _refused(error, previous) from error
            if previous is not None and not force and candidate.skill > previous.skill + self._margin:
                RELOADS.labels("worse").inc()
                detail = (
                    f"Log-loss against the grid-only baseline is {candidate.skill:+.3f}, the current "
                    f"model's is {previous.skill:+.3f}; it may be at most {self._margin:g} higher. "
                    "`force` accepts it."
                )
                log.warning("model refused", extra={"reason": "worse", "detail": detail})
                raise Problem(409, "Model refused", detail, **_keeps(previous, "worse"))
            self._swap(candidate)
            RELOADS.labels("loaded").inc()
            return previous.version if previous else None, candidate.version

    def _reload_champion(self, version: str | None) -> tuple[str | None, str]:
        previous = self._loaded
        if version is not None:
            detail = "Which model serves is said by the registry: promote that one there."
            raise Problem(409, "Model refused", detail, **_keeps(previous, "registry"))
        self.follow()
        if self._problem is not None:
            raise _refused(self._problem, previous) from self._problem
        return previous.version if previous else None, required(self._loaded).version

    def _keep_following(self) -> None:
        while not self._stopped.wait(self._poll):
            try:
                self.follow()
            except Exception as error:
                # Whatever it is, the model that serves goes on, and the next look comes.
                self._note(error)

    def _note_once(self, error: Exception) -> None:
        if str(error) != str(self._problem):
            self._note(error)

    def _note(self, error: Exception) -> None:
        self._problem = error
        reason = error.reason if isinstance(error, ArtifactError) else "storage"
        RELOADS.labels(reason).inc()
        log.error("the model cannot be loaded", extra={"reason": reason, "detail": str(error)})

    def _swap(self, candidate: Loaded) -> None:
        self._loaded, self._problem = candidate, None
        with self._counting:
            self._tallies = {candidate.identity: self.tally(candidate)}
        MODEL_INFO.clear()
        MODEL_INFO.labels(candidate.version).set(1)
        log.info("model loaded", extra={"model_version": candidate.version, "digest": candidate.digest})


def required(model: Loaded | None) -> Loaded:
    """The model. Raises Problem 503 when there is none."""
    if model is None:
        raise Problem(
            503, "No model", "No model is being served yet. Train one, then reload.", reason="no-model"
        )
    return model


def _refused(error: Exception, previous: Loaded | None) -> Problem:
    reason = error.reason if isinstance(error, ArtifactError) else "storage"
    status = {"missing": 404, "storage": 503}.get(reason, 422)
    return Problem(status, "Model refused", f"{error}.", **_keeps(previous, reason))


def _keeps(previous: Loaded | None, reason: str) -> dict[str, Any]:
    return {"reason": reason, "current": previous.version if previous else None}
