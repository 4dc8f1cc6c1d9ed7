"""What people point at that is no model yet, known by its names alone; nothing is opened."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from rankspace.errors import InvalidContainer

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
BESIDE = frozenset({"training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"})
"""Pickles that a training leaves beside a model's weights."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """What a tool leaves behind: files (or parts of names of tensors), and the way from there."""

    pattern: str
    is_what: str
    fix: str


DIRECTORIES = (
    Leaving(
        "adapter_config.json",
        "holds a PEFT adapter and no model",
        "give the directory of the model it was trained on; or merge both with "
        "PeftModel.merge_and_unload and give what save_pretrained writes",
    ),
    Leaving(
        "consolidated.*.pth",
        "holds weights in Meta's own form",
        "convert them with transformers' convert_llama_weights_to_hf",
    ),
    Leaving(
        "*.gguf",
        "holds a GGUF file, which is quantised for llama.cpp",
        "give the safetensors model it was made from",
    ),
    Leaving(
        "global_step*",
        "holds a training state of DeepSpeed",
        "run its zero_to_fp32.py with --safe_serialization, beside config.json and tokenizer.json",
    ),
    Leaving(
        "pytorch_model_fsdp*",
        "holds a training state of FSDP",
        "merge it with `accelerate merge-weights`, beside config.json and tokenizer.json",
    ),
)

TENSORS = (
    *(
        Leaving(
            part,
            "is part of an adapter that is not merged into the weights",
            "call PeftModel.merge_and_unload and save_pretrained, and give that directory",
        )
        for part in (".lora_A.", ".lora_B.", ".base_layer.", ".modules_to_save.")
    ),
    *(
        Leaving(
            part,
            "is left by torch.nn.utils.prune, whose masks are not applied yet",
            "call torch.nn.utils.prune.remove(module, 'weight') on every module and save again",
        )
        for part in (".weight_orig", ".weight_mask")
    ),
)


def refuse_known(directory: Path) -> None:
    """Say what ``directory`` is, if it is known to be something else than a model.

    Raises:
        InvalidContainer: It is.
    """
    for leaving in DIRECTORIES:
        if any(directory.glob(leaving.pattern)):
            raise InvalidContainer("model", str(directory), leaving.is_what, fix=leaving.fix)
    found = (path.name for path in directory.iterdir() if path.suffix in PICKLES)
    pickles = sorted(name for name in found if name not in BESIDE)
    if pickles:
        raise InvalidContainer(
            "weights",
            pickles[0],
            "is a pickle (LLM-Pruner writes one), which can run any code when opened, and is not "
            "opened here",
            fix="run rankadaptor adopt DIRECTORY CONTAINER --trust-pickle, which reads it as data; "
            "or load it where you trust it, call model.save_pretrained(DIRECTORY, "
            "safe_serialization=True), give the tokenizer's files with it, and run: "
            "rankadaptor adopt DIRECTORY CONTAINER",
        )


def refuse_leavings(names: Collection[str]) -> None:
    """Say what tensors of these ``names`` are, if they are known to be no model's.

    Raises:
        InvalidContainer: They are.
    """
    for name in names:
        for leaving in TENSORS:
            if leaving.pattern in name:
                raise InvalidContainer("weights", name, leaving.is_what, fix=leaving.fix)
