"""Errors as RFC 9457 problem documents (`application/problem+json`)."""

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from servicekit.logs import request_id_var

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_MOST_ERRORS = 20
_LONGEST_TEXT = 200


class Problem(HTTPException):
    """An error that the caller sees as a problem document.

    `title` says what kind of error it is, `detail` what is wrong this time; further keyword arguments become
    members of the document. `headers` are sent with it.
    """

    def __init__(
        self,
        status: int,
        title: str | None = None,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(status, detail, headers)
        self.title = title or HTTPStatus(status).phrase
        self.extra = extra


class InvalidPart(BaseModel):
    """One thing wrong with a request."""

    location: str = Field(description="Where, as a path: `query.page`, `body.steps.0`")
    message: str
    type: str


class ProblemDocument(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(
        title="Problem",
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "There is nothing at this address.",
                    "instance": "/api/nothing",
                    "request_id": "0d1c6ac4c5a14f0f8a0f4ec3a3f0a9b1",
                }
            ]
        },
    )

    type: str = Field("about:blank", description="A URI that names the kind of problem")
    title: str
    status: int
    detail: str | None = None
    instance: str = Field(description="The path that was asked for")
    request_id: str | None = Field(None, description="The id under which the logs have this request")
    errors: list[InvalidPart] | None = None


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` argument of a FastAPI route that documents these statuses as problem documents."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def problem_response(
    scope: Scope,
    status: int,
    title: str | None = None,
    detail: str | None = None,
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> Response:
    """The response that carries a problem document about the request in `scope`."""
    document = {
        "type": "about:blank",
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": quote(scope["path"], errors="replace"),
        "request_id": request_id_var.get(),
        **extra,
    }
    # Escaping all but ASCII keeps text that is not valid Unicode (lone surrogates) from failing to encode.
    body = json.dumps({key: value for key, value in document.items() if value is not None}, ensure_ascii=True)
    return Response(body, status, headers, MEDIA_TYPE)


def install_problem_handlers(app: FastAPI) -> None:
    """Makes every error that the application raises a problem document."""

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error, Problem):
            return problem_response(
                request.scope, error.status_code, error.title, error.detail, error.headers, **error.extra
            )
        # Starlette's detail is only the status's phrase again when none was given.
        detail = error.detail if error.detail != HTTPStatus(error.status_code).phrase else None
        return problem_response(request.scope, error.status_code, None, detail, error.headers)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return problem_response(
            request.scope,
            422,
            "Invalid request",
            "The request does not fit what this address takes; see errors.",
            errors=_invalid_parts(error.errors()),
        )

    async def pool_exhausted(request: Request, error: Exception) -> Response:
        log.warning("no database connection was free in time")
        return _busy(request.scope, "All database connections are in use. Try again shortly.")

    async def database_failed(request: Request, error: Exception) -> Response:
        # A server that is shutting down cuts connections with errors of several classes.
        if isinstance(error, OperationalError) or getattr(error, "connection_invalidated", False):
            log.error("the database did not answer", exc_info=error)
            return _busy(request.scope, "The database did not answer in time. Try again shortly.")
        raise error

    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(PoolTimeoutError, pool_exhausted)
    app.add_exception_handler(DBAPIError, database_failed)


def _busy(scope: Scope, detail: str) -> Response:
    return problem_response(scope, 503, None, detail, {"Retry-After": "1"})


def _invalid_parts(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    # The rejected input is not repeated: it may be a secret, or megabytes.
    return [
        {
            "location": ".".join(str(part) for part in error["loc"])[:_LONGEST_TEXT],
            "message": str(error["msg"])[:_LONGEST_TEXT],
            "type": str(error["type"]),
        }
        for error in errors[:_MOST_ERRORS]
    ]


class LastResortMiddleware:
    """Logs an exception that nothing else handled and answers 500, without a word about the inside."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched_send)
        except Exception:
            log.exception("unhandled exception")
            if started:
                raise
            detail = "Something went wrong here. The request id finds it in the logs."
            await problem_response(scope, 500, None, detail)(scope, receive, send)
