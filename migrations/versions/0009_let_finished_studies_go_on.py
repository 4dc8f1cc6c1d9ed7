"""let a study that is done be extended, and another one begin with its results

Beside them it keeps what its data came to.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Services of the version before must not plan a study that was extended, or has an origin.

    They know neither its fresh seeds nor the results it began with: stop them before anybody uses
    either.
    """
    op.add_column("studies", sa.Column("origin", sa.String(length=20), nullable=True))
    op.add_column("studies", sa.Column("earlier", sa.Text(), nullable=True))
    op.add_column("studies", sa.Column("submitted", sa.Text(), nullable=True))
    op.add_column("studies", sa.Column("extensions", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("studies", sa.Column("checked", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("studies", sa.Column("counts", sa.JSON(none_as_null=True), nullable=True))
    looks = sa.Column("looks_before", sa.Integer(), server_default="0", nullable=False)
    op.add_column("studies", looks)


def downgrade() -> None:
    later = ("looks_before", "counts", "checked", "extensions")
    for column in (*later, "submitted", "earlier", "origin"):
        op.drop_column("studies", column)
