import time

import jwt
import pytest
from fastapi.testclient import TestClient

from recipes import accounts
from tests.conftest import PASSWORD, SECRET, MakeClient, sign_in

pytestmark = pytest.mark.integration


def _try(client: TestClient, username: str, password: str) -> int:
    return client.post("/api/auth/token", json={"username": username, "password": password}).status_code


def test_signing_in(client: TestClient) -> None:
    accounts.save_user(client.app.state.database, "nonna", PASSWORD, "editor")  # type: ignore[attr-defined]
    response = client.post("/api/auth/token", json={"username": "Nonna", "password": PASSWORD})
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert (body["token_type"], body["expires_in"]) == ("bearer", 28_800)
    claims = jwt.decode(
        body["access_token"],
        SECRET,
        algorithms=["HS256"],
        issuer="pitwall-development",
        audience="pitwall-development",
    )
    assert abs(claims["exp"] - time.time() - 28_800) < 60
    me = client.get("/api/auth/me", headers={"Authorization": f"Bearer {body['access_token']}"})
    assert me.json() == {"username": "nonna", "role": "editor"}


def test_wrong_names_and_passwords_look_the_same(client: TestClient) -> None:
    accounts.save_user(client.app.state.database, "nonna", PASSWORD, "editor")  # type: ignore[attr-defined]
    wrong = client.post("/api/auth/token", json={"username": "nonna", "password": PASSWORD + "."})
    unknown = client.post("/api/auth/token", json={"username": "nobody", "password": PASSWORD})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json()["detail"] == unknown.json()["detail"]


def test_a_new_password_replaces_the_old(client: TestClient) -> None:
    database = client.app.state.database  # type: ignore[attr-defined]
    accounts.save_user(database, "nonna", PASSWORD, "editor")
    accounts.save_user(database, "nonna", "another one, longer", "admin")
    assert _try(client, "nonna", PASSWORD) == 401
    assert _try(client, "nonna", "another one, longer") == 200


def test_a_broken_hash_is_no_way_in(client: TestClient) -> None:
    assert not accounts._verify("not a hash", "x")


@pytest.mark.parametrize("password", ["", "x" * 257])
def test_passwords_that_cannot_be(client: TestClient, password: str) -> None:
    assert _try(client, "nonna", password) == 422


@pytest.mark.parametrize(
    "body", [b'{"username":"nonna","password":"\\ud800"}', b'{"username":"\\u0000","password":"x"}']
)
def test_text_that_is_no_text(client: TestClient, body: bytes) -> None:
    response = client.post("/api/auth/token", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422


def test_attempts_are_limited(make_client: MakeClient) -> None:
    client = make_client(rate_limit_login="3/minute")
    assert [_try(client, "nonna", "guess") for _ in range(4)] == [401, 401, 401, 429]


def test_whoever_guesses_behind_the_gateway_locks_out_nobody_else(make_client: MakeClient) -> None:
    client = make_client()
    accounts.save_user(client.app.state.database, "nonna", PASSWORD, "editor")  # type: ignore[attr-defined]
    address = client.headers["X-Forwarded-For"]
    guesses = [_try(client, "nonna", "guess") for _ in range(11)]
    assert guesses == [401] * 10 + [429]
    # An address of one's own choice in front of the one that the gateway saw changes nothing.
    client.headers["X-Forwarded-For"] = f"192.0.2.78, {address}"
    assert _try(client, "nonna", PASSWORD) == 429
    client.headers["X-Forwarded-For"] = f"{address}, 192.0.2.77"
    assert _try(client, "nonna", PASSWORD) == 200


def test_who_am_i_needs_a_token(client: TestClient) -> None:
    assert client.get("/api/auth/me").status_code == 401
    expired = client.app.state.tokens.issue("nonna", "editor", -1)  # type: ignore[attr-defined]
    response = client.get("/api/auth/me", headers={"Authorization": f"Bearer {expired}"})
    assert response.status_code == 401
    assert "expired" in response.json()["detail"]
    assert sign_in(client).get("/api/auth/me").json() == {"username": "nonna", "role": "editor"}
