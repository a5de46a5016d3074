"""Recipes and users."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
downgrade_loses = "all recipes and users"

SEARCH_VECTOR = (
    "setweight(to_tsvector('recipes', title), 'A')"
    " || setweight(to_tsvector('recipes', tags), 'B')"
    " || setweight(to_tsvector('recipes', jsonb_path_query_array(ingredients, '$[*].\"name\"')), 'C')"
    " || setweight(to_tsvector('recipes', summary), 'C')"
    " || setweight(to_tsvector('recipes', steps), 'D')"
)


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS unaccent")
    op.execute("CREATE TEXT SEARCH CONFIGURATION recipes (COPY = english)")
    op.execute(
        "ALTER TEXT SEARCH CONFIGURATION recipes"
        " ALTER MAPPING FOR hword, hword_part, word WITH unaccent, english_stem"
    )
    timestamp = postgresql.TIMESTAMP(timezone=True)
    op.create_table(
        "recipes",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), primary_key=True),
        sa.Column("slug", sa.Text(), nullable=False, unique=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("photo_url", sa.Text(), nullable=True),
        sa.Column("tags", postgresql.JSONB(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("servings", sa.Integer(), nullable=False),
        sa.Column("ingredients", postgresql.JSONB(), nullable=False),
        sa.Column("steps", postgresql.JSONB(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", timestamp, server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", timestamp, server_default=sa.func.now(), nullable=False),
        sa.Column(
            "search", postgresql.TSVECTOR(), sa.Computed(SEARCH_VECTOR, persisted=True), nullable=False
        ),
        sa.CheckConstraint("minutes > 0", name="recipes_minutes_check"),
        sa.CheckConstraint("servings > 0", name="recipes_servings_check"),
    )
    op.create_index("recipes_search_idx", "recipes", ["search"], postgresql_using="gin")
    op.create_index(
        "recipes_tags_idx",
        "recipes",
        ["tags"],
        postgresql_using="gin",
        postgresql_ops={"tags": "jsonb_path_ops"},
    )
    op.create_index("recipes_created_at_idx", "recipes", ["created_at", "id"])
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), primary_key=True),
        sa.Column("username", sa.Text(), nullable=False, unique=True),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", timestamp, server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("role IN ('editor', 'admin')", name="users_role_check"),
    )


def downgrade() -> None:
    op.drop_table("users")
    op.drop_table("recipes")
    op.execute("DROP TEXT SEARCH CONFIGURATION recipes")
    # The extension stays: it may have been there before, and needs rights that a downgrade may not have.
