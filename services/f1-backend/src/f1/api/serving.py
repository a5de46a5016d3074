"""The model that is being served, and how another one takes its place."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

from prometheus_client import Counter, Gauge

from f1.model.artifact import ArtifactError, Loaded, current, load
from servicekit.problems import Problem

log = logging.getLogger(__name__)

RELOADS = Counter("model_reloads_total", "Reloads of the model by result", ["result"])
MODEL_INFO = Gauge("model_info", "Always 1; the label says which model is served", ["model_version"])


class ServedModel:
    """Holds the current model. Readers take a reference once and use it throughout a request."""

    def __init__(self, folder: Path, worse_margin: float) -> None:
        self._folder, self._margin = folder, worse_margin
        self._lock = threading.Lock()
        self._loaded: Loaded | None = None
        self._problem = "no model was loaded yet"

    def start(self) -> None:
        """Load what `current` names. On failure the service runs without a model and is not ready."""
        try:
            self._swap(load(self._folder, current(self._folder)))
        except ArtifactError as error:
            self._problem = str(error)
            log.error("no model to serve", extra={"reason": error.reason, "detail": str(error)})

    def check(self) -> None:
        """Raises when there is no model."""
        if self._loaded is None:
            raise RuntimeError(self._problem)

    @property
    def loaded(self) -> Loaded | None:
        """The current model, None while there is none."""
        return self._loaded

    def reload(self, version: str | None, force: bool) -> tuple[str | None, str]:
        """Load, verify and swap; returns the previous and the new version. One reload runs at a time.

        Raises Problem 404 (no such model), 422 (fails a check) or 409 (worse than the current one), each with
        a `reason`; the current model then keeps serving.
        """
        with self._lock:
            previous = self._loaded
            try:
                candidate = load(self._folder, version or current(self._folder))
            except ArtifactError as error:
                RELOADS.labels(error.reason).inc()
                log.warning("model refused", extra={"reason": error.reason, "detail": str(error)})
                status = 404 if error.reason == "missing" else 422
                raise Problem(
                    status, "Model refused", f"{error}.", **_keeps(previous, error.reason)
                ) from error
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

    def _swap(self, candidate: Loaded) -> None:
        self._loaded = candidate
        MODEL_INFO.clear()
        MODEL_INFO.labels(candidate.version).set(1)
        log.info("model loaded", extra={"model_version": candidate.version})


def required(model: Loaded | None) -> Loaded:
    """The model. Raises Problem 503 when there is none."""
    if model is None:
        raise Problem(
            503, "No model", "No model is being served yet. Train one, then reload.", reason="no-model"
        )
    return model


def _keeps(previous: Loaded | None, reason: str) -> dict[str, Any]:
    return {"reason": reason, "current": previous.version if previous else None}
