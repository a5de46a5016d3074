"""Requests made up from the API's description, most of them malformed. FUZZ_EXAMPLES says how many."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from recipes import store
from recipes.seed import AUTHOR, seed_recipes

pytestmark = pytest.mark.integration

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "500"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SLUGS = [store.slug_of(recipe.title) for recipe in seed_recipes()[:6]]


@pytest.fixture
def app(make_app: Callable[..., FastAPI]) -> Iterator[FastAPI]:
    unlimited = "1000000/second"
    app = make_app(rate_limit_login=unlimited, rate_limit_writes=unlimited, trusted_proxies="")
    with app.state.database.session() as session:
        store.add_missing(session, seed_recipes(), AUTHOR)
    yield app


@pytest.mark.parametrize(
    ("mode", "examples"), [(GenerationMode.NEGATIVE, EXAMPLES), (GenerationMode.POSITIVE, EXAMPLES // 5)]
)
def test_no_request_breaks_the_api(
    app: FastAPI, mode: GenerationMode, examples: int, record_property: Callable[[str, object], None]
) -> None:
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app)
    operations = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    assert len(operations) == 12
    if mode is GenerationMode.NEGATIVE:
        # Where nothing can be sent, nothing can be wrong.
        operations = [each for each in operations if each.body or any(each.iter_parameters())]
    strategies = [each.as_strategy(generation_mode=mode) for each in operations]
    token = app.state.tokens.issue("fuzz", "editor", 86_400)
    statuses: Counter[int] = Counter()

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        case=st.one_of(strategies),
        signed_in=st.sampled_from([True, True, True, False]),
        slug=st.sampled_from([None, None, *SLUGS]),
    )
    def ask(case: Case[Any], signed_in: bool, slug: str | None) -> None:
        if slug and "slug" in (case.path_parameters or {}):
            case.path_parameters["slug"] = slug
        headers = {"Authorization": f"Bearer {token}"} if signed_in else {}
        response = case.call(headers=headers, timeout=120)
        statuses[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    ask()
    record_property("statuses", dict(sorted(statuses.items())))
    print(f"{mode}: {sum(statuses.values())} requests, {dict(sorted(statuses.items()))}")
    assert sum(statuses.values()) >= examples
    assert not [status for status in statuses if status >= 500]
