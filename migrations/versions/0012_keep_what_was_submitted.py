"""keep what was submitted where no service of before rewrites it

Until now fields that came later lay beside the rest of a study's document, or with it, and whoever
did not know them lost them when it rewrote the document.
"""

import json
import logging
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

log = logging.getLogger(__name__)

OVER = ("done", "cancelled")
"""States of studies whose verdict, if any, stands."""

MOST_NAMED = 20
"""Studies that one message names."""

BESIDE = ("inputs", "paper")
JUDGED_BY = {
    "margin": 0.01,
    "least_gain": None,
    "controls": [],
    "rates": [],
    "at": "trial",
    "recipe_seeds": 3,
}
"""What a verdict is judged by that nobody said anything of."""

STAND_INS = {"blend": "additive"}
"""Strategies that came later, with what a service of before proposes by."""


def upgrade() -> None:
    """Fill in what was submitted; the documents stay as they are, for services of before.

    What such a service took from an extended study's document is taken from what the document was
    before. What else one had taken is gone, and what is left counts as submitted.
    """
    op.add_column("studies", sa.Column("request", sa.Text(), nullable=True))
    connection = op.get_bind()
    found = sa.text("SELECT id, state, document, submitted FROM studies ORDER BY created_at, id")
    fill = sa.text("UPDATE studies SET request = :request WHERE id = :id")
    unjudged = []
    for study, state, *documents in connection.execute(found).all():
        document, submitted = (json.loads(text or documents[0]) for text in documents)
        request = _request(document, submitted)
        if request is None:
            continue
        connection.execute(fill, {"id": study, "request": _text(request)})
        if state not in OVER and "judged_by" not in {**document, **submitted}:
            unjudged.append(study)
    if unjudged:
        _tell(unjudged)


def downgrade() -> None:
    """Put back into the documents what services of before have lost of them."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":  # what is changed meanwhile would be lost
        op.execute("LOCK TABLE studies IN ACCESS EXCLUSIVE MODE")
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


def _tell(studies: list[str]) -> None:
    """Say whose verdicts, yet to come, may be judged by less than was submitted."""
    named = ", ".join(studies[:MOST_NAMED]) + (", …" if len(studies) > MOST_NAMED else "")
    log.warning(
        "%d studies that are not over do not say by what they are judged (verify.margin, "
        "least_gain, controls, rates): a service of before schema 0010 stored them, or took it "
        "from them. They are judged as if nobody had said anything of it, and what else lay beside "
        "(paper, the strategy blend) may be gone as well: %s",
        len(studies),
        named,
    )


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
