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

from tests.conftest import MakeClient, Models

pytestmark = pytest.mark.integration

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# What exists, so that not every request ends at "there is no such thing".
KNOWN: dict[str, list[object]] = {
    "season": [2023, 2024],
    "round": [1, 2],
    "id": ["mira-solano", "aurora-racing"],
}


@pytest.fixture
def app(make_client: MakeClient) -> Iterator[FastAPI]:
    yield make_client().app  # type: ignore[misc]


@pytest.mark.parametrize(
    ("mode", "examples"), [(GenerationMode.NEGATIVE, EXAMPLES), (GenerationMode.POSITIVE, EXAMPLES // 5)]
)
def test_no_request_breaks_the_api(
    app: FastAPI,
    models: Models,
    mode: GenerationMode,
    examples: int,
    record_property: Callable[[str, object], None],
) -> None:
    schema = schemathesis.openapi.from_asgi("/api/f1/openapi.json", app)
    operations = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    assert len(operations) == 19
    if mode is GenerationMode.NEGATIVE:
        # Where nothing can be sent, nothing can be wrong.
        operations = [each for each in operations if each.body or any(each.iter_parameters())]
    strategies = [each.as_strategy(generation_mode=mode) for each in operations]
    token = app.state.tokens.issue("fuzz", "admin", 86_400)
    statuses: Counter[int] = Counter()

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=st.one_of(strategies), signed_in=st.integers(0, 9), pick=st.integers(0, 5))
    def ask(case: Case[Any], signed_in: int, pick: int) -> None:
        for name in case.path_parameters or {}:
            if name in KNOWN and pick < 2:
                case.path_parameters[name] = KNOWN[name][pick]
        headers = {"Authorization": f"Bearer {token}"} if signed_in else {}
        # On a busy machine a reload of the model may take its time.
        response = case.call(headers=headers, timeout=120)
        statuses[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    ask()
    record_property("statuses", dict(sorted(statuses.items())))
    print(f"{mode}: {sum(statuses.values())} requests, {dict(sorted(statuses.items()))}")
    assert sum(statuses.values()) >= examples
    assert not [status for status in statuses if status >= 500]
    assert app.state.platform.model.loaded.version == models.version
