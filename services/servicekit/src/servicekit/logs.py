"""JSON logs: one object a line on standard output, each with the id of the request it belongs to."""

import logging
import re
import sys
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from pythonjsonlogger.json import JsonFormatter

request_id_var: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request being served; None outside of requests."""

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def choose_request_id(offered: str | None) -> str:
    """The caller's request id when it is harmless in a log line and a header, else a new one."""
    return offered if offered and _SANE_REQUEST_ID.fullmatch(offered) else uuid.uuid4().hex


class _Formatter(JsonFormatter):
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


def configure_logging(level: str = "INFO") -> None:
    """Sends all logs of the process, uvicorn's, warnings and uncaught exceptions included, to standard
    output as JSON lines."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Formatter(rename_fields={"exc_info": "exception"}))
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
