"""The tokens of a long text, made piece by piece: a library keeps 150 bytes of each while it works.

Pieces overlap. Two neighbours are joined where they agree on a run of tokens and on where these
stand: what a tokenizer makes of a place hangs on what is near, and where it does not, the pieces
do not agree, and the text is tokenised as a whole. So it is for a tokenizer that may drop
characters, after which the library's places are wrong, or that weighs a whole stretch of text at
once (Unigram).
"""

from collections.abc import Iterator
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from tokenizers import models, pre_tokenizers

PIECE = 2**18
"""Characters of a piece."""

OVERLAP = 2**11
"""Characters that it shares with the next one."""

AGREEING = 64
"""Tokens of a run on which two pieces have to agree."""

_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
"""What a tokenizer that falls back to bytes calls them."""

Ids: TypeAlias = NDArray[np.int32]
_Piece: TypeAlias = tuple[Ids, NDArray[np.int64]]
"""Tokens, and where in the text each begins."""


def tokens_of(tokenizer: Any, text: str, piece: int = PIECE, overlap: int = OVERLAP) -> Ids:
    """Return the tokens of ``text``, int32 ``(n,)``, without any that begin or end it.

    Control tokens that are spelled in it are text.
    """
    if len(text) <= piece or not _may_be_divided(tokenizer):
        return _whole(tokenizer, text)
    joined = _joined(_pieces(tokenizer, text, piece, overlap))
    return _whole(tokenizer, text) if joined is None else joined


def _may_be_divided(tokenizer: Any) -> bool:
    """Whether it merges what is near (BPE) and has a token for everything: none is dropped."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    model = getattr(backend, "model", None)
    if backend is None or not isinstance(model, models.BPE):
        return False
    complete = list[tuple[str, ...]]()
    if model.unk_token is not None:
        complete.append((model.unk_token,))
    if model.byte_fallback:
        complete.append(_BYTES)
    if _is_byte_level(backend.pre_tokenizer):
        complete.append(tuple(pre_tokenizers.ByteLevel.alphabet()))
    return any(all(model.token_to_id(one) is not None for one in each) for each in complete)


def _is_byte_level(step: Any) -> bool:
    if isinstance(step, pre_tokenizers.Sequence):
        return any(_is_byte_level(each) for each in cast("Any", step))  # its stub has no items
    return isinstance(step, pre_tokenizers.ByteLevel)


def _whole(tokenizer: Any, text: str) -> Ids:
    return np.asarray(_call(tokenizer, text)["input_ids"], dtype=np.int32)


def _pieces(tokenizer: Any, text: str, piece: int, overlap: int) -> Iterator[_Piece]:
    start = 0
    while True:
        made = _call(tokenizer, text[start : start + piece], return_offsets_mapping=True)
        places = np.asarray(made["offset_mapping"], dtype=np.int64).reshape(-1, 2)[:, 0] + start
        yield np.asarray(made["input_ids"], dtype=np.int32), places
        if start + piece >= len(text):
            return
        start += piece - overlap


def _call(tokenizer: Any, text: str, **options: Any) -> Any:
    return tokenizer(
        text,
        verbose=False,
        split_special_tokens=True,
        add_special_tokens=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        **options,
    )


def _joined(pieces: Iterator[_Piece]) -> Ids | None:
    parts = list[Ids]()
    ids, places = next(pieces)
    for following, its_places in pieces:
        seam = _seam((ids, places), (following, its_places))
        if seam is None:
            return None
        parts.append(ids[: seam[0]])
        ids, places = following[seam[1] :], its_places[seam[1] :]
    return np.concatenate([*parts, ids])


def _seam(one: _Piece, other: _Piece) -> tuple[int, int] | None:
    """Return the middle of the first long run on which both agree, in either's tokens."""
    (ids, places), (following, its_places) = one, other
    starts = np.searchsorted(places, its_places)
    for there, here in enumerate(starts.tolist()):
        if here + AGREEING > len(ids):
            return None
        ours, theirs = slice(here, here + AGREEING), slice(there, there + AGREEING)
        if np.array_equal(ids[ours], following[theirs]) and np.array_equal(
            places[ours], its_places[theirs]
        ):
            return here + AGREEING // 2, there + AGREEING // 2
    return None
