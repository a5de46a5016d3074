"""JSON logs: one object a line on standard output, each with the id of the request it belongs to."""

import json
import logging
import re
import sys
import uuid
from collections.abc import Callable, Collection
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from pythonjsonlogger.json import JsonFormatter

request_id_var: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request being served; None outside of requests."""

_SHORTEST_SECRET = 4
_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def choose_request_id(offered: str | None) -> str:
    """The caller's request id when it is harmless in a log line and a header, else a new one."""
    return offered if offered and _SANE_REQUEST_ID.fullmatch(offered) else uuid.uuid4().hex


def secrets_filter(secrets: Collection[str]) -> Callable[[str], str]:
    """A function that replaces the secrets in a line of JSON by `***`.

    Secrets with fewer than four characters are left, as they would hide ordinary text.
    """
    # As they are inside a JSON string; the longest first, since one may be a part of another.
    texts = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}
    written = {json.dumps(text, ensure_ascii=ascii)[1:-1] for text in texts for ascii in (True, False)}
    parts = sorted(written, key=len, reverse=True)
    if not parts:
        return lambda line: line
    pattern = re.compile("|".join(map(re.escape, parts)))
    return lambda line: pattern.sub("***", line)


class _Formatter(JsonFormatter):
    """Hides secrets wherever they occur: drivers and tracebacks repeat what they were given."""

    def __init__(self, secrets: Collection[str]) -> None:
        super().__init__(rename_fields={"exc_info": "exception"})
        self._hide = secrets_filter(secrets)

    def format(self, record: logging.LogRecord) -> str:
        return self._hide(super().format(record))

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        log_data["ts"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname
        log_data["logger"] = record.name
        log_data["message"] = record.getMessage()
        if (request_id := request_id_var.get()) is not None:
            log_data["request_id"] = request_id
        super().add_fields(log_data, record, message_dict)
        # uvicorn's copy of the message with terminal colours.
        log_data.pop("color_message", None)


def configure_logging(level: str = "INFO", secrets: Collection[str] = ()) -> None:
    """Sends all logs of the process, uvicorn's, warnings and uncaught exceptions included, to standard
    output as JSON lines.

    `secrets` are shown as `***` wherever they occur; those with fewer than four characters are left, as they
    would hide ordinary text.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Formatter(secrets))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    logging.getLogger("servicekit").critical("uncaught exception", exc_info=(kind, error, traceback))
