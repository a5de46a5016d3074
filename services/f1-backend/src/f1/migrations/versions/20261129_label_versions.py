"""label versions"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "3f6a0d1c9b72"
down_revision = "b6132cc7504f"
branch_labels = None
depends_on = None
downgrade_loses = "which results and qualifyings were corrected, when, and what they said before"


def upgrade() -> None:
    op.create_table(
        "label_versions",
        sa.Column("race_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("labels", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "recorded_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("kind IN ('results', 'qualifying')", name=op.f("ck_label_versions_kind")),
        sa.ForeignKeyConstraint(
            ["race_id"], ["races.id"], name=op.f("fk_label_versions_race_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("race_id", "kind", "version", name=op.f("pk_label_versions")),
    )


def downgrade() -> None:
    op.drop_table("label_versions")
