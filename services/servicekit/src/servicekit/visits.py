"""What browsers tell of the pages that visitors see: that they were shown, failed, and how fast they were.

It is counted per release of the web app and its configuration, so that new ones can be compared with those
before. Anybody may send anything: it is evidence against a release, never proof of one.
"""

from collections import OrderedDict
from contextlib import suppress
from itertools import product
from threading import Lock
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, Field

from servicekit.metrics import WEB_FAILED_VIEWS, WEB_VIEWS, WEB_VITALS
from servicekit.ratelimit import RateLimit

MOST_RELEASES = 20

Vital = Literal["LCP", "INP", "CLS"]
Rating = Literal["good", "needs-improvement", "poor"]
VITALS: tuple[Vital, ...] = ("LCP", "INP", "CLS")
RATINGS: tuple[Rating, ...] = ("good", "needs-improvement", "poor")


class Told(BaseModel):
    model_config = ConfigDict(extra="forbid")

    release: str = Field(pattern="^[0-9a-f]{40}$", description="The release that the page is of")
    config: str = Field(
        "", pattern="^([0-9a-f]{40})?$", description="Its configuration; empty when it has none"
    )


class View(Told):
    """A page was shown."""

    event: Literal["view"]


class Failure(Told):
    """Something failed in a page; once for each page."""

    event: Literal["failure"]


class Vitals(Told):
    """How fast a page was, once it is left: https://web.dev/articles/vitals has the thresholds."""

    event: Literal["vitals"]
    vitals: dict[Vital, Rating]


Visit = Annotated[View | Failure | Vitals, Field(discriminator="event")]


class Visits:
    """Counts by release and configuration. Beyond MOST_RELEASES, those that were told of least recently are
    forgotten: labels that anybody may choose must not fill the memory."""

    def __init__(self) -> None:
        self._shown: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = Lock()

    def count(self, visit: View | Failure | Vitals) -> None:
        """Adds what a browser told."""
        shown = (visit.release, visit.config)
        with self._lock:
            self._shown[shown] = None
            self._shown.move_to_end(shown)
            if len(self._shown) > MOST_RELEASES:
                _forget(*self._shown.popitem(last=False)[0])
            if isinstance(visit, View):
                WEB_VIEWS.labels(*shown).inc()
            elif isinstance(visit, Failure):
                WEB_FAILED_VIEWS.labels(*shown).inc()
            else:
                for name, rating in visit.vitals.items():
                    WEB_VITALS.labels(*shown, name, rating).inc()


def visits_router(path: str) -> APIRouter:
    """The route that pages send to."""
    router = APIRouter(tags=["visits"])
    visits = Visits()
    limit = Depends(RateLimit("visits", lambda settings: settings.rate_limit_visits))

    @router.post(path, status_code=204, dependencies=[limit])
    def tell_visit(visit: Visit) -> None:
        """Takes what a page tells of itself: that it was shown, that it failed, or how fast it was."""
        visits.count(visit)

    return router


def _forget(*shown: str) -> None:
    counters: list[tuple[Counter, tuple[str, ...]]] = [(WEB_VIEWS, shown), (WEB_FAILED_VIEWS, shown)]
    counters += [(WEB_VITALS, (*shown, *pair)) for pair in product(VITALS, RATINGS)]
    for counter, labels in counters:
        # Not everything was told of it.
        with suppress(KeyError):
            counter.remove(*labels)
