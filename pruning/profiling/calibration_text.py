"""CalibrationText: the token windows on which pruning and profiling look at a model."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from rankspace.errors import InvalidInput
from tuning.reading.source import Source
from tuning.reading.stream import plain_text
from tuning.reading.text_file import beginning, decode

FIELD = "calibration.text"

READ_BYTES = 8_000_000
"""No more than this is read from the beginning of the text."""


@dataclass(frozen=True, slots=True)
class CalibrationText:
    """Which text, and how much of it.

    The defaults are LLM-Pruner's: 10 sequences of 64 tokens.

    Attributes:
        text: UTF-8 file, plain or of JSON rows with a ``text``; may be packed by gzip.
        samples: Windows to draw.
        length: Tokens of a window.
        seed: Of the draw.
    """

    text: Path
    samples: int = 10
    length: int = 64
    seed: int = 42

    def __post_init__(self) -> None:
        for name, least in (("samples", 1), ("length", 2)):
            value = getattr(self, name)
            if value < least:
                raise InvalidInput(name, value, "is too few", fix=f"use {least} or more")


def check_text(calibration: CalibrationText) -> None:
    """Read the text before a model is loaded for it, which may take minutes.

    Raises:
        InvalidInput: The file is not readable UTF-8.
    """
    _read(calibration.text)


def draw_windows(calibration: CalibrationText, tokenizer: PreTrainedTokenizerBase) -> torch.Tensor:
    """Draw windows that do not overlap, ``(samples, length)``, the same for the same seed.

    The text is one stream without special tokens, also where it spells one; a window may begin
    anywhere in it.

    Raises:
        InvalidInput: The file cannot be read, is no UTF-8 text, or too short.
    """
    stream = tokenizer.encode(
        _read(calibration.text),
        add_special_tokens=False,
        verbose=False,
        split_special_tokens=True,
    )
    available = len(stream) // calibration.length
    if available < calibration.samples:
        raise InvalidInput(
            FIELD,
            str(calibration.text),
            f"has {available} windows of {calibration.length} tokens, not {calibration.samples}",
            fix="give a longer text, or ask for fewer samples",
        )
    windows = torch.tensor(stream[: available * calibration.length])
    generator = torch.Generator().manual_seed(calibration.seed)
    chosen = torch.randperm(available, generator=generator)[: calibration.samples]
    return windows.view(available, calibration.length)[chosen]


def hash_windows(windows: torch.Tensor) -> str:
    """Return the SHA-256 of the token ids and the shape, in hexadecimal."""
    content = f"{tuple(windows.shape)}:{windows.flatten().tolist()}"
    return hashlib.sha256(content.encode()).hexdigest()


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = beginning(FIELD, path, file, READ_BYTES)
    except OSError as error:
        problem, fix = f"cannot be read: {error.strerror}", "give a UTF-8 text file"
        raise InvalidInput(FIELD, str(path), problem, fix=fix) from None
    is_whole = len(content) < READ_BYTES
    text = decode(FIELD, path, content, is_whole=is_whole)
    _, stream = plain_text(Source(FIELD, path), text, is_whole=is_whole)
    return stream
