"""monitoring"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "8c1f4be2d960"
down_revision = "3f6a0d1c9b72"
branch_labels = None
depends_on = None
downgrade_loses = "what baselines said before races, monitoring reports and findings"


def upgrade() -> None:
    op.add_column(
        "predictions", sa.Column("baselines", postgresql.JSONB(astext_type=sa.Text()), nullable=True)
    )
    op.create_table(
        "monitoring_reports",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("report", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "made_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_monitoring_reports")),
    )
    op.create_table(
        "monitoring_findings",
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=True),
        sa.Column("model_version", sa.String(length=64), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("raised_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("answered_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("ended_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('performance', 'drift')", name=op.f("ck_monitoring_findings_kind")),
        sa.CheckConstraint(
            "state IN ('open', 'answered', 'replaced', 'withdrawn')",
            name=op.f("ck_monitoring_findings_state"),
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_monitoring_findings")),
    )


def downgrade() -> None:
    op.drop_table("monitoring_findings")
    op.drop_table("monitoring_reports")
    op.drop_column("predictions", "baselines")
