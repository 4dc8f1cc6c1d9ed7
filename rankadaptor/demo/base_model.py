"""The demo's base model: a small Llama, really trained, and cached by the hash of what made it."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from rankadaptor.demo.corpus import Corpus
from rankspace.recipe import Optimizer
from tuning.batches import Passes, schedule
from tuning.examples import windows
from tuning.training import train

OnStep = Callable[[int, float], None]


@dataclass(frozen=True, slots=True)
class Size:
    """Shape and training of the base model; part of the cache key."""

    vocabulary: int = 512
    hidden: int = 64
    ffn: int = 176
    blocks: int = 6
    heads: int = 8
    kv_heads: int = 4
    length: int = 64
    batch: int = 32
    steps: int = 600
    learning_rate: float = 4e-3
    seed: int = 0


def cached_base_model(
    corpus: Corpus, size: Size, cache: Path, on_step: OnStep
) -> tuple[Path, bool]:
    """Return the directory of the trained model, and whether it had been trained before.

    An interrupted training leaves nothing behind: the directory appears when it is complete.
    """
    target = cache / f"stdlib-llama-{_key(corpus, size)}"
    if target.is_dir():
        return target, True
    cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache, prefix=".training-") as folder:
        partial = Path(folder) / "model"
        _build(corpus, size, partial, on_step)
        try:
            partial.rename(target)
        except OSError:
            if not target.is_dir():  # else another demo was faster, with the same result
                raise
    return target, False


def _key(corpus: Corpus, size: Size) -> str:
    content = json.dumps([corpus.sha256, asdict(size), torch.__version__], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _build(corpus: Corpus, size: Size, directory: Path, on_step: OnStep) -> None:
    tokenizer = _train_tokenizer(corpus.pretraining, size.vocabulary)
    stream = tokenizer.encode(corpus.pretraining).ids
    torch.manual_seed(size.seed)
    model = LlamaForCausalLM(_config(size))
    _pretrain(model, stream, size, on_step)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    model.save_pretrained(directory)
    _wrap(tokenizer, size).save_pretrained(directory)


def _train_tokenizer(text: str, vocabulary: int) -> Any:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def _wrap(tokenizer: Any, size: Size) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
        model_max_length=2 * size.length,
    )


def _config(size: Size) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        intermediate_size=size.ffn,
        num_hidden_layers=size.blocks,
        num_attention_heads=size.heads,
        num_key_value_heads=size.kv_heads,
        head_dim=size.hidden // size.heads,
        max_position_embeddings=2 * size.length,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
    )


def _pretrain(model: Any, stream: list[int], size: Size, on_step: OnStep) -> None:
    examples = windows(stream, size.length)
    optimizer = Optimizer(learning_rate=size.learning_rate, warmup_steps=50, weight_decay=0.01)

    def observe(step: int, loss: float) -> bool:
        on_step(step, loss)
        return False

    train(
        model,
        list(model.parameters()),
        schedule(examples, size.batch, size.steps, size.seed),
        optimizer,
        steps=size.steps,
        passes=Passes(size.batch),
        on_step=observe,
    )
