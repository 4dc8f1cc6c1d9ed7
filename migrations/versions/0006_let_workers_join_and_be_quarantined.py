"""let workers join with a token, bind keys to them, keep bad ones from work, know restarted ones"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keys speak for any worker, as before; nobody knows whom the workers of before served."""
    op.add_column("api_keys", sa.Column("worker", sa.String(length=200), nullable=True))
    op.create_index("ix_api_keys_worker", "api_keys", ["worker"], unique=False)
    for column in _of_workers():
        op.add_column("workers", column)
    op.add_column("attempts", sa.Column("process", sa.String(length=64), nullable=True))
    op.create_index("ix_attempts_worker", "attempts", ["worker"], unique=False)
    op.create_table(
        "join_tokens",
        sa.Column("id", sa.String(length=8), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_join_tokens")),
    )


def _of_workers() -> tuple["sa.Column[object]", ...]:
    """With defaults: services of the version before go on adding workers."""
    return (
        sa.Column("project", sa.String(length=63), nullable=False, server_default="*"),
        sa.Column("struck_at", sa.Double(), nullable=True),
        sa.Column("refusals", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("quarantined_at", sa.Double(), nullable=True),
        sa.Column("quarantine_reason", sa.Text(), nullable=True),
    )


def downgrade() -> None:
    """The program before lets a worker's key speak for every worker: bound ones are deleted."""
    op.drop_table("join_tokens")
    op.drop_index("ix_attempts_worker", "attempts")
    op.drop_index("ix_api_keys_worker", "api_keys")
    op.execute("DELETE FROM api_keys WHERE worker IS NOT NULL")
    with op.batch_alter_table("workers") as batch:
        for column in _of_workers():
            batch.drop_column(column.name)
    with op.batch_alter_table("attempts") as batch:
        batch.drop_column("process")
    with op.batch_alter_table("api_keys") as batch:
        batch.drop_column("worker")
