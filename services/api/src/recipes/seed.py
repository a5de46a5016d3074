"""The recipes that a new installation starts with."""

from importlib.resources import files

from pydantic import TypeAdapter

from recipes.schemas import RecipeInput

AUTHOR = "kitchen"


def seed_recipes() -> list[RecipeInput]:
    """The recipes of `seed.json`, checked like any other input."""
    text = files("recipes").joinpath("seed.json").read_text(encoding="utf-8")
    return TypeAdapter(list[RecipeInput]).validate_json(text)
