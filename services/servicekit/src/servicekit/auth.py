"""Access tokens (JWT, HS256) and the roles that endpoints ask for."""

import time
from collections.abc import Callable
from typing import Annotated, Literal

import jwt
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, TypeAdapter

from servicekit.problems import Problem
from servicekit.settings import ServiceSettings

Role = Literal["editor", "admin"]

_ALGORITHM = "HS256"
_CLAIMS = ["iss", "aud", "sub", "role", "iat", "exp"]
_IMPLIED: dict[Role, set[Role]] = {"editor": {"editor"}, "admin": {"admin", "editor"}}
_ROLE = TypeAdapter[Role](Role)

_bearer = HTTPBearer(
    auto_error=False, bearerFormat="JWT", description="Header `Authorization: Bearer <token>`"
)


class Principal(BaseModel):
    """Who makes the request."""

    subject: str
    role: Role


class TokenService:
    """Issues and verifies tokens signed with JWT_SECRET_KEY, from JWT_ISSUER, for JWT_AUDIENCE.

    A token of another environment or service is refused even when it is signed with the same key.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._key = settings.jwt_secret_key.get_secret_value()
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience

    def issue(self, subject: str, role: Role, ttl: int) -> str:
        """A token that is good for `ttl` seconds."""
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": subject,
            "role": role,
            "iat": now,
            "exp": now + ttl,
        }
        return jwt.encode(claims, self._key, _ALGORITHM)

    def verify(self, token: str) -> Principal:
        """Who the token speaks for. Raises Problem 401 when it is forged, malformed, expired, or made by or
        for another environment or service."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                options={"require": _CLAIMS, "strict_aud": True},
            )
            return Principal(subject=claims["sub"], role=_ROLE.validate_python(claims["role"]))
        except jwt.ExpiredSignatureError as error:
            raise _unauthorized("The access token has expired. Sign in again.") from error
        except (jwt.InvalidTokenError, ValueError) as error:
            raise _unauthorized("The access token is not valid.") from error


def require_role(role: Role) -> Callable[[Request, HTTPAuthorizationCredentials | None], Principal]:
    """FastAPI dependency that gives the Principal when its role includes `role`; else 401 or 403.
    An admin may do all that an editor may."""

    def dependency(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Principal:
        if credentials is None:
            raise _unauthorized("This needs an access token: Authorization: Bearer <token>.")
        tokens = request.app.state.tokens
        assert isinstance(tokens, TokenService)
        principal = tokens.verify(credentials.credentials)
        if role not in _IMPLIED[principal.role]:
            raise Problem(403, None, f"This needs the role {role}; the token has the role {principal.role}.")
        return principal

    return dependency


def _unauthorized(detail: str) -> Problem:
    return Problem(401, None, detail, headers={"WWW-Authenticate": "Bearer"})
