"""Reading a model's tokenizer from the files that were checked, and from no others."""

import hashlib
import itertools
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from pruning.container.contents import (
    GENERATION,
    TOKENIZER,
    TOKENIZER_CONFIG,
    TOKENIZER_FILES,
    Contents,
)
from pruning.container.document import read_document
from pruning.container.weights import locate
from rankspace.errors import InvalidContainer

SPECIAL = frozenset({TOKENIZER_CONFIG, "special_tokens_map.json"})
"""Files that say which tokens have a meaning."""

PROBE = """\
The quick brown fox didn't jump over the lazy dog's 27 sleepy puppies; nobody minded, did they?
"Ships," he said (in 1984), "are 3.5 to 12,000 tons - or 7%!"  Two  spaces,\ttab, and trailing \n
### Instruction:\nTranslate to French: I am reading a book.\n\n### Response:\nJe lis un livre.
def f(x, y=None):\n    return {"a": [x ** 2, y], 'b': x != y}  # 0xFF, snake_case, camelCase
<b>bold</b> & https://example.org/a?b=c#d user@example.org \\alpha_{i}^2 \\frac{1}{2} $5 €20 £3
Größe, naïve cafe\u0301, caf\u00e9, señor, Łódź, İstanbul, Привет мир, γειά σου, שלום, مرحبا
你好，世界。日本語のテキスト 한국어 ไทย हिन्दी
\U0001f600\U0001f469\u200d\U0001f52c \u00a0\u2003\u2028½ ① ﬁ Ⅳ ∑∫√
aaaaaaaaaaaaaaaa 1234567890123 !!!??? ... ---- ==== \r\n\r\n end"""
"""Words, numbers, code, spaces of all kinds, scripts: where two tokenizers differ, they show it."""


def read_tokenizer(contents: Contents) -> PreTrainedTokenizerBase:
    """Read ``tokenizer.json`` itself, and from the files beside it what its tokens mean.

    ``AutoTokenizer`` takes the class of the model's family, and that of Qwen2, say, splits text
    its own way whatever the file says; which files it opens depends on its version. So a plain
    class is shown a copy that holds ``TOKENIZER_FILES`` alone. A tokenizer that names no end token
    gets the one of the config or of the generation config.

    Raises:
        InvalidContainer: A library refuses it, or it has tokens the model has no row for.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name in TOKENIZER_FILES:
            if name in contents.hashes:
                _show(locate(contents.directory, name), Path(folder) / name)
        tokenizer = _read(Path(folder))
    tokenizer.name_or_path = str(contents.directory)
    check_tokens(tokenizer, contents.architecture.vocabulary)
    if tokenizer.eos_token is None:
        tokenizer.eos_token = next(_end_tokens(tokenizer, contents), None)
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


def check_ids(contents: Contents, tokenizer: PreTrainedTokenizerBase) -> None:
    """Check that ``PROBE`` has the ids that ``tokenizer.json`` alone gives it.

    Tokens that only a file beside it names split words of their own off, and nothing says which
    of the two the model was trained with.

    Raises:
        InvalidContainer: Naming the first text that is split otherwise.
    """
    alone = _parse(locate(contents.directory, TOKENIZER))
    alone.no_truncation()
    alone.no_padding()
    try:
        found, expected = tokenizer.encode(PROBE, verbose=False), alone.encode(PROBE).ids
    except Exception as error:  # noqa: BLE001 - the tokenizers library raises bare Exception
        fix = "save the tokenizer anew"
        raise InvalidContainer(TOKENIZER, str(error), "cannot read a text", fix=fix) from None
    if found != expected:
        pairs = itertools.zip_longest(found, expected)
        place = next(place for place, (one, other) in enumerate(pairs) if one != other)
        raise InvalidContainer(
            TOKENIZER_CONFIG,
            tokenizer.decode(found[place : place + 1]),
            f"is a token of it, or of a file beside it, that {TOKENIZER} reads otherwise",
            fix=f"take it out there, or write it into {TOKENIZER}: whichever the model was "
            "trained with",
        )


def tokenizer_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the SHA-256 of what it makes of ``PROBE`` and of its end token, in hexadecimal.

    Raises:
        InvalidContainer: It makes nothing of it.
    """
    try:
        made = [
            tokenizer.encode(PROBE, add_special_tokens=has_special, verbose=False)
            for has_special in (False, True)
        ]
    except Exception as error:  # noqa: BLE001 - the tokenizers library raises bare Exception
        fix = "save the tokenizer anew"
        raise InvalidContainer(TOKENIZER, str(error), "cannot read a text", fix=fix) from None
    return hashlib.sha256(json.dumps([made, tokenizer.eos_token_id]).encode()).hexdigest()


def _show(source: Path, copy: Path) -> None:
    """Copy a file, without the special tokens whose name is empty: transformers dies of them."""
    if source.name in SPECIAL:
        copy.write_text(json.dumps(_named(read_document(source))), encoding="utf-8")
    else:
        shutil.copyfile(source, copy)


def _named(document: Mapping[str, Any]) -> dict[str, Any]:
    named = {}
    for key, value in document.items():
        if key.endswith("_tokens") and isinstance(value, list):
            named[key] = [token for token in value if _content(token) != ""]
        elif not key.endswith("_token") or _content(value) != "":
            named[key] = value
    return named


def _content(token: Any) -> Any:
    return token.get("content") if isinstance(token, dict) else token


def _read(folder: Path) -> PreTrainedTokenizerBase:
    try:
        tokenizer: PreTrainedTokenizerBase = PreTrainedTokenizerFast.from_pretrained(
            str(folder),
            trust_remote_code=False,
            local_files_only=True,
            model_input_names=["input_ids", "attention_mask"],  # as the families' own classes
        )
    except Exception as error:  # noqa: BLE001 - as below, and whatever a value leads to
        _parse(folder / TOKENIZER)
        raise InvalidContainer(
            TOKENIZER_CONFIG,
            str(error),
            "transformers refuses it, or a file beside it",
            fix="save the tokenizer anew",
        ) from None
    return tokenizer


def _parse(file: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # noqa: BLE001 - the tokenizers library raises bare Exception
        raise InvalidContainer(
            TOKENIZER, str(error), "is not a tokenizer", fix="save the tokenizer anew"
        ) from None


def _end_tokens(tokenizer: PreTrainedTokenizerBase, contents: Contents) -> Iterator[str]:
    """Yield what config and generation config call the end, if the tokenizer takes it for special.

    Old conversions of LLaMA name the token that begins a text: that one ends none.
    """
    added = tokenizer.added_tokens_decoder
    for index in _end_ids(contents):
        if index in added and added[index].special and index != _begin(tokenizer):
            yield added[index].content


def _end_ids(contents: Contents) -> Iterator[int]:
    documents = [contents.architecture.config]
    if GENERATION in contents.hashes:
        documents.append(read_document(locate(contents.directory, GENERATION)))
    for document in documents:
        named = document.get("eos_token_id")
        for index in named if isinstance(named, list) else [named]:
            if type(index) is int:
                yield index


def _begin(tokenizer: PreTrainedTokenizerBase) -> int | None:
    try:
        return next(iter(tokenizer.encode("a", verbose=False)), None)
    except Exception:  # noqa: BLE001 - a vocabulary of words, and none for what is unknown
        return None
