"""Block lists on the command line: ``4-29``, ``1,3,5``, ``0-2,7``."""

from rankspace.errors import InvalidInput


def parse_blocks(text: str | None, count: int) -> tuple[int, ...]:
    """Return the rising indices ``text`` names among ``count`` blocks.

    Without a text: LLM-Pruner's choice, all but the first four and the last two; models of fewer
    than twelve blocks spare the first and the last.

    Raises:
        InvalidInput: Not a list of blocks, or blocks the model does not have.
    """
    if text is None:
        return tuple(range(4, count - 2) if count >= 12 else range(1, max(2, count - 1)))
    chosen = {index for part in text.split(",") for index in _range(text, part.strip())}
    if not chosen or max(chosen) >= count:
        raise InvalidInput(
            "blocks", text, f"the model has blocks 0 to {count - 1}", fix=f"use 1-{count - 2}"
        )
    return tuple(sorted(chosen))


def _range(text: str, part: str) -> range:
    first, dash, last = part.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise InvalidInput("blocks", text, f"{part!r} is not a block", fix="write 4-29 or 1,3,5")
    return range(int(first), int(last if dash else first) + 1)
