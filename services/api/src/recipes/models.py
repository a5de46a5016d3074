"""The tables."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Computed, Identity, Index, Text, func
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, TSVECTOR
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SEARCH_CONFIG = "recipes"
"""The text search configuration: English word stems, accents ignored. A migration makes it."""

_SEARCH_VECTOR = (
    "setweight(to_tsvector('recipes', title), 'A')"
    " || setweight(to_tsvector('recipes', tags), 'B')"
    " || setweight(to_tsvector('recipes', jsonb_path_query_array(ingredients, '$[*].\"name\"')), 'C')"
    " || setweight(to_tsvector('recipes', summary), 'C')"
    " || setweight(to_tsvector('recipes', steps), 'D')"
)


class Base(DeclarativeBase):
    type_annotation_map = {str: Text, datetime: TIMESTAMP(timezone=True)}


class RecipeRow(Base):
    """A recipe. `version` counts its changes; `search` is kept by the database."""

    __tablename__ = "recipes"
    __table_args__ = (
        CheckConstraint("minutes > 0", name="recipes_minutes_check"),
        CheckConstraint("servings > 0", name="recipes_servings_check"),
        Index("recipes_search_idx", "search", postgresql_using="gin"),
        Index("recipes_tags_idx", "tags", postgresql_using="gin", postgresql_ops={"tags": "jsonb_path_ops"}),
        Index("recipes_created_at_idx", "created_at", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str]
    summary: Mapped[str]
    photo_url: Mapped[str | None]
    tags: Mapped[list[str]] = mapped_column(JSONB)
    minutes: Mapped[int]
    servings: Mapped[int]
    ingredients: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    steps: Mapped[list[str]] = mapped_column(JSONB)
    author: Mapped[str]
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    search: Mapped[str] = mapped_column(TSVECTOR, Computed(_SEARCH_VECTOR, persisted=True), deferred=True)


class UserRow(Base):
    """Somebody who may sign in. `password_hash` is Argon2id."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint("role IN ('editor', 'admin')", name="users_role_check"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    username: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    role: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
