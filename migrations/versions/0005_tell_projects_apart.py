"""tell projects apart, let keys expire, bind sessions to keys, and keep an audit"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What is there belongs to the project ``default``; keys are of all projects, as they were."""
    # Studies first, as a claim takes them: in the other order the two would wait for each other.
    for table, column in (("studies", "idempotency_key"), ("models", "fingerprint")):
        _unique(table, [column], ["project", column], adds=True)
    op.add_column("api_keys", _project("*"))
    op.add_column("api_keys", sa.Column("expires_at", sa.Double(), nullable=True))
    op.add_column("api_keys", sa.Column("last_used_at", sa.Double(), nullable=True))
    _make_logins(of_a_key=True)
    _make_audit()


def _project(default: str) -> "sa.Column[str]":
    return sa.Column("project", sa.String(length=63), nullable=False, server_default=default)


def _unique(table: str, old: list[str], new: list[str], *, adds: bool) -> None:
    with op.batch_alter_table(table) as batch:
        if adds:
            batch.add_column(_project("default"))
        batch.drop_constraint(f"uq_{table}_{'_'.join(old)}", type_="unique")
        batch.create_unique_constraint(f"uq_{table}_{'_'.join(new)}", new)
        if not adds:
            batch.drop_column("project")


def _make_logins(*, of_a_key: bool) -> None:
    """Who is logged in logs in again."""
    for table in ("login_codes", "login_sessions"):
        op.drop_table(table)
        op.create_table(
            table,
            sa.Column("digest", sa.String(length=64), nullable=False),
            *(_owner(table) if of_a_key else ()),
            sa.Column("expires_at", sa.Double(), nullable=False),
            sa.PrimaryKeyConstraint("digest", name=op.f(f"pk_{table}")),
        )


def _owner(table: str) -> tuple[sa.schema.SchemaItem, ...]:
    name = op.f(f"fk_{table}_key_id_api_keys")
    column = sa.Column("key_id", sa.String(length=8), nullable=False)
    return column, sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=name)


def _make_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key_id", sa.String(length=8), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("method", sa.String(length=10), nullable=False),
        sa.Column("route", sa.String(length=100), nullable=False),
        sa.Column("object", sa.String(length=100), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_project_id", "audit", ["project", "id"], unique=False)


def downgrade() -> None:
    """The program before this one lets every key do everything everywhere: others are deleted."""
    op.drop_index("ix_audit_project_id", "audit")
    op.drop_table("audit")
    _make_logins(of_a_key=False)
    op.execute(
        "DELETE FROM api_keys WHERE project != '*' OR expires_at IS NOT NULL "
        "OR role NOT IN ('admin', 'worker')"
    )
    with op.batch_alter_table("api_keys") as batch:
        for column in ("last_used_at", "expires_at", "project"):
            batch.drop_column(column)
    op.execute("UPDATE studies SET idempotency_key = NULL WHERE project != 'default'")
    op.execute(
        "UPDATE models SET fingerprint = substr(fingerprint, 1, 100) || ':' || id "
        "WHERE project != 'default'"
    )
    for table, column in (("models", "fingerprint"), ("studies", "idempotency_key")):
        _unique(table, ["project", column], [column], adds=False)
