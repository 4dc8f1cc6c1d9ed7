"""keep what the models of long studies had learned, for restarts"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Services of the version before learn everything anew, as they always did."""
    op.create_table(
        "fits",
        sa.Column("study_id", sa.String(length=20), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["studies.id"],
            name=op.f("fk_fits_study_id_studies"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("study_id", name=op.f("pk_fits")),
    )


def downgrade() -> None:
    op.drop_table("fits")
