"""The card of a pruned model: what of, how, and under which licence it may be passed on."""

from pathlib import Path

import yaml

from pruning.cards.licence import Licence, licence_of
from rankspace.redaction import as_markdown, visible

_CARD = """\
---
{head}---
# {title}, pruned

| | |
|---|---|
| made of | {title} |
| how | {how} |
| licence | {licence} |

Its blocks may differ in size, which no stock class loads: `pruning.container.load` does. What was
removed from which block stands in `pruned.json`.
"""

UNSTATED = "not stated by the model that it was made of: ask its author before you pass this on"


def pruned_card(source: Path, how: str) -> str:
    """Return the card of a container made of ``source``, whose licence it carries on.

    Args:
        source: Directory of a model, with a card or without; the model is called by its name.
        how: What was done to it.
    """
    licence, title = licence_of(source), source.resolve().name
    return _CARD.format(
        head=yaml.safe_dump(_head(licence, title), allow_unicode=True, sort_keys=True),
        title=as_markdown(title),
        how=as_markdown(how),
        licence=licence.markdown if licence else UNSTATED,
    )


def _head(licence: Licence | None, title: str) -> dict[str, object]:
    stated = licence.head if licence else {}
    return {"base_model": visible(title), **stated, "tags": ["pruned", "rankadaptor"]}
