"""The addresses under /api."""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from recipes import accounts, store
from recipes.schemas import (
    AccessToken,
    Credentials,
    Me,
    Recipe,
    RecipeInput,
    RecipePage,
    Slug,
    Sort,
    Tag,
    TagCount,
)
from servicekit.auth import Principal, require_role
from servicekit.cache import Cache
from servicekit.database import Database, DatabaseDependency
from servicekit.problems import Problem, problem_responses
from servicekit.ratelimit import RateLimit

T = TypeVar("T")

CACHE_TAG = "recipes"
_ETAG = re.compile(r'"(\d{1,9})"')


def get_cache(request: Request) -> Cache:
    """FastAPI dependency: the cache at `app.state.cache`."""
    cache = request.app.state.cache
    assert isinstance(cache, Cache)
    return cache


CacheDependency = Annotated[Cache, Depends(get_cache)]
Editor = Annotated[Principal, Depends(require_role("editor"))]
IfMatch = Annotated[
    str | None,
    Header(description='The version that the change is based on, from the ETag: `"3"`', examples=['"3"']),
]
IfNoneMatch = Annotated[str | None, Header(description="The ETag of the copy that the caller has")]
limit_writes = Depends(RateLimit("writes", lambda settings: settings.rate_limit_writes))
limit_logins = Depends(RateLimit("login", lambda settings: settings.rate_limit_login))

recipes = APIRouter(prefix="/api", tags=["recipes"])
auth = APIRouter(prefix="/api/auth", tags=["auth"])


@recipes.get("/recipes", summary="Find recipes", response_model=RecipePage)
def list_recipes(
    database: DatabaseDependency,
    cache: CacheDependency,
    q: Annotated[
        str | None,
        Query(
            max_length=200,
            pattern=r"^[^\x00-\x1f\x7f]*$",
            description='Words to find; `"a phrase"`, `or`, `-without` work. The last may be unfinished.',
            examples=["lemon spag"],
        ),
    ] = None,
    tag: Annotated[
        list[Tag] | None, Query(max_length=10, description="Has this tag; repeat for several")
    ] = None,
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
    page_size: Annotated[int, Query(ge=1, le=50)] = 12,
    sort: Annotated[Sort, Query(description="Relevance without words to find is newest")] = "relevance",
) -> Response:
    """Lists recipes page by page; a page past the end is empty."""
    query = (q or "").strip() or None
    search = store.Search(query, tuple(sorted(set(tag or []))), page, page_size, sort)

    def load() -> Any:
        with database.session() as session:
            return store.find(session, search).model_dump(mode="json")

    return _json(cache.get_or_set(_list_key(search), None, load, tag=CACHE_TAG))


@recipes.get(
    "/recipes/{slug}",
    summary="Read a recipe",
    response_model=Recipe,
    responses={304: {"description": "The caller's copy is current"}, **problem_responses(404)},
)
def read_recipe(
    slug: Slug, database: DatabaseDependency, cache: CacheDependency, if_none_match: IfNoneMatch = None
) -> Response:
    """The whole recipe. Its ETag is what an edit sends as If-Match."""

    def load() -> Any:
        with database.session() as session:
            return store.get(session, slug).model_dump(mode="json")

    recipe = cache.get_or_set(f"recipe:{slug}", None, load, tag=CACHE_TAG)
    headers = _etag(recipe["version"])
    if if_none_match is not None and _lists(if_none_match, recipe["version"]):
        return Response(status_code=304, headers={**headers, "Cache-Control": "no-cache"})
    return _json(recipe, headers=headers)


@recipes.post(
    "/recipes",
    summary="Write a recipe",
    status_code=201,
    response_model=Recipe,
    responses=problem_responses(401, 403, 409, 413, 429),
    dependencies=[limit_writes],
)
def create_recipe(
    recipe: RecipeInput, editor: Editor, database: DatabaseDependency, cache: CacheDependency
) -> Response:
    """Adds a recipe under a slug made from its title."""
    created = _write(cache, database, lambda session: store.create(session, recipe, editor.subject))
    location = {"Location": f"/api/recipes/{created.slug}"}
    return _json(created.model_dump(mode="json"), 201, {**location, **_etag(created.version)})


