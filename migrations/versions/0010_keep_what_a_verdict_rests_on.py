"""keep what a verdict rests on: controls, losses by text, rates, and the noise of predictions

What services of the version before read stays in the form that they read.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing is rewritten.

    A verification that has begun has no ``controls``, and goes on with the seeds it began with. One
    that begins from now on has seeds of its own: a service of the version before, on the same
    database, would plan it anew on others, and either answer may come first. It also hands out
    trials at another ``rate`` at the recipe's, and rewrites a study without what its verdict is
    judged by (``verify.margin``, ``least_gain``, ``controls``, ``rates``), for good. So let none of
    them go on once this one has run.
    """
    document = sa.JSON(none_as_null=True)
    op.add_column("studies", sa.Column("controls", document, nullable=True))
    op.add_column("studies", sa.Column("answer", document, nullable=True))
    op.add_column("trials", sa.Column("noise", sa.Double(), nullable=True))
    rate = sa.Column("rate", sa.Double(), server_default="1", nullable=False)
    op.add_column("trials", rate)
    op.add_column("observations", sa.Column("texts", document, nullable=True))


def downgrade() -> None:
    """Verdicts stay, without what the version before does not know of.

    What their verifications found of the promises does not: without ``controls`` a study's fresh
    seeds are taken for those of before, which no trial has, also after another upgrade. Take a
    backup first where that is wanted.

    What was scored at another rate than the recipe's would be taken for scores at the recipe's, so
    it goes. A verification that is under way is planned anew, on other seeds.
    """
    other = "(SELECT id FROM trials WHERE rate <> 1)"
    op.execute(f"DELETE FROM observations WHERE trial_id IN {other}")
    op.execute("UPDATE trials SET state = 'cancelled', lease_until = NULL WHERE rate <> 1")
    op.drop_column("observations", "texts")
    for column in ("rate", "noise"):
        op.drop_column("trials", column)
    for column in ("answer", "controls"):
        op.drop_column("studies", column)
