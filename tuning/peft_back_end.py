"""The reference back end: peft's LoRA layers, and a check that they are what was asked for.

The traps this steers around are peft's (0.21): patterns that match nothing only warn, overlapping
patterns change meaning when saved, and a rank changes the scale unless alpha follows it.
"""

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from torch.nn import Parameter

from rankspace.errors import TrialFailed
from tuning.initialisation import first_matrix

_ADAPTER = "default"


class PeftBackEnd:
    """Wraps linear layers one by one; serves every architecture peft does."""

    def attach(
        self, model: Any, ranks: Mapping[str, int], *, alpha_per_rank: float, seed: int
    ) -> "PeftAttached":
        """See ``tuning.back_ends.AdapterBackEnd``."""
        if not ranks:
            return PeftAttached(None, ())
        # Recorded, not raised: an exception inside peft would leave the model half wrapped.
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            wrapped = get_peft_model(model, lora_config(ranks, alpha_per_rank))
        attached = PeftAttached(wrapped, _trainable(model))
        try:
            _require_no_complaint([str(warning.message) for warning in caught])
            _check(model, ranks, alpha_per_rank, attached.parameters)
            _initialise(model, seed)
        except BaseException:
            attached.detach()
            raise
        return attached


class PeftAttached:
    """See ``tuning.back_ends.Attached``; ``wrapped`` is None where every rank is 0."""

    def __init__(self, wrapped: Any, parameters: Sequence[Parameter]) -> None:
        self._wrapped = wrapped
        self._parameters = parameters

    @property
    def parameters(self) -> Sequence[Parameter]:
        return self._parameters

    @property
    def matrices(self) -> Mapping[str, tuple[Parameter, Parameter]]:
        if self._wrapped is None:
            return {}
        layers = _layers(self._wrapped.get_base_model())
        return {
            name: (layer.lora_A[_ADAPTER].weight, layer.lora_B[_ADAPTER].weight)
            for name, layer in layers.items()
        }

    def save(self, directory: Path) -> None:
        """Write peft's two files; nothing where there is no adapter."""
        if self._wrapped is None:
            return
        config = self._wrapped.peft_config[_ADAPTER]
        # peft may have shortened the names to suffixes; the file states each module in full.
        config.target_modules = set(_layers(self._wrapped.get_base_model()))
        self._wrapped.save_pretrained(str(directory), save_embedding_layers=False)

    def detach(self) -> None:
        if self._wrapped is not None:
            self._wrapped.unload()
            self._wrapped = None
        self._parameters = ()


def lora_config(ranks: Mapping[str, int], alpha_per_rank: float) -> LoraConfig:
    """Return the configuration of one adapter per module: full names, no dropout, no bias."""
    most = max(ranks.values())
    patterns = {re.escape(name): rank for name, rank in ranks.items()}
    return LoraConfig(
        r=most,
        lora_alpha=cast(int, alpha_per_rank * most),  # peft divides it, whatever it is
        target_modules=list(ranks),
        rank_pattern=patterns,
        alpha_pattern={key: alpha_per_rank * rank for key, rank in patterns.items()},
        lora_dropout=0.0,
        bias="none",
        task_type="CAUSAL_LM",
    )


def _layers(model: Any) -> dict[str, Any]:
    return {name: part for name, part in model.named_modules() if isinstance(part, LoraLayer)}


def _trainable(model: Any) -> tuple[Parameter, ...]:
    return tuple(parameter for parameter in model.parameters() if parameter.requires_grad)


def _check(
    model: Any, ranks: Mapping[str, int], alpha_per_rank: float, parameters: Sequence[Parameter]
) -> None:
    layers = _layers(model)
    _require_equal("adapted modules", sorted(layers), sorted(ranks))
    for name, layer in layers.items():
        _require_equal(f"rank of {name}", layer.r[_ADAPTER], ranks[name])
        _require_equal(f"scale of {name}", layer.scaling[_ADAPTER], alpha_per_rank)
    expected = sum(
        rank * (layers[name].in_features + layers[name].out_features)
        for name, rank in ranks.items()
    )
    _require_equal("trainable parameters", sum(p.numel() for p in parameters), expected)
    types = {parameter.dtype for parameter in parameters}
    _require_equal("type of the adapters", types, {torch.float32})


def _require_no_complaint(messages: Sequence[str]) -> None:
    for message in messages:
        if "did not match" in message:
            raise TrialFailed(f"peft ignored a rank: {message}")


def _require_equal(what: str, found: object, asked: object) -> None:
    close = isinstance(found, float) and isinstance(asked, float) and abs(found - asked) < 1e-9
    if found != asked and not close:
        raise TrialFailed(
            f"peft made another adapter than asked for: {what} is {found}, not {asked}",
            hint="use the version of peft that pyproject.toml states",
        )


@torch.no_grad()
def _initialise(model: Any, seed: int) -> None:
    for name, layer in _layers(model).items():
        first = layer.lora_A[_ADAPTER].weight
        first.copy_(first_matrix(seed, name, *first.shape))
        layer.lora_B[_ADAPTER].weight.zero_()