@recipes.put(
    "/recipes/{slug}",
    summary="Edit a recipe",
    response_model=Recipe,
    responses=problem_responses(401, 403, 404, 412, 413, 428, 429),
    dependencies=[limit_writes],
)
def update_recipe(
    slug: Slug,
    recipe: RecipeInput,
    editor: Editor,
    database: DatabaseDependency,
    cache: CacheDependency,
    if_match: IfMatch = None,
) -> Response:
    """Replaces the recipe's content if it still has the version in If-Match; the slug stays."""
    if if_match is None:
        raise Problem(
            428, None, 'Send If-Match with the version that the change is based on, as in If-Match: "3".'
        )
    expected = _versions(if_match)
    updated = _write(cache, database, lambda session: store.update(session, slug, recipe, expected))
    return _json(updated.model_dump(mode="json"), headers=_etag(updated.version))


@recipes.delete(
    "/recipes/{slug}",
    summary="Delete a recipe",
    status_code=204,
    responses=problem_responses(401, 403, 404, 412, 429),
    dependencies=[limit_writes],
)
def delete_recipe(
    slug: Slug, editor: Editor, database: DatabaseDependency, cache: CacheDependency, if_match: IfMatch = None
) -> None:
    """Removes the recipe; with If-Match, only if it still has that version."""
    expected = None if if_match is None else _versions(if_match)
    _write(cache, database, lambda session: store.delete(session, slug, expected))


@recipes.get("/tags", summary="List tags", response_model=list[TagCount])
def list_tags(database: DatabaseDependency, cache: CacheDependency) -> Response:
    """All tags in use with the number of their recipes, the most used first."""

    def load() -> Any:
        with database.session() as session:
            return [tag.model_dump(mode="json") for tag in store.tags(session)]

    return _json(cache.get_or_set("tags", None, load, tag=CACHE_TAG))


@auth.post(
    "/token",
    summary="Sign in",
    responses=problem_responses(401, 413, 429),
    dependencies=[limit_logins],
)
def sign_in(
    credentials: Credentials, request: Request, response: Response, database: DatabaseDependency
) -> AccessToken:
    """Gives an access token for the header `Authorization: Bearer <token>`."""
    role = accounts.authenticate(database, credentials.username, credentials.password.get_secret_value())
    if role is None:
        detail = "The username or the password is wrong."
        raise Problem(401, None, detail, headers={"WWW-Authenticate": "Bearer"})
    response.headers["Cache-Control"] = "no-store"
    ttl = request.app.state.settings.token_ttl_seconds
    token = request.app.state.tokens.issue(credentials.username, role, ttl)
    return AccessToken(access_token=token, expires_in=ttl)


@auth.get("/me", summary="Who am I?", responses=problem_responses(401))
def me(principal: Editor) -> Me:
    """Who the access token speaks for."""
    return Me(username=principal.subject, role=principal.role)


def _write(cache: Cache, database: Database, change: Callable[[Session], T]) -> T:
    with database.session() as session:
        result = change(session)
    # Committed: whoever reads after this answer must see it.
    cache.invalidate(CACHE_TAG)
    return result


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> JSONResponse:
    # Browsers may keep it, but ask before they use it: somebody may have edited.
    return JSONResponse(content, status, {"Cache-Control": "no-cache", **(headers or {})})


def _etag(version: int) -> dict[str, str]:
    return {"ETag": f'"{version}"'}


def _versions(header: str) -> list[int] | None:
    """The versions that an If-Match or If-None-Match header lists; None for `*`, which is any."""
    return None if header.strip() == "*" else [int(number) for number in _ETAG.findall(header)]


def _lists(header: str, version: int) -> bool:
    versions = _versions(header)
    return versions is None or version in versions


def _list_key(search: store.Search) -> str:
    parts = [search.query, search.tags, search.page, search.page_size, search.sort]
    return "list:" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()
