"""What the API takes and gives."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, SecretStr, StringConstraints

from servicekit.auth import Role

# Text without control characters (PostgreSQL cannot store NUL) and with something in it.
_LINE = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"


def _line(longest: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=longest, pattern=_LINE)


def _without_repeats(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _encodable(secret: SecretStr) -> SecretStr:
    # JSON can carry halves of surrogate pairs, which are no characters. Patterns refuse them; this has none.
    try:
        secret.get_secret_value().encode()
    except UnicodeEncodeError as error:
        raise ValueError("should be valid Unicode") from error
    return secret


SLUG_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
Slug = Annotated[str, StringConstraints(max_length=120, pattern=SLUG_PATTERN)]
Tag = Annotated[str, StringConstraints(max_length=30, pattern=SLUG_PATTERN)]
Tags = Annotated[list[Tag], Field(max_length=10), AfterValidator(_without_repeats)]
PhotoUrl = Annotated[
    str,
    Field(
        max_length=500,
        pattern=r"^(/[A-Za-z0-9_-][A-Za-z0-9._~/-]*|https://[A-Za-z0-9][^\s\x00-\x1f\x7f<>\"']*)$",
        description="A path on the web app's site, or an https address",
    ),
]
Username = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", to_lower=True),
]
Sort = Literal["relevance", "newest", "title", "quickest"]

_INGREDIENTS: list[JsonValue] = [
    {"quantity": "400 g", "name": "spaghetti"},
    {"quantity": "4 cloves", "name": "garlic, thinly sliced"},
    {"quantity": None, "name": "flat-leaf parsley, chopped"},
]
_STEPS: list[JsonValue] = [
    "Boil the spaghetti.",
    "Warm the garlic in the oil until pale gold.",
    "Toss together with the parsley.",
]
_INPUT_EXAMPLE: dict[str, JsonValue] = {
    "title": "Aglio e olio",
    "summary": "Spaghetti with garlic and oil, ready while the water boils.",
    "photo_url": None,
    "tags": ["quick", "vegan"],
    "minutes": 20,
    "servings": 4,
    "ingredients": _INGREDIENTS,
    "steps": _STEPS,
}
_SUMMARY_EXAMPLE: dict[str, JsonValue] = {
    **{key: value for key, value in _INPUT_EXAMPLE.items() if key not in ("ingredients", "steps")},
    "slug": "aglio-e-olio",
    "updated_at": "2025-11-24T10:00:00Z",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Ingredient(_Strict):
    quantity: Annotated[str, _line(60)] | None = Field(description="How much, as one would write it: `200 g`")
    name: Annotated[str, _line(200)]


class RecipeInput(_Strict):
    """A recipe as an editor writes it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_INPUT_EXAMPLE]})

    title: Annotated[str, _line(120)]
    summary: Annotated[str, _line(500)]
    photo_url: PhotoUrl | None = None
    tags: Tags = Field(default_factory=list)
    minutes: int = Field(ge=1, le=10_080, description="From start to table")
    servings: int = Field(ge=1, le=100)
    ingredients: Annotated[list[Ingredient], Field(min_length=1, max_length=60)]
    steps: Annotated[list[Annotated[str, _line(2000)]], Field(min_length=1, max_length=40)]


class RecipeSummary(BaseModel):
    """A recipe as lists show it."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [_SUMMARY_EXAMPLE]})

    slug: str
    title: str
    summary: str
    photo_url: str | None
    tags: list[str]
    minutes: int
    servings: int
    updated_at: datetime


class Recipe(RecipeSummary):
    """A whole recipe. Its version is also its ETag."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_SUMMARY_EXAMPLE,
                    "ingredients": _INGREDIENTS,
                    "steps": _STEPS,
                    "author": "nonna",
                    "created_at": "2025-11-24T10:00:00Z",
                    "version": 1,
                }
            ]
        }
    )

    ingredients: list[Ingredient]
    steps: list[str]
    author: str
    created_at: datetime
    version: int


class RecipePage(BaseModel):
    """One page of a list. `total` counts the recipes on all `pages`."""

    items: list[RecipeSummary]
    page: int
    page_size: int
    total: int
    pages: int


class TagCount(BaseModel):
    """A tag and how many recipes have it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "vegan", "count": 5}]})

    name: str
    count: int


class Credentials(_Strict):
    """What signing in takes."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"username": "nonna", "password": "al dente, always"}]}
    )

    username: Username
    password: Annotated[SecretStr, AfterValidator(_encodable)] = Field(min_length=1, max_length=256)


class AccessToken(BaseModel):
    """`expires_in` is in seconds."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"
    expires_in: int


class Me(BaseModel):
    """Who the access token speaks for."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"username": "nonna", "role": "editor"}]})

    username: str
    role: Role
