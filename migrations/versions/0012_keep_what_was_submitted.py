"""keep what was submitted where no service of before rewrites it

Until now fields that came later lay beside the rest of a study's document, or with it, and whoever
did not know them lost them when it rewrote the document.
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

BESIDE = ("inputs", "paper")
JUDGED_BY = {"margin": 0.01, "least_gain": None, "controls": [], "rates": []}
"""What a verdict is judged by that nobody said anything of."""

STAND_INS = {"blend": "additive"}
"""Strategies that came later, with what a service of before proposes by."""


def upgrade() -> None:
    """Fill in what was submitted; the documents stay as they are, for services of before.

    What such a service took from an extended study's document is taken from what the document was
    before.
    """
    op.add_column("studies", sa.Column("request", sa.Text(), nullable=True))
    connection = op.get_bind()
    studies = connection.execute(sa.text("SELECT id, document, submitted FROM studies")).all()
    fill = sa.text("UPDATE studies SET request = :request WHERE id = :id")
    for study, document, submitted in studies:
        request = _request(json.loads(document), json.loads(submitted or document))
        if request is not None:
            connection.execute(fill, {"id": study, "request": _text(request)})


def downgrade() -> None:
    """Put back into the documents what services of before have lost of them."""
    connection = op.get_bind()
    found = sa.text("SELECT id, request, document, submitted FROM studies")
    change = sa.text(
        "UPDATE studies SET document = :document, submitted = :submitted WHERE id = :id"
    )
    for study, request, *documents in connection.execute(found).all():
        if request is not None:
            document, submitted = (
                text and _text(_older(json.loads(request), json.loads(text))) for text in documents
            )
            new = {"id": study, "document": document, "submitted": submitted}
            connection.execute(change, new)
    op.drop_column("studies", "request")


def _text(packed: dict[str, Any]) -> str:
    return json.dumps(packed, separators=(",", ":"))


def _request(document: dict[str, Any], submitted: dict[str, Any]) -> dict[str, Any] | None:
    """What was submitted; None of what is no study."""
    if "verify" not in submitted.get("value", {}):
        return None
    beside = {**document, **submitted}
    value = {**submitted["value"], **{name: beside[name] for name in BESIDE if name in beside}}
    value["verify"] = {**JUDGED_BY, **value["verify"], **beside.get("judged_by", {})}
    if "strategy" in beside:
        value["search"] = {**value["search"], "strategy": beside["strategy"]}
    return {"wire": submitted["wire"], "value": value}


def _older(request: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The same in the form of before, with what ``document`` says of what can change."""
    value, said = dict(request["value"]), document["value"]
    budget = {**value["search"]["budget"], "trials": said["search"]["budget"]["trials"]}
    value["search"] = {**value["search"], "budget": budget}
    fresh = {name: said["verify"][name] for name in ("seeds", "max_trials")}
    value["verify"] = {**value["verify"], **fresh}
    beside = {name: value.pop(name) for name in BESIDE if name in value}
    if "inputs" in document:
        beside["inputs"] = document["inputs"]
    beside["judged_by"] = {name: value["verify"].pop(name) for name in JUDGED_BY}
    strategy = value["search"].get("strategy")
    if strategy in STAND_INS:
        beside["strategy"] = strategy
        value["search"]["strategy"] = STAND_INS[strategy]
    return {"wire": request["wire"], "value": value, **beside}
