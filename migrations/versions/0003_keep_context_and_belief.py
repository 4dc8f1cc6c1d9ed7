"""keep each study's context and belief, no model states, and find open trials quickly"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("studies", sa.Column("context", sa.Text(), nullable=True))
    op.add_column("studies", sa.Column("belief", sa.Text(), nullable=True))
    _make_watermarks()
    op.drop_table("model_states")  # the observations say all that was in them
    op.drop_index("ix_trials_study_id", "trials")
    op.drop_index("ix_trials_worker", "trials")
    op.create_index("ix_trials_study_id_state", "trials", ["study_id", "state"], unique=False)
    op.create_index("ix_trials_worker_state", "trials", ["worker", "state"], unique=False)


def _make_watermarks() -> None:
    op.create_table(
        "watermarks",
        sa.Column("study_id", sa.String(length=20), nullable=False),
        sa.Column("results", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["studies.id"],
            name=op.f("fk_watermarks_study_id_studies"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("study_id", name=op.f("pk_watermarks")),
    )
    op.execute(
        "INSERT INTO watermarks (study_id, results) SELECT study_id, watermark FROM model_states"
    )


def downgrade() -> None:
    """The program before this one learns every study's results anew."""
    op.create_index("ix_trials_worker", "trials", ["worker"], unique=False)
    op.create_index("ix_trials_study_id", "trials", ["study_id"], unique=False)
    op.drop_index("ix_trials_worker_state", "trials")
    op.drop_index("ix_trials_study_id_state", "trials")
    op.create_table(
        "model_states",
        sa.Column("study_id", sa.String(length=20), nullable=False),
        sa.Column("watermark", sa.Integer(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["studies.id"],
            name=op.f("fk_model_states_study_id_studies"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("study_id", name=op.f("pk_model_states")),
    )
    op.drop_table("watermarks")
    op.drop_column("studies", "belief")
    op.drop_column("studies", "context")
