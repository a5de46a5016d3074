import base64
import json
from collections.abc import Callable
from typing import Annotated, Any

import jwt
import pytest
from fastapi import APIRouter, Depends
from fastapi.testclient import TestClient

from servicekit.auth import Principal, TokenService, require_role
from servicekit.problems import Problem
from tests.conftest import SECRET, MakeSettings

NOW = 4_000_000_000
ENVIRONMENT = {"jwt_issuer": "kitchen-staging", "jwt_audience": "recipes-staging"}
GOOD = {
    "iss": "kitchen-staging",
    "aud": "recipes-staging",
    "sub": "nonna",
    "role": "editor",
    "iat": 1,
    "exp": NOW,
}


def _unsigned(claims: dict[str, Any]) -> str:
    parts = [{"alg": "none", "typ": "JWT"}, claims]
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
        + "."
    )


def test_issue_and_verify(make_settings: MakeSettings) -> None:
    tokens = TokenService(make_settings())
    assert tokens.verify(tokens.issue("nonna", "admin", 60)) == Principal(subject="nonna", role="admin")


def test_what_the_refused_tokens_differ_from_is_accepted(make_settings: MakeSettings) -> None:
    good = jwt.encode(GOOD, SECRET, "HS256")
    assert TokenService(make_settings(**ENVIRONMENT)).verify(good) == Principal(
        subject="nonna", role="editor"
    )


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        "\u00e4\ud800",
        _unsigned(GOOD),
        jwt.encode(GOOD, "another-secret-0123456789abcdefgh", "HS256"),
        jwt.encode(GOOD, SECRET * 2, "HS512"),
        jwt.encode({**GOOD, "role": "owner"}, SECRET, "HS256"),
        jwt.encode({**GOOD, "role": ["admin"]}, SECRET, "HS256"),
        jwt.encode({**GOOD, "exp": 2}, SECRET, "HS256"),
        jwt.encode({**GOOD, "iss": "kitchen-production"}, SECRET, "HS256"),
        jwt.encode({**GOOD, "aud": "recipes-production"}, SECRET, "HS256"),
        jwt.encode({**GOOD, "aud": ["recipes-staging", "recipes-production"]}, SECRET, "HS256"),
        *(jwt.encode({key: GOOD[key] for key in GOOD if key != gone}, SECRET, "HS256") for gone in GOOD),
    ],
)
def test_refuses(make_settings: MakeSettings, token: str) -> None:
    with pytest.raises(Problem) as problem:
        TokenService(make_settings(**ENVIRONMENT)).verify(token)
    assert problem.value.status_code == 401
    assert problem.value.headers == {"WWW-Authenticate": "Bearer"}


@pytest.mark.parametrize("other", ["jwt_issuer", "jwt_audience"])
def test_an_equal_key_does_not_open_another_environment(make_settings: MakeSettings, other: str) -> None:
    staging = TokenService(make_settings(**ENVIRONMENT))
    production = TokenService(make_settings(**{**ENVIRONMENT, other: "another"}))
    with pytest.raises(Problem, match="is not valid"):
        production.verify(staging.issue("nonna", "admin", 60))


@pytest.mark.parametrize(
    ("needed", "role", "status"),
    [("editor", "editor", 200), ("editor", "admin", 200), ("admin", "editor", 403), ("editor", None, 401)],
)
def test_roles(make_client: Callable[..., TestClient], needed: Any, role: Any, status: int) -> None:
    router = APIRouter()

    @router.get("/secret")
    def secret(principal: Annotated[Principal, Depends(require_role(needed))]) -> str:
        return principal.subject

    client = make_client(router)
    tokens: TokenService = client.app.state.tokens  # type: ignore[attr-defined]
    headers = {"Authorization": f"Bearer {tokens.issue('nonna', role, 60)}"} if role else {}
    response = client.get("/secret", headers=headers)
    assert response.status_code == status
    assert response.json() == "nonna" if status == 200 else response.json()["status"] == status
