"""Recipes in the database."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slugify import slugify
from sqlalchemy import ColumnElement, Select, cast, func, select, true
from sqlalchemy.dialects.postgresql import REGCONFIG, TSQUERY, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from recipes.models import SEARCH_CONFIG, RecipeRow
from recipes.schemas import Recipe, RecipeInput, RecipePage, RecipeSummary, Sort, TagCount
from servicekit.problems import Problem

# A word at the end of the query that is neither excluded (-word) nor part of a quotation.
_UNFINISHED_WORD = re.compile(r"(?P<before>[^\"]*(?:\"[^\"]*\"[^\"]*)*?)(?<![-\w])(?P<word>[^\W_]+)")


@dataclass(frozen=True)
class Search:
    """What to list: recipes that match `query` (None: all) and have every one of `tags`."""

    query: str | None = None
    tags: tuple[str, ...] = ()
    page: int = 1
    page_size: int = 12
    sort: Sort = "relevance"


def find(session: Session, search: Search) -> RecipePage:
    """One page of the recipes that fit. Without a query, relevance means newest."""
    matching = select(RecipeRow)
    order: list[ColumnElement[Any]] = [RecipeRow.created_at.desc(), RecipeRow.id.desc()]
    if search.query:
        query = _text_query(search.query)
        matching = matching.where(RecipeRow.search.op("@@")(query))
        if search.sort == "relevance":
            order.insert(0, func.ts_rank_cd(RecipeRow.search, query).desc())
    if search.tags:
        matching = matching.where(RecipeRow.tags.contains(list(search.tags)))
    if search.sort == "title":
        order.insert(0, func.lower(RecipeRow.title).asc())
    elif search.sort == "quickest":
        order.insert(0, RecipeRow.minutes.asc())
    total = session.scalar(select(func.count()).select_from(matching.subquery())) or 0
    rows = session.scalars(
        matching.order_by(*order).limit(search.page_size).offset((search.page - 1) * search.page_size)
    )
    return RecipePage(
        items=[RecipeSummary.model_validate(row) for row in rows],
        page=search.page,
        page_size=search.page_size,
        total=total,
        pages=math.ceil(total / search.page_size),
    )


def get(session: Session, slug: str) -> Recipe:
    """The recipe. Raises Problem 404."""
    return Recipe.model_validate(_one(session, slug, select(RecipeRow)))


def create(session: Session, recipe: RecipeInput, author: str) -> Recipe:
    """Adds a recipe; its slug comes from the title. Raises Problem 409 when the slug is taken."""
    slug = slug_of(recipe.title)
    row = RecipeRow(slug=slug, author=author, **recipe.model_dump())
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:
        detail = f"There is a recipe at {slug} already; change the title, or edit that recipe."
        raise Problem(409, "Recipe exists", detail, slug=slug) from error
    session.refresh(row)
    return Recipe.model_validate(row)


def update(session: Session, slug: str, recipe: RecipeInput, expected: Sequence[int] | None) -> Recipe:
    """Replaces a recipe's content; its slug and author stay. Raises Problem 404, and 412 when its version is
    none of `expected` (None: any)."""
    row = _locked(session, slug, expected)
    for name, value in recipe.model_dump().items():
        setattr(row, name, value)
    row.version += 1
    row.updated_at = func.now()
    session.flush()
    session.refresh(row)
    return Recipe.model_validate(row)


def delete(session: Session, slug: str, expected: Sequence[int] | None) -> None:
    """Removes a recipe. Raises as `update`."""
    session.delete(_locked(session, slug, expected))


def add_missing(session: Session, recipes: Sequence[RecipeInput], author: str) -> int:
    """Adds those recipes whose slugs are free, and says how many."""
    values = [{"slug": slug_of(recipe.title), "author": author, **recipe.model_dump()} for recipe in recipes]
    statement = insert(RecipeRow).on_conflict_do_nothing(index_elements=["slug"]).returning(RecipeRow.id)
    return len(session.execute(statement, values).all())


def tags(session: Session) -> list[TagCount]:
    """All tags in use, the most used first."""
    tag = func.jsonb_array_elements_text(RecipeRow.tags).table_valued("name").render_derived()
    count = func.count().label("uses")
    statement = select(tag.c.name, count).select_from(RecipeRow).join(tag, true())
    rows = session.execute(statement.group_by(tag.c.name).order_by(count.desc(), tag.c.name))
    return [TagCount(name=row.name, count=row.uses) for row in rows]


def slug_of(title: str) -> str:
    """The title as it stands in addresses: `Pasta al ragù` is `pasta-al-ragu`."""
    return slugify(title, max_length=120, word_boundary=True) or "recipe"


def split_unfinished(text: str) -> tuple[str, str] | None:
    """The query without its last word, and that word, when somebody may still be typing it."""
    match = _UNFINISHED_WORD.fullmatch(text.rstrip(" ")) if not text.endswith(" ") else None
    return (match["before"], match["word"]) if match else None


def _text_query(text: str) -> ColumnElement[Any]:
    config = cast(SEARCH_CONFIG, REGCONFIG)
    query = func.websearch_to_tsquery(config, text, type_=TSQUERY)
    unfinished = split_unfinished(text)
    if unfinished is None:
        return query
    before, word = unfinished
    # The unfinished last word matches every word that begins with it: "lemon spag" finds spaghetti.
    prefix = func.to_tsquery(config, f"{word}:*", type_=TSQUERY)
    return query.op("||")(func.websearch_to_tsquery(config, before, type_=TSQUERY).op("&&")(prefix))


def _one(session: Session, slug: str, query: Select[RecipeRow]) -> RecipeRow:
    row = session.scalar(query.where(RecipeRow.slug == slug))
    if row is None:
        raise Problem(404, "No such recipe", f"There is no recipe at {slug}.")
    return row


def _locked(session: Session, slug: str, expected: Sequence[int] | None) -> RecipeRow:
    row = _one(session, slug, select(RecipeRow).with_for_update())
    if expected is not None and row.version not in expected:
        detail = f"Somebody changed this recipe: it has version {row.version} now. Load it and try again."
        raise Problem(412, "Recipe changed", detail, version=row.version)
    return row
