"""Held-out losses taken as a stranger would: of any model, and of the exported adapter anew."""

import warnings
from pathlib import Path

import torch
from peft import PeftModel

from pruning.container.container import load
from rankspace.study import Study
from rankspace.trial import Split
from tuning.data import prepare
from tuning.measuring import mean_loss


def reloaded_loss(study: Study, adapter: Path) -> float:
    """Return the final held-out loss of the container with the adapter, in nats per token."""
    return held_out_loss(study, Path(study.model), adapter)


def held_out_loss(study: Study, model: Path, adapter: Path | None = None) -> float:
    """Return the final held-out loss of a model of the study's tokenizer, in nats per token."""
    loaded = load(model, device="cpu")
    dataset = prepare(study.recipe.data, study.recipe.sequence_length, loaded.tokenizer)
    held_out = dataset.held_out[Split.FINAL]
    if adapter is None:
        return mean_loss(loaded.model, held_out, torch.device("cpu"))
    with warnings.catch_warnings():
        # peft 0.21 asks transformers 5.23 by a name that version 6 will drop.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        tuned = PeftModel.from_pretrained(loaded.model, str(adapter)).eval()
    return mean_loss(tuned, held_out, torch.device("cpu"))
