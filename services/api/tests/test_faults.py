import os
import threading
import time

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import make_url, text

from servicekit.testing import TcpProxy, wait_until
from tests.conftest import MakeClient, a_recipe, sign_in

pytestmark = pytest.mark.integration


def test_redis_killed_half_way(make_client: MakeClient) -> None:
    redis = make_url(os.environ["REDIS_URL"])
    proxy = TcpProxy(redis.host or "", redis.port or 6379)
    editor = sign_in(make_client(redis_url=f"redis://127.0.0.1:{proxy.port}/0", redis_cooldown_seconds=0.3))
    elsewhere = make_client()
    editor.post("/api/recipes", json=a_recipe())
    address = "/api/recipes/pasta-al-burro"
    assert editor.get(address).json()["version"] == 1
    assert editor.get("/health/ready").json()["status"] == "ready"

    proxy.cut()
    for _ in range(20):
        assert editor.get(address).status_code == 200
    assert editor.put(address, json=a_recipe(), headers={"If-Match": '"1"'}).status_code == 200
    assert editor.get(address).json()["version"] == 2
    health = editor.get("/health/ready")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert health.json()["checks"]["redis"]["ok"] is False

    proxy.restore()
    wait_until(lambda: editor.get("/health/ready").json()["status"] == "ready")
    assert editor.get(address).json()["version"] == 2
    # The change that Redis had not heard of has been made up for.
    assert elsewhere.get(address).json()["version"] == 2
    proxy.cut()


def test_an_exhausted_pool_is_503_soon(make_client: MakeClient) -> None:
    client = make_client(db_pool_size=1, db_pool_timeout_seconds=0.2)
    with client.app.state.database.session() as session:  # type: ignore[attr-defined]
        session.execute(text("SELECT 1"))
        started = time.perf_counter()
        response = client.get("/api/recipes")
        assert time.perf_counter() - started < 30
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert response.headers["content-type"] == "application/problem+json"
        assert client.get("/health/ready").status_code == 200
    assert client.get("/api/recipes").status_code == 200


def test_a_crowd_gets_answers_from_a_small_pool(make_client: MakeClient) -> None:
    client = make_client(db_pool_size=2)
    statuses: list[int] = []

    def ask(number: int) -> None:
        # Different queries, so that the cache answers none of them.
        statuses.append(client.get("/api/recipes", params={"q": f"pasta {number}"}).status_code)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 30


def test_a_locked_recipe_is_503_not_a_hung_request(make_client: MakeClient) -> None:
    editor = sign_in(make_client())
    editor.post("/api/recipes", json=a_recipe())
    # It waits for the lock, and takes no longer than locks may be waited for.
    with editor.app.state.database.session() as session:  # type: ignore[attr-defined]
        session.execute(text("SELECT * FROM recipes FOR UPDATE"))
        started = time.perf_counter()
        response = editor.put("/api/recipes/pasta-al-burro", json=a_recipe(), headers={"If-Match": '"1"'})
        assert time.perf_counter() - started < 60
    assert response.status_code == 503


def test_without_a_database(make_client: MakeClient, client: TestClient) -> None:
    lost = make_client(database_url="postgresql://postgres@127.0.0.1:1/none")
    assert lost.get("/health/live").status_code == 200
    assert lost.get("/health/ready").status_code == 503
    response = lost.get("/api/recipes?q=never-cached")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"", 422),
        ("application/json", b"{", 422),
        ("application/json", b"null", 422),
        ("application/json", b"[" * 100_000, 400),
        ("application/json", b"\xff\xfe\x00", 400),
        ("application/json", b'{"title": "a\\u0000b"}', 422),
        ("application/json", b'{"\\ud800": "\\udfff"}', 422),
        ("application/json", b'{"minutes": ' + b"9" * 5000 + b"}", 400),
        ("application/json", b'{"minutes": NaN, "servings": Infinity}', 422),
        ("text/plain", b"hello", 422),
        ("application/json", b" " * 300_000, 413),
    ],
)
def test_hostile_bodies(editor: TestClient, content_type: str, body: bytes, status: int) -> None:
    response = editor.post("/api/recipes", content=body, headers={"Content-Type": content_type})
    assert response.status_code == status
    assert response.json()["status"] == status
