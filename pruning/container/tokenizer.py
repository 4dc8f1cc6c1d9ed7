"""Reading a model's tokenizer from the files that were checked, and from no others."""

import shutil
import tempfile
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from pruning.container.contents import CONFIG, TOKENIZER, TOKENIZER_FILES, Contents
from rankspace.errors import InvalidContainer


def read_tokenizer(contents: Contents) -> PreTrainedTokenizerBase:
    """Read the tokenizer of a directory that was checked.

    Which files ``AutoTokenizer`` opens depends on its version and on the tokenizer's class. It is
    therefore shown a copy that holds ``TOKENIZER_FILES`` and the config alone.

    Raises:
        InvalidContainer: transformers refuses it, or it has tokens the model has no row for.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name in (CONFIG, *TOKENIZER_FILES):
            if name in contents.hashes:
                shutil.copyfile(contents.directory / name, Path(folder) / name)
        tokenizer = _read(folder)
    tokenizer.name_or_path = str(contents.directory)
    check_tokens(tokenizer, contents.architecture.vocabulary)
    return tokenizer


def check_tokens(tokenizer: PreTrainedTokenizerBase, vocabulary: int) -> None:
    """Check that every token has a row in an embedding of ``vocabulary`` rows.

    Raises:
        InvalidContainer: Naming the token with the highest id.
    """
    ids = tokenizer.get_vocab()
    last = max(ids, key=lambda token: ids[token], default=None)
    if last is not None and ids[last] >= vocabulary:
        raise InvalidContainer(
            TOKENIZER,
            last,
            f"has id {ids[last]}, but the embedding {vocabulary} rows",
            fix="give the tokenizer of this model, or enlarge the model's embedding first",
        )


def _read(folder: str) -> PreTrainedTokenizerBase:
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    except Exception as error:  # noqa: BLE001 - the tokenizers library raises bare Exception
        raise InvalidContainer(
            TOKENIZER, str(error), "is not a tokenizer", fix="save the tokenizer anew"
        ) from None
    return tokenizer
