"""keep each study's model path, and name the keys"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    path = sa.Column("model_path", sa.Text(), nullable=False, server_default="")
    op.add_column("studies", path)
    op.execute(
        "UPDATE studies SET model_path = "
        "(SELECT path FROM models WHERE models.id = studies.model_id)"
    )
    name = sa.Column("name", sa.String(length=100), nullable=False, server_default="")
    op.add_column("api_keys", name)


def downgrade() -> None:
    op.drop_column("api_keys", "name")
    op.drop_column("studies", "model_path")
