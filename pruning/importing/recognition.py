"""Which tool wrote a directory, by its files."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pruning.container.document import read_document
from pruning.container.manifest import NAME as MANIFEST
from pruning.container.shapes import CONFIG
from pruning.container.weights import locate
from pruning.importing import block_configs, multipruner, phi3
from pruning.importing.account import NO_ACCOUNT, Account
from rankspace.errors import InvalidContainer


def read_account(source: Path) -> Account:
    """Read what ``source`` says of itself in the words of a tool; a container needs no account.

    Raises:
        InvalidContainer: It says what no container holds, or says it twice.
    """
    if not (source / CONFIG).exists() or (source / MANIFEST).exists():
        return NO_ACCOUNT
    config = read_document(locate(source, CONFIG))
    if not phi3.is_phi3(config):
        return _read_tool(source, config)
    translation = phi3.translate(config)
    stock = translation.config or {}
    account = _read_tool(source, stock)
    told = account.translation
    split = replace(told, config=told.config or stock, split_from=translation.split_from)
    return replace(account, translation=split)


def _read_tool(source: Path, config: Mapping[str, Any]) -> Account:
    has_file = (source / multipruner.NAME).exists()
    beside = read_document(locate(source, multipruner.NAME)) if has_file else {}
    is_multipruner = multipruner.is_multipruner(beside)
    if config.get(block_configs.KEY) and is_multipruner:
        raise InvalidContainer(
            multipruner.NAME,
            str(source),
            f"says how the model was pruned, and {block_configs.FIELD} says it, too",
            fix="remove the one that is not of these weights",
        )
    if config.get(block_configs.KEY):
        return block_configs.read_block_configs(config)
    if is_multipruner:
        return multipruner.read_multipruner(beside, config)
    return NO_ACCOUNT
