import json
import logging
import sys
import warnings
from collections.abc import Iterator
from datetime import datetime

import pytest

from servicekit.logs import choose_request_id, configure_logging, request_id_var


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, hook = root.handlers, root.level, sys.excepthook
    yield
    logging.captureWarnings(False)
    root.handlers, sys.excepthook = handlers, hook
    root.setLevel(level)


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_one_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    token = request_id_var.set("abc-1")
    logging.getLogger("sample").info("hello\n%s", "wörld", extra={"route": "/x"})
    request_id_var.reset(token)
    logging.getLogger("uvicorn.error").warning("outside", extra={"color_message": "\x1b[36m"})
    logging.getLogger("sample").debug("below the level")
    first, second = _lines(capsys)
    assert datetime.fromisoformat(first.pop("ts")).utcoffset() is not None
    expected = {
        "level": "INFO",
        "logger": "sample",
        "message": "hello\nwörld",
        "request_id": "abc-1",
        "route": "/x",
    }
    assert first == expected
    assert second["logger"] == "uvicorn.error"
    assert "request_id" not in second
    assert "color_message" not in second


def test_exceptions_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    try:
        raise KeyError("inside")
    except KeyError:
        logging.getLogger("sample").exception("failed")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    failed, warned = _lines(capsys)
    assert "KeyError: 'inside'" in failed["exception"]
    assert warned["logger"] == "py.warnings"


def test_uncaught_exceptions(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    sys.excepthook(ValueError, ValueError("last words"), None)
    (line,) = _lines(capsys)
    assert line["level"] == "CRITICAL"
    assert "last words" in line["exception"]
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert _lines(capsys) == []


def test_secrets_are_hidden_wherever_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    secrets = ["hunter2", "hunter2-and-more", 'quo"te\\slash\n', "pässword", "abc", ""]
    configure_logging(secrets=secrets)
    try:
        raise ConnectionError(f"postgresql://u:{secrets[1]}@db")
    except ConnectionError:
        fields = {"address": secrets[2], "nested": {"deep": [secrets[3]]}}
        logging.getLogger("sample").exception("hunter2 %s abc", secrets[2], extra=fields)
    sys.excepthook(ValueError, ValueError(secrets[1]), None)
    text = capsys.readouterr().out
    first, second = (json.loads(line) for line in text.splitlines())
    assert first["message"] == "*** *** abc"
    assert first["address"] == "***"
    assert first["nested"] == {"deep": ["***"]}
    assert "ConnectionError: postgresql://u:***@db" in first["exception"]
    assert second["exception"].endswith("ValueError: ***")
    assert "more" not in text


@pytest.mark.parametrize("offered", [None, "", "a" * 129, "a b", "a\nb", "ä", "<script>"])
def test_replaces_request_ids_that_are_not_sane(offered: str | None) -> None:
    assert choose_request_id(offered) != offered


def test_keeps_sane_request_ids() -> None:
    assert choose_request_id("Aa0._-" * 21) == "Aa0._-" * 21
