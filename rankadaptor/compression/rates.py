"""What ``--rates`` means: a rule by its name, or a file with a rate for each block."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pruning.container.contents import Contents
from pruning.container.document import parse_document
from pruning.rates.document import given_from
from pruning.rates.rates import overall, sizes_of
from pruning.rates.rules import RULES, Given, RateRule, parse_rule
from rankadaptor.blocks import parse_blocks
from rankadaptor.strict_yaml import UnreadableYaml, read_yaml
from rankspace.errors import InvalidContainer, InvalidInput, UnreadableInput, glimpse

RATIO = 0.5
MAX_BYTES = 1_000_000


def rule_of(text: str) -> RateRule:
    """Return the rule that ``text`` names, or the rates in the file of that name.

    Raises:
        InvalidInput: It is neither, or the file holds no rates.
    """
    rule = parse_rule(text)
    return given_from(_document(text)) if rule is None else rule


def chosen_blocks(
    text: str | None, rule: RateRule, count: int, usual: Callable[[int], tuple[int, ...]]
) -> tuple[int, ...]:
    """Return the blocks to prune of ``count``: of ``text``, those a file has rates for, or usual.

    Raises:
        InvalidInput: The model lacks one of them.
    """
    if text is not None:
        return parse_blocks(text, count)
    if not isinstance(rule, Given):
        return usual(count)
    beyond = [index for index in rule.given if index >= count]
    if beyond:
        index = beyond[0]
        problem, fix = "belongs to no block of the model", f"use blocks 0 to {count - 1}"
        raise InvalidInput(f"rates.{index}", rule.given[index], problem, fix=fix)
    return tuple(rule.given)


def overall_ratio(
    asked: float | None, rule: RateRule, contents: Contents, blocks: tuple[int, ...]
) -> float:
    """Return the share to remove of all ``blocks`` together.

    Raises:
        InvalidInput: Rates that are all 0, or all 1.
    """
    if asked is not None or not isinstance(rule, Given) or set(rule.given) != set(blocks):
        return RATIO if asked is None else asked
    found = overall(rule.given, sizes_of(contents.structure, contents.architecture.hidden, blocks))
    if not 0.0 < found < 1.0:
        problem = "leave nothing of any block" if found else "cut nothing of any block"
        fix = "give a block a rate between 0 and 1"
        raise InvalidInput("rates", dict(rule.given), problem, fix=fix)
    return found


def _document(text: str) -> Any:
    path = Path(text)
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UnreadableInput("rates", text, "is too large for rates", fix="give another file")
        return _parsed(content)
    except OSError as error:
        problem = f"is no rule, and no file that can be read: {error.strerror}"
        fix = f"use one of {', '.join(RULES)}, or a YAML or JSON file"
        raise InvalidInput("rates", text, problem, fix=fix) from None
    except UnicodeDecodeError:
        raise UnreadableInput("rates", text, "is not UTF-8 text", fix="save as UTF-8") from None
    except UnreadableYaml as error:
        raise UnreadableInput("rates", text, str(error), fix="mend the YAML") from None


def _parsed(content: bytes) -> Any:
    """As JSON, whose small numbers (5e-05) YAML takes for text; as YAML what is no JSON."""
    try:
        return parse_document("rates", content)
    except InvalidContainer:
        return read_yaml(content.decode())


def other_method(rule: RateRule, method: str) -> str | None:
    """Say that rates were searched for another method; None where nothing says so."""
    asked = rule.origin.get("method") if isinstance(rule, Given) else None
    if asked in (None, method):
        return None
    return f"these rates were searched with {glimpse(asked)}, not {method}"
