"""keep GPUs that are too small from trials, where the study does not state what they need

Studies of before have stated it, or let any worker in, and go on so. A service of the version
before lets any worker in where nothing is stated, and does not say what its workers have.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    need = sa.Column("gpu_need_gib", sa.Double(), server_default="0", nullable=False)
    op.add_column("studies", need)
    op.add_column("workers", sa.Column("gpu_memory_gib", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("workers", "gpu_memory_gib")
    op.drop_column("studies", "gpu_need_gib")
