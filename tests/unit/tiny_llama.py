"""Fixtures that a conftest imports: a random tiny Llama, data for it, assignments on them."""

import gc
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from pruning.container.container import load, write
from rankspace import Assignment, Layer, PrunedModel, Purpose, RankVector
from rankspace.recipe import Batch, Data, Optimizer, Recipe
from rankspace.trial import Split
from tuning.factored.linear import FactoredLinear
from tuning.lora.places import put

WORDS = ["the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "tree", "and", "then"]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def imported_for_good() -> Iterator[None]:
    """Spare every collection, of which memory that has run out needs some, what torch imported."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tiny-llama")
    _tokenizer().save_pretrained(str(directory))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=258,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=128,
        bos_token_id=256,
        eos_token_id=257,
        tie_word_embeddings=False,
    )
    LlamaForCausalLM(config).save_pretrained(str(directory))
    return directory


FACTORS = {
    "model.layers.0.self_attn.q_proj": 5,
    "model.layers.0.self_attn.k_proj": 3,
    "model.layers.1.self_attn.o_proj": 7,
    "model.layers.1.mlp.down_proj": 9,
    "model.layers.2.self_attn.v_proj": 16,
}
"""Ranks of what ``factored`` keeps as two thin matrices: square and not, one of full rank."""


def factored(directory: Path, to: Path) -> Path:
    """Write to ``to`` a container of the model in ``directory`` with some matrices as factors."""
    loaded = load(directory)
    for name, rank in FACTORS.items():
        weight = loaded.model.get_submodule(name).weight
        assert isinstance(weight, torch.Tensor)
        u, s, v = torch.linalg.svd(weight, full_matrices=False)
        put(loaded.model, name, FactoredLinear(u[:, :rank] * s[:rank], v[:rank]))
    write(loaded.model, loaded.tokenizer, to, provenance={})
    return to


@pytest.fixture(scope="session")
def description(model_directory: Path) -> PrunedModel:
    return load(model_directory).description


@pytest.fixture(scope="session")
def tokenizer(model_directory: Path) -> Any:
    return load(model_directory).tokenizer


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "text.txt"
    path.write_text(_sentences(1500), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def instruction_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    rows = [
        {
            "instruction": f"Say {i}",
            "input": "now" if i % 3 else "",
            "output": _sentences(3 + i % 5, i),
        }
        for i in range(80)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def assign(
    model_directory: Path, description: PrunedModel, text_file: Path
) -> Callable[..., Assignment]:
    """Return a maker of assignments; keyword arguments replace fields."""
    layers = tuple(
        Layer(matrix.name, matrix.parameters_per_rank, matrix.block, matrix.module)
        for matrix in description.matrices
    )
    recipe = Recipe(
        Data(str(text_file), "text", held_out=20),
        sequence_length=32,
        batch=Batch(examples=8, micro=8),
        optimizer=Optimizer(learning_rate=1e-2),
    )
    base = Assignment(
        trial_id=1,
        token=1,
        study_id="st_1",
        study_name="tiny",
        purpose=Purpose.SEARCH,
        model_path=str(model_directory),
        model_fingerprint=description.fingerprint,
        recipe=recipe,
        layers=layers,
        rank_vector=RankVector(tuple(i % 4 for i in range(len(layers)))),
        seed=0,
        steps=6,
        epochs=0,
        split=Split.SELECTION,
        keep_adapter=False,
        lease_seconds=60.0,
        heartbeat_seconds=20.0,
    )
    return lambda **changes: replace(base, **changes)


def _sentences(words: int, seed: int = 0) -> str:
    chooser = random.Random(seed)
    return " ".join(chooser.choice(WORDS) for _ in range(words))


def _tokenizer() -> Any:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: index for index, character in enumerate(alphabet)}
    bare = Tokenizer(models.BPE(vocab={**vocabulary, "<s>": 256, "</s>": 257}, merges=[]))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    fast: Any = PreTrainedTokenizerFast
    return fast(tokenizer_object=bare, bos_token="<s>", eos_token="</s>")
