import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from prometheus_client import REGISTRY
from pydantic import BaseModel, Field
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.types import Message, Scope

from servicekit import health
from servicekit.auth import require_role
from servicekit.middleware import KeptAnswersMiddleware, ObservabilityMiddleware, route_label
from servicekit.problems import MEDIA_TYPE, Problem, problem_responses
from tests.conftest import DEPLOYED, STRONG

MakeClient = Callable[..., TestClient]


class Thing(BaseModel):
    name: str = Field(pattern="^[^\\x00]*$")


@pytest.fixture
def router() -> APIRouter:
    router = APIRouter()

    @router.post("/things", responses=problem_responses(409))
    def make_thing(thing: Thing) -> Thing:
        if thing.name == "taken":
            raise Problem(409, "Taken", "Choose another name.", headers={"Retry-After": "3"}, name="taken")
        return thing

    @router.get("/things/{number}")
    def thing(number: int) -> int:
        if number == 500:
            raise RuntimeError("secret inside")
        return number

    @router.get("/stream")
    def stream() -> StreamingResponse:
        def body() -> Iterator[str]:
            yield "first"
            raise RuntimeError("half-way")

        return StreamingResponse(body())

    @router.get("/database/{kind}")
    def database(kind: str) -> None:
        cut = InterfaceError("SELECT", {}, Exception(), connection_invalidated=True)
        errors: dict[str, Exception] = {
            "pool": PoolTimeoutError(),
            "down": OperationalError("SELECT", {}, Exception("no route")),
            "cut": cut,
            "bug": IntegrityError("INSERT", {}, Exception("dup")),
        }
        raise errors[kind]

    return router


def test_every_error_is_a_problem_document(make_client: MakeClient, router: APIRouter) -> None:
    client = make_client(router)
    cases = [
        ("GET", "/nowhere", 404),
        ("DELETE", "/things", 405),
        ("GET", "/things/x", 422),
        ("GET", "/things/500", 500),
    ]
    for method, path, status in cases:
        response = client.request(method, path, headers={"X-Request-ID": "me-1"})
        assert response.status_code == status
        assert response.headers["content-type"] == MEDIA_TYPE
        document = response.json()
        assert document["status"] == status
        assert document["instance"] == path
        assert document["request_id"] == response.headers["x-request-id"] == "me-1"
        assert "secret inside" not in response.text


def test_a_problem_carries_what_it_was_given(make_client: MakeClient, router: APIRouter) -> None:
    response = make_client(router).post("/things", json={"name": "taken"})
    assert response.status_code == 409
    assert response.headers["retry-after"] == "3"
    document = response.json()
    assert (document["title"], document["detail"], document["name"]) == (
        "Taken",
        "Choose another name.",
        "taken",
    )


