import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from recipes import routes, store
from recipes.app import build_app
from recipes.schemas import RecipeInput
from recipes.seed import seed_recipes
from recipes.settings import Settings
from servicekit.settings import schema_settings
from tests.conftest import a_recipe


def test_the_committed_description_is_current() -> None:
    committed = json.loads((Path(__file__).parent.parent / "openapi.json").read_text())
    current = build_app(schema_settings(Settings)).openapi()
    assert committed == current, "write it again: python -m recipes openapi > openapi.json"


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Tagliatelle al ragù", "tagliatelle-al-ragu"),
        ("  Penne all'arrabbiata! ", "penne-all-arrabbiata"),
        ("意大利面", "yi-da-li-mian"),
        ("🍝", "recipe"),
        ("a" * 300, "a" * 120),
    ],
)
def test_slugs(title: str, slug: str) -> None:
    assert store.slug_of(title) == slug


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("spag", ("", "spag")),
        ("lemon spag", ("lemon ", "spag")),
        ('"with lemon" spag', ('"with lemon" ', "spag")),
        ("crème brû", ("crème ", "brû")),
        ("spag ", None),
        ("lemon -spag", None),
        ('"lemon spag', None),
        ('"lemon spag"', None),
        ("", None),
        ("!&|:*", None),
    ],
)
def test_only_an_unfinished_last_word_is_a_prefix(text: str, parts: tuple[str, str] | None) -> None:
    assert store.split_unfinished(text) == parts


@pytest.mark.parametrize(
    ("header", "versions"),
    [
        ('"3"', [3]),
        ('W/"3", "4"', [3, 4]),
        ("*", None),
        ("3", []),
        ('"x"', []),
        ("", []),
        ('"' + "9" * 99 + '"', []),
    ],
)
def test_versions_in_headers(header: str, versions: list[int] | None) -> None:
    assert routes._versions(header) == versions


@pytest.mark.parametrize(
    "change",
    [
        {"title": ""},
        {"title": "  "},
        {"title": "a\x00b"},
        {"title": "a\nb"},
        {"title": "\ud800"},
        {"title": "a" * 121},
        {"photo_url": "javascript:alert(1)"},
        {"photo_url": "//evil.example/x.png"},
        {"photo_url": "http://plain.example/x.png"},
        {"photo_url": 'https://x.example/"onerror=1'},
        {"tags": ["Two Words"]},
        {"tags": [f"tag-{number}" for number in range(11)]},
        {"minutes": 0},
        {"minutes": 10**30},
        {"servings": 1.5},
        {"ingredients": []},
        {"ingredients": [{"quantity": "1", "name": "salt", "price": 2}]},
        {"steps": []},
        {"steps": ["x"] * 41},
        {"author": "somebody else"},
    ],
)
def test_refuses_recipes_that_are_not_right(change: dict[str, object]) -> None:
    good = a_recipe()
    with pytest.raises(ValidationError):
        RecipeInput.model_validate({**good, **change})


@pytest.mark.parametrize("photo_url", [None, "/photos/pasta.svg", "https://img.example/a.jpg?w=1"])
def test_takes_photo_addresses(photo_url: str | None) -> None:
    assert a_recipe(photo_url=photo_url)["photo_url"] == photo_url


def test_text_is_trimmed_and_tags_do_not_repeat() -> None:
    recipe = a_recipe(title="  Pasta  ", tags=["b", "a", "b"])
    assert (recipe["title"], recipe["tags"]) == ("Pasta", ["b", "a"])


def test_the_recipes_to_start_with() -> None:
    recipes = seed_recipes()
    assert len(recipes) == 24
    assert len({store.slug_of(recipe.title) for recipe in recipes}) == 24
    for recipe in recipes:
        assert recipe.tags, recipe.title
        assert len(recipe.steps) >= 3, recipe.title
