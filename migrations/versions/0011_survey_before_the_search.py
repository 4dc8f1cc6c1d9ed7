"""let a study begin with a survey

Beside it, which version of the protocol each worker speaks.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Services of the version before know no study that surveys: stop them before anybody asks.

    Nobody is given a survey without asking for one, and what they do not know they leave alone.
    """
    op.add_column("trials", sa.Column("survey", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("studies", sa.Column("note", sa.Text(), nullable=True))
    spoken = sa.Column("protocol", sa.Integer(), server_default="1", nullable=False)
    op.add_column("workers", spoken)


def downgrade() -> None:
    """A study that surveys goes on without: it searches as one does that never asked.

    The version before reads neither its document nor its trials of that purpose.
    """
    connection = op.get_bind()
    searching = {"now": "searching", "before": "surveying"}
    for column in ("state", "stage"):
        moved = sa.text(f"UPDATE studies SET {column} = :now WHERE {column} = :before")
        connection.execute(moved, searching)
    _delete_surveys(connection)
    _forget_surveys(connection)
    op.drop_column("workers", "protocol")
    op.drop_column("studies", "note")
    op.drop_column("trials", "survey")


_SURVEYS = "SELECT id FROM trials WHERE purpose = 'survey'"
_OF_TRIALS = ("attempts", "observations", "artifacts")


def _delete_surveys(connection: sa.Connection) -> None:
    """With all that hangs on them: SQLite follows no foreign key in a migration.

    And what the model has learned on them, so that it is learned anew, without.
    """
    for table in _OF_TRIALS:
        connection.execute(sa.text(f"DELETE FROM {table} WHERE trial_id IN ({_SURVEYS})"))
    surveyed = "SELECT study_id FROM trials WHERE purpose = 'survey'"
    connection.execute(sa.text(f"DELETE FROM fits WHERE study_id IN ({surveyed})"))
    connection.execute(sa.text("DELETE FROM trials WHERE purpose = 'survey'"))


def _forget_surveys(connection: sa.Connection) -> None:
    studies = connection.execute(sa.text("SELECT id, document, submitted FROM studies")).all()
    change = sa.text(
        "UPDATE studies SET document = :document, submitted = :submitted WHERE id = :id"
    )
    for study, *documents in studies:
        document, submitted = (_without(text) for text in documents)
        if [document, submitted] != documents:
            new = {"id": study, "document": document, "submitted": submitted}
            connection.execute(change, new)


def _without(document: str | None) -> str | None:
    """The same without a survey."""
    if document is None or '"survey"' not in document:
        return document
    packed = json.loads(document)
    packed["value"]["search"].pop("survey", None)
    return json.dumps(packed, separators=(",", ":"))
