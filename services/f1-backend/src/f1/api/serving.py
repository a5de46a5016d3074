"""The model that is being served, and how another one takes its place."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

from prometheus_client import Counter, Gauge

from f1.model.artifact import ArtifactError, Loaded, current, load
from f1.registry.registry import Registry
from servicekit.objects import StorageError
from servicekit.problems import Problem

log = logging.getLogger(__name__)

RELOADS = Counter("model_reloads_total", "Reloads of the model by result", ["result"])
MODEL_INFO = Gauge("model_info", "Always 1; the label says which model is served", ["model_version"])


class ServedModel:
    """Holds the current model. Readers take a reference once and use it throughout a request.

    With a registry it follows the pointer there: another champion is loaded and verified beside the one that
    serves, which goes on serving when that fails, and the next look tries again. Without one it is what
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

    def follow(self) -> None:
        """Look which model is the champion, and serve it if it is another one."""
        assert self._registry is not None
        with self._lock:
            try:
                champion = self._registry.pointed().pointer.champion
                if champion is None:
                    raise ArtifactError("missing", "the registry names no champion yet")
                if self._loaded is None or champion != self._loaded.digest:
                    self._swap(self._registry.load(champion))
                    RELOADS.labels("loaded").inc()
            except (ArtifactError, StorageError) as error:
                if str(error) != str(self._problem):
                    self._note(error)
            else:
                self._problem = None

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

    def _note(self, error: Exception) -> None:
        self._problem = error
        reason = error.reason if isinstance(error, ArtifactError) else "storage"
        RELOADS.labels(reason).inc()
        log.error("the model cannot be loaded", extra={"reason": reason, "detail": str(error)})

    def _swap(self, candidate: Loaded) -> None:
        self._loaded, self._problem = candidate, None
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
