from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.conftest import MakeClient

pytestmark = pytest.mark.integration


def _slugs(client: TestClient, **query: Any) -> list[str]:
    response = client.get("/api/recipes", params=query)
    assert response.status_code == 200, response.text
    return [item["slug"] for item in response.json()["items"]]


def test_pages(seeded: TestClient) -> None:
    seen: list[str] = []
    for page in range(1, 6):
        body = seeded.get("/api/recipes", params={"page": page, "page_size": 5}).json()
        assert (body["page"], body["page_size"], body["total"], body["pages"]) == (page, 5, 24, 5)
        seen += [item["slug"] for item in body["items"]]
    assert len(seen) == len(set(seen)) == 24
    past_the_end = seeded.get("/api/recipes", params={"page": 10_000, "page_size": 50}).json()
    assert (past_the_end["items"], past_the_end["total"]) == ([], 24)


def test_an_empty_list(client: TestClient) -> None:
    expected = {"items": [], "page": 1, "page_size": 12, "total": 0, "pages": 0}
    assert client.get("/api/recipes").json() == expected
    assert client.get("/api/tags").json() == []


def test_lists_may_be_kept_where_the_flag_is_on(make_client: MakeClient, seeded: TestClient) -> None:
    lists = ["/api/recipes?page_size=5", "/api/tags"]
    assert {seeded.get(path).headers["cache-control"] for path in lists} == {"no-cache"}
    flagged = make_client(flags=("cachedLists",))
    assert {flagged.get(path).headers["cache-control"] for path in lists} == {"public, max-age=30"}
    assert flagged.get("/api/recipes?page=0").headers.get("cache-control") is None
    slug = flagged.get(lists[0]).json()["items"][0]["slug"]
    assert flagged.get(f"/api/recipes/{slug}").headers["cache-control"] == "no-cache"


def test_sorting(seeded: TestClient) -> None:
    items = seeded.get("/api/recipes", params={"sort": "quickest", "page_size": 50}).json()["items"]
    minutes = [item["minutes"] for item in items]
    assert minutes == sorted(minutes)
    titles = [item["title"] for item in seeded.get("/api/recipes?sort=title&page_size=50").json()["items"]]
    assert titles[0] == "Baked ziti with sausage"
    assert titles[-1] == "Trofie al pesto genovese"
    assert _slugs(seeded, sort="newest")[0] == _slugs(seeded)[0] == "summer-pasta-salad"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("guanciale", {"spaghetti-alla-carbonara", "bucatini-all-amatriciana", "rigatoni-alla-gricia"}),
        ("lasagna", set()),
        ("lasagn", {"lasagne-alla-bolognese"}),
        ("béchamel", {"lasagne-alla-bolognese"}),
        ("bechamel", {"lasagne-alla-bolognese"}),
        ('"pine nuts" -basil', {"pasta-con-le-sarde"}),
        ("sardines or clams", {"pasta-con-le-sarde", "spaghetti-alle-vongole"}),
        ("the and of", set()),
        ("'; DROP TABLE recipes; --", set()),
        ("!!! & | ( :* <->", set()),
    ],
)
def test_search(seeded: TestClient, query: str, expected: set[str]) -> None:
    assert set(_slugs(seeded, q=query)) == expected


def test_a_word_in_the_title_weighs_more_than_one_in_the_steps(seeded: TestClient) -> None:
    found = _slugs(seeded, q="pesto")
    assert found[0] == "trofie-al-pesto-genovese"
    assert _slugs(seeded, q="ragu")[0] == "tagliatelle-al-ragu-bolognese"


def test_blank_queries_find_all(seeded: TestClient) -> None:
    assert seeded.get("/api/recipes", params={"q": "  "}).json()["total"] == 24


def test_what_is_found_may_be_sorted(seeded: TestClient) -> None:
    expected = ["bucatini-all-amatriciana", "rigatoni-alla-gricia", "spaghetti-alla-carbonara"]
    assert _slugs(seeded, q="guanciale", sort="title") == expected


def test_tags_narrow_down(seeded: TestClient) -> None:
    counts = {tag["name"]: tag["count"] for tag in seeded.get("/api/tags").json()}
    assert list(counts.values()) == sorted(counts.values(), reverse=True)
    assert seeded.get("/api/recipes", params={"tag": "vegan"}).json()["total"] == counts["vegan"]
    both = _slugs(seeded, tag=["vegan", "quick"])
    assert set(both) == {"penne-all-arrabbiata", "spaghetti-aglio-e-olio"}
    assert _slugs(seeded, tag=["quick", "vegan"]) == both
    assert _slugs(seeded, tag="no-such-tag") == []
    assert _slugs(seeded, tag="roman", q="chickpeas") == ["pasta-e-ceci"]


def test_a_recipe(seeded: TestClient) -> None:
    response = seeded.get("/api/recipes/cacio-e-pepe")
    recipe = response.json()
    assert recipe["title"] == "Cacio e pepe"
    assert recipe["ingredients"][0] == {"quantity": "200 g", "name": "tonnarelli or spaghetti"}
    assert recipe["author"] == "kitchen"
    assert response.headers["etag"] == f'"{recipe["version"]}"' == '"1"'


@pytest.mark.parametrize(
    ("have", "status"), [('"1"', 304), ('W/"1"', 304), ("*", 304), ('"2"', 200), ("", 200)]
)
def test_a_current_copy_is_not_sent_again(seeded: TestClient, have: str, status: int) -> None:
    response = seeded.get("/api/recipes/cacio-e-pepe", headers={"If-None-Match": have})
    assert response.status_code == status
    assert response.headers["etag"] == '"1"'
    assert bool(response.content) == (status == 200)


def test_an_unknown_recipe(seeded: TestClient) -> None:
    response = seeded.get("/api/recipes/pizza")
    assert response.status_code == 404
    assert response.json()["detail"] == "There is no recipe at pizza."


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=10001",
        "page=" + "9" * 5000,
        "page=1e3",
        "page_size=51",
        "page_size=-1",
        "sort=price",
        "q=" + "a" * 201,
        "q=%00",
        "q=a%0Ab",
        "tag=%00",
        "tag=" + "a" * 31,
        "&".join(f"tag=t{number}" for number in range(11)),
    ],
)
def test_queries_that_are_not_right(client: TestClient, query: str) -> None:
    response = client.get(f"/api/recipes?{query}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["location"].startswith("query.")


@pytest.mark.parametrize("path", ["%00", "A", "a--b", "..%2fetc", "%ff", "a" * 121, "%F0%9F%8D%9D"])
def test_slugs_that_are_none(client: TestClient, path: str) -> None:
    assert client.get(f"/api/recipes/{path}").status_code in (404, 422)
