"""Perplexity: exp of the mean loss per predicted token, over windows that do not overlap."""

import hashlib
import math
import sys
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rankspace.errors import InvalidInput
from tuning.control_tokens import spelled
from tuning.evaluation.likelihood import BATCH_TOKENS, OnProgress, log_likelihoods, silent
from tuning.evaluation.standard_error import standard_error
from tuning.evaluation.text_form import FIELD, TextForm
from tuning.examples import windows

MOST_LOSS = math.log(sys.float_info.max)
"""Nats; of more, the perplexity is no float64."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenStream:
    """A text as one model's tokenizer reads it.

    Attributes:
        name: Of the file.
        form: How its lines were joined.
        tokens: Ids, int32 ``(n,)``.
        special: How many of them the tokenizer put around the text: once, not in every window.
        control: How often the text spells a control token, which is then taken for one.
    """

    name: str
    form: TextForm
    tokens: NDArray[np.int32]
    special: int
    control: int


@dataclass(frozen=True, slots=True)
class Perplexity:
    """The perplexity of one text in windows of one length.

    Attributes:
        text: Name of the file.
        form: How its lines were joined.
        window: Tokens of a window; all but its first are predicted.
        tokens: Of the whole text.
        dropped: Tokens after the last whole window, which are not measured.
        beyond: Whole windows that a limit left out.
        special: See ``TokenStream``.
        control: See ``TokenStream``.
        tokens_hash: SHA-256 of the ids, in hexadecimal: what was measured.
        losses: Mean loss per predicted token of each window, in nats.
    """

    text: str
    form: TextForm
    window: int
    tokens: int
    dropped: int
    beyond: int
    special: int
    control: int
    tokens_hash: str
    losses: tuple[float, ...]

    @property
    def predicted(self) -> int:
        """Tokens that the value is a mean over."""
        return len(self.losses) * (self.window - 1)

    @property
    def mean_loss(self) -> float | None:
        """Per predicted token, in nats; None of a text shorter than a window."""
        return fmean(self.losses) if self.losses else None

    @property
    def value(self) -> float | None:
        """The perplexity; None of a text shorter than a window, or of a loss beyond any number."""
        loss = self.mean_loss
        return None if loss is None or loss > MOST_LOSS else math.exp(loss)

    @property
    def error(self) -> float | None:
        """Its standard error over windows, by the delta method; None of fewer than two.

        Windows of one article are alike, so it is rather too small.
        """
        error = standard_error(self.losses)
        if error is None or self.value is None:
            return None
        spread = self.value * error
        return spread if math.isfinite(spread) else None


def read_tokens(name: str, form: TextForm, text: str, tokenizer: Any) -> TokenStream:
    """Tokenise a whole text as published code does: in one go, by the tokenizer's own defaults.

    So a tokenizer that begins texts with a token does so once, in front of the first window; no
    other window has it. A control token spelled in the text (``<unk>`` in both data sets, where the
    tokenizer has it) is that token, for published numbers have it so.
    """
    ids = np.asarray(tokenizer.encode(text, verbose=False), dtype=np.int32)
    special = tokenizer.num_special_tokens_to_add()
    return TokenStream(name, form, ids, special, spelled(tokenizer, [text]))


def check_window(window: int) -> None:
    """Check that a window has a token to read and one to predict.

    Raises:
        InvalidInput: It has not.
    """
    if window < 2:
        raise InvalidInput("--window", window, "predicts nothing", fix="use 2 or more")


def check_whole(stream: TokenStream, window: int) -> None:
    """Check that a text has a whole window, before a model is loaded for it.

    Raises:
        InvalidInput: It is shorter.
    """
    if len(stream.tokens) < window:
        problem = f"has {len(stream.tokens):,} tokens, no whole window of {window:,}"
        raise InvalidInput(FIELD, stream.name, problem, fix="use a smaller --window, or more text")


def measure_perplexity(  # noqa: PLR0913  # what is measured, and how
    model: Any,
    stream: TokenStream,
    window: int,
    device: torch.device,
    *,
    limit: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
    on_progress: OnProgress = silent,
) -> Perplexity:
    """Measure a model on a text, window by window; every token after a window's first is predicted.

    As LLM-Pruner computes it (``LLMPruner/evaluator/ppl.py``, commit 23928e9), with the sum in
    float64. ``limit`` takes the first windows only. For the rest see ``log_likelihoods``.

    Raises:
        InvalidInput: See ``log_likelihoods``.
    """
    whole = windows(stream.tokens, window)
    taken = whole if limit is None else whole[:limit]
    found = log_likelihoods(
        model,
        taken,
        device,
        batch_tokens=batch_tokens,
        on_progress=on_progress,
        named=lambda index: f"{stream.name}, window {index + 1:,},",
    )
    return Perplexity(
        text=stream.name,
        form=stream.form,
        window=window,
        tokens=len(stream.tokens),
        dropped=len(stream.tokens) % window,
        beyond=len(whole) - len(taken),
        special=stream.special,
        control=stream.control,
        tokens_hash=hashlib.sha256(stream.tokens.astype("<i4").tobytes()).hexdigest(),
        losses=tuple(-value / (window - 1) for value in found),
    )
