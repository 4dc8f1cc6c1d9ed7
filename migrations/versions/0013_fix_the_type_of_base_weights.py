"""fix the type of a study's base weights at its first claim

Until now each worker decided by its own device, where the recipe left it to that. Studies of before
are settled at their next claim. A service of the version before goes on as it did.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("studies", sa.Column("base_dtype", sa.String(20), nullable=True))


def downgrade() -> None:
    op.drop_column("studies", "base_dtype")
