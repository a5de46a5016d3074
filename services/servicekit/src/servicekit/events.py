"""Events on standard output, as JSON Lines: how a command in a Job tells whoever follows it what it does."""

import json
import os
import sys
from collections.abc import Callable, Collection
from typing import Any

from servicekit.logs import secrets_filter

Report = Callable[[dict[str, Any]], None]


def take_standard_output(secrets: Collection[str]) -> Report:
    """Keeps standard output for events: whatever else prints, programs included, prints to standard error.

    Returns what writes an event, without the secrets.
    """
    sys.stdout.flush()
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    hide = secrets_filter(secrets)

    def report(event: dict[str, Any]) -> None:
        # In one piece: a signal may come between two.
        events.write(hide(json.dumps(event, ensure_ascii=False)) + "\n")
        events.flush()

    return report
