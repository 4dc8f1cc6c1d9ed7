"""Proof that the exported adapter is what was measured: load it as a stranger would."""

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
    loaded = load(Path(study.model), device="cpu")
    dataset = prepare(study.recipe.data, study.recipe.sequence_length, loaded.tokenizer)
    with warnings.catch_warnings():
        # peft 0.21 asks transformers 5.23 by a name that version 6 will drop.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        model = PeftModel.from_pretrained(loaded.model, str(adapter)).eval()
    return mean_loss(model, dataset.held_out[Split.FINAL], torch.device("cpu"))
