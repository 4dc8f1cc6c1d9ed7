"""Which tool wrote a directory, by its files."""

from pathlib import Path

from pruning.container.document import read_document
from pruning.container.manifest import NAME as MANIFEST
from pruning.container.shapes import CONFIG
from pruning.container.weights import locate
from pruning.importing import block_configs, multipruner
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