def test_invalid_input_is_located_but_not_repeated(make_client: MakeClient, router: APIRouter) -> None:
    response = make_client(router).post("/things", json={"name": {"password": "hunter2"}})
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert error["location"] == "body.name"
    assert error["type"] == "string_type"
    assert "hunter2" not in response.text


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b'{"name":"\\ud800"}',
        b'{"name":NaN}',
        b'{"name":' + b"9" * 5000 + b"}",
        b"[" * 20_000,
    ],
)
def test_bodies_that_are_not_sane_json(make_client: MakeClient, router: APIRouter, body: bytes) -> None:
    response = make_client(router).post("/things", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code in (400, 422)
    assert response.json()["status"] == response.status_code


def test_body_limit_holds_for_announced_and_streamed_bodies(
    make_client: MakeClient, router: APIRouter
) -> None:
    client = make_client(router, max_body_bytes=1024)
    headers = {"Content-Type": "application/json"}
    announced = client.post("/things", content=b" " * 2000, headers=headers)
    streamed = client.post("/things", content=(b" " * 500 for _ in range(4)), headers=headers)
    for response in (announced, streamed):
        assert response.status_code == 413
        assert response.json()["detail"] == "The body may have at most 1024 bytes."
        assert response.headers["connection"] == "close"
    assert client.post("/things", json={"name": "fits"}).status_code == 200


@pytest.mark.parametrize(("kind", "status"), [("pool", 503), ("down", 503), ("cut", 503), ("bug", 500)])
def test_database_trouble(make_client: MakeClient, router: APIRouter, kind: str, status: int) -> None:
    response = make_client(router).get(f"/database/{kind}")
    assert response.status_code == status
    assert response.headers.get("retry-after") == ("1" if status == 503 else None)


def test_an_answer_that_breaks_half_way_is_not_finished_politely(
    make_client: MakeClient, router: APIRouter
) -> None:
    with pytest.raises(RuntimeError, match="half-way"):
        make_client(router).get("/stream")


def _sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_metrics_know_routes_by_template(make_client: MakeClient, router: APIRouter) -> None:
    client = make_client(router, service_version="9.9.9")
    expected = [
        ("GET", "/things/{number}", "200"),
        ("GET", "unmatched", "404"),
        ("other", "unmatched", "404"),
    ]

    def counts() -> list[float]:
        return [_sample("http_requests_total", method=m, route=r, status=s) for m, r, s in expected]

    before = counts()
    for path in ("/things/1", "/things/2", "/no/such/1", "/no/such/2"):
        client.get(path)
    client.request("BREW", "/coffee")
    assert [after - earlier for after, earlier in zip(counts(), before, strict=True)] == [2, 2, 1]
    text = client.get("/metrics").text
    assert 'http_request_duration_seconds_bucket{le="2.0",method="GET",route="/things/{number}"}' in text
    assert 'app_info{revision="unknown",service="sample",version="9.9.9"} 1.0' in text
    assert "/things/1" not in text


def test_a_client_that_leaves_is_counted_as_such() -> None:
    async def gone(scope: Scope, receive: Any, send: Any) -> None:
        return None

    async def send(message: Message) -> None:
        raise AssertionError("nothing to send")

    middleware = ObservabilityMiddleware(gone, lifecycle=None)  # type: ignore[arg-type]
    scope = {"type": "http", "scheme": "http", "method": "GET", "path": "/", "headers": []}
    before = _sample("http_requests_total", method="GET", route="unmatched", status="499")
    asyncio.run(middleware(scope, None, send))  # type: ignore[arg-type]
    assert _sample("http_requests_total", method="GET", route="unmatched", status="499") == before + 1
    assert route_label(scope) == "unmatched"


def test_cors_covers_errors_too(make_client: MakeClient, router: APIRouter) -> None:
    client = make_client(router, cors_origins="https://app.example")
    for path in ("/things/1", "/things/500"):
        response = client.get(path, headers={"Origin": "https://app.example"})
        assert response.headers["access-control-allow-origin"] == "https://app.example"
    other = client.get("/things/1", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


def test_version_and_liveness(make_client: MakeClient) -> None:
    client = make_client(service_version="1.2.3", service_revision="abc")
    assert client.get("/version").json() == {
        "service": "sample",
        "version": "1.2.3",
        "revision": "abc",
        "environment": "development",
    }
    assert client.get("/health/live").json() == {"status": "live"}


def _fail() -> None:
    raise ConnectionError("host db.internal said no")


_hang_ends = threading.Event()


def _hang() -> None:
    _hang_ends.wait()


@pytest.mark.parametrize(
    ("checks", "code", "status"),
    [
        ({"database": lambda: None, "redis": lambda: None}, 200, "ready"),
        ({"database": lambda: None, "redis": _fail}, 200, "degraded"),
        ({"database": _fail, "redis": lambda: None}, 503, "not ready"),
        ({"database": _hang}, 503, "not ready"),
        ({}, 200, "ready"),
    ],
)
def test_readiness(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, checks: dict[str, Any], code: int, status: str
) -> None:
    if _hang in checks.values():
        monkeypatch.setattr(health, "CHECK_TIMEOUT_SECONDS", 0.1)
    _hang_ends.clear()
    try:
        response = make_client(checks=checks).get("/health/ready")
    finally:
        _hang_ends.set()
    assert response.status_code == code
    document = response.json()
    assert document["status"] == status
    assert list(document["checks"]) == list(checks)
    for name, result in document["checks"].items():
        assert result["ok"] == (checks[name] not in (_fail, _hang))
    assert "db.internal" not in response.text


def test_a_check_may_say_what_is_there(make_client: MakeClient) -> None:
    checks = {"database": lambda: None, "model": lambda: "0123abcd"}
    found = make_client(checks=checks).get("/health/ready").json()["checks"]
    assert found["model"]["detail"] == "0123abcd"
    assert "detail" not in found["database"]


def test_draining_turns_readiness_and_asks_clients_to_leave(
    make_client: MakeClient, router: APIRouter
) -> None:
    client = make_client(router, checks={"database": lambda: None})
    assert "connection" not in client.get("/things/1").headers
    client.app.state.lifecycle.draining = True  # type: ignore[attr-defined]
    assert client.get("/health/ready").status_code == 503
    assert client.get("/health/live").status_code == 200
    response = client.get("/things/1")
    assert (response.status_code, response.headers["connection"]) == (200, "close")


def test_openapi_describes_errors_as_problems(make_client: MakeClient, router: APIRouter) -> None:
    router.add_api_route(
        "/secret", lambda: None, dependencies=[Depends(require_role("admin"))], name="secret"
    )
    client = make_client(router)
    schema = client.get("/api/openapi.json").json()
    assert schema == client.get("/api/openapi.json").json()
    operation = schema["paths"]["/things"]["post"]
    assert operation["operationId"] == "make_thing"
    for status in ("409", "422", "default"):
        reference = operation["responses"][status]["content"][MEDIA_TYPE]["schema"]["$ref"]
        assert reference == "#/components/schemas/Problem"
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    assert schema["components"]["schemas"]["Problem"]["required"] == ["title", "status", "instance"]


def test_the_documentation_loads_nothing_from_elsewhere(make_client: MakeClient, router: APIRouter) -> None:
    for environment in ({}, {"environment": "staging", **DEPLOYED}):
        client = make_client(router, **environment)
        page = client.get("/api/docs")
        assert page.headers["content-type"].startswith("text/html")
        assert "script-src 'self';" in page.headers["content-security-policy"]
        assert page.headers.get_list("content-security-policy") == [page.headers["content-security-policy"]]
        # Nothing inline, which the policy forbids, and no other site.
        assert re.findall(r"<script(?! src=)|<style|https?://", page.text) == []
        addresses = re.findall(r'(?:src|href|data-openapi)="([^"]*)"', page.text)
        assert len(addresses) == 5
        for address in addresses:
            assert address.startswith("/api/")
            assert client.get(address).status_code == 200
        assert "https://" not in client.get("/api/docs/start.js").text


def test_production_has_no_documentation(make_client: MakeClient, router: APIRouter) -> None:
    client = make_client(router, environment="production", **STRONG, **DEPLOYED)
    paths = ["/api/openapi.json", "/docs", "/redoc", "/api/docs", "/api/docs/assets/swagger-ui.css"]
    for path in paths:
        assert client.get(path).status_code == 404
    assert client.get("/things/1").status_code == 200


def test_every_answer_has_security_headers(make_client: MakeClient, router: APIRouter) -> None:
    client = make_client(router, trusted_proxies="203.0.113.7", max_body_bytes=1024)
    requests = [
        ("GET", "/things/1", 200),
        ("GET", "/nowhere", 404),
        ("DELETE", "/things", 405),
        ("GET", "/things/x", 422),
        ("GET", "/things/500", 500),
        ("GET", "/database/pool", 503),
        ("GET", "/health/live", 200),
        ("GET", "/metrics", 200),
        ("GET", "/api/docs/assets/nothing.js", 404),
    ]
    answers = [(client.request(method, path), status) for method, path, status in requests]
    answers.append((client.post("/things", content=b" " * 2000), 413))
    for response, status in answers:
        assert response.status_code == status
        assert response.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert "strict-transport-security" not in response.headers
    over_tls = client.get("/nowhere", headers={"X-Forwarded-Proto": "https"})
    assert over_tls.headers["strict-transport-security"].startswith("max-age=31536000")


def test_answers_may_be_kept_at_some_addresses_and_errors_never(router: APIRouter) -> None:
    app = FastAPI()
    app.add_middleware(KeptAnswersMiddleware, paths="/things/[^/]+", seconds=30)
    app.include_router(router)
    client = TestClient(app)
    assert client.get("/things/1").headers["cache-control"] == "public, max-age=30"
    for path in ("/things/x", "/things/1/2", "/nowhere"):
        response = client.get(path)
        assert response.status_code != 200
        assert "cache-control" not in response.headers
