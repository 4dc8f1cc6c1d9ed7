"""let several services share a database"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pulse",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pulse")),
    )
    # With defaults, so that a service of the version before may go on submitting.
    memory = sa.Column("gpu_memory_gib", sa.Double(), server_default="0", nullable=False)
    architecture = sa.Column("architecture", sa.String(100), server_default="", nullable=False)
    op.add_column("studies", memory)
    op.add_column("studies", architecture)


def downgrade() -> None:
    op.drop_column("studies", "architecture")
    op.drop_column("studies", "gpu_memory_gib")
    op.drop_table("pulse")
