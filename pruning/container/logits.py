"""Logits on fixed tokens: whether a loaded model still answers as it did when written."""

import torch
from transformers import PreTrainedModel

from pruning.container.manifest import NAME, LogitCheck
from rankspace.errors import InvalidContainer

TOKENS = 16
ENTRIES = 64
STRIDE = 7919  # a prime, so that the ids spread over any vocabulary
TOLERANCE = 1e-3
"""Allowed difference, relative to the largest stored logit; devices sum in another order."""
HALF_TOLERANCE = 6e-2


def record_logits(model: PreTrainedModel) -> LogitCheck:
    """Compute the answer to keep.

    Raises:
        InvalidContainer: It is not finite.
    """
    vocabulary = int(model.config.vocab_size)
    tokens = tuple(STRIDE * (i + 1) % vocabulary for i in range(TOKENS))
    entries = tuple(range(0, vocabulary, max(1, vocabulary // ENTRIES)))[:ENTRIES]
    logits = _answer(model, tokens, entries)
    if not torch.isfinite(logits).all():
        raise InvalidContainer(
            "logits",
            "NaN or infinity",
            "the model does not answer with numbers",
            fix="check its weights; Llama-2 in float16 overflows, bfloat16 does not",
        )
    dtype = str(model.dtype).removeprefix("torch.")
    return LogitCheck(tokens, entries, tuple(map(float, logits)), dtype)


def check_logits(model: PreTrainedModel, check: LogitCheck) -> None:
    """Compare the model's answer with the stored one.

    Raises:
        InvalidContainer: They differ by more than arithmetic explains.
    """
    vocabulary = int(model.config.vocab_size)
    if not all(0 <= i < vocabulary for i in (*check.tokens, *check.entries)):
        raise _wrong("names tokens outside the vocabulary", vocabulary)
    stored = torch.tensor(check.logits)
    difference = (_answer(model, check.tokens, check.entries) - stored).abs().max().item()
    full = torch.get_float32_matmul_precision() == "highest"  # else TF32, as coarse as float16
    exact = full and check.dtype == "float32" and model.dtype == torch.float32
    tolerance = TOLERANCE if exact else HALF_TOLERANCE
    allowed = tolerance * max(1.0, stored.abs().max().item())
    if not difference <= allowed:
        raise _wrong(f"the loaded model's differ by more than {allowed:.2g}", difference)


@torch.no_grad()
def _answer(
    model: PreTrainedModel, tokens: tuple[int, ...], entries: tuple[int, ...]
) -> torch.Tensor:
    """Return the logits of ``entries`` at the last position, float32 on the CPU."""
    training = model.training
    model.train(False)
    try:
        ids = torch.tensor([tokens], device=model.device)
        logits = model(input_ids=ids, use_cache=False).logits[0, -1]
    finally:
        model.train(training)
    answer: torch.Tensor = logits.float().cpu()[list(entries)]
    return answer


def _wrong(problem: str, value: object) -> InvalidContainer:
    return InvalidContainer(
        f"{NAME}.check.logits", value, problem, fix="write the container anew from its source"
    )
