"""What is written runs in a real llama.cpp, and answers as torch does."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Olmo2Config,
    Olmo2ForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from pruning.container import container
from pruning.container.assembly import blocks_of, matrix_of, read_structure
from pruning.container.container import LoadedModel
from pruning.container.tokenizer import PROBE
from pruning.methods.surgery import Kept, shrink
from pruning.publishing.form import Form
from pruning.publishing.gguf.byte_level import SPLITS
from pruning.publishing.gguf.file import write_gguf
from pruning.publishing.gguf.layout import interleaved, layout_of, rope_factors
from pruning.publishing.publication import publish
from rankspace.errors import InvalidInput
from tests.unit.pruning.publishing.conftest import Recovered
from tests.unit.pruning.publishing.llama_cpp import LlamaCpp
from tests.unit.pruning.publishing.test_vocabulary import byte_level
from tests.unit.pruning.removed.conftest import remove

pytestmark = pytest.mark.slow

GGUFReader: Any = pytest.importorskip("gguf", reason="pip install 'rankadaptor[gguf]'").GGUFReader

PROMPT = list(range(5, 35))

SIZES: dict[str, Any] = {
    "vocab_size": 264,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "eos_token_id": 258,
    "initializer_range": 0.3,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
SPLIT_OF = {name: pattern for pattern, name in SPLITS.items()}

CASES: Mapping[str, tuple[Callable[[], PreTrainedModel], Callable[[], Any]]] = {
    "llama": (lambda: LlamaForCausalLM(LlamaConfig(**SIZES)), byte_level),
    "llama 3": (
        lambda: LlamaForCausalLM(LlamaConfig(**SIZES, rope_parameters=LLAMA3)),
        lambda: byte_level(SPLIT_OF["llama-bpe"], ignore_merges=True),
    ),
    "llama with biases": (
        lambda: LlamaForCausalLM(LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True)),
        byte_level,
    ),
    "mistral": (lambda: MistralForCausalLM(MistralConfig(**SIZES)), byte_level),
    "qwen2": (
        lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES, tie_word_embeddings=True)),
        lambda: byte_level(SPLIT_OF["qwen2"]),
    ),
}


def made(case: str, directory: Path, *, is_cut: bool) -> LoadedModel:
    """Write and load a random model of ``case``; cut unevenly or left whole."""
    torch.manual_seed(0)
    make, tokenizer = CASES[case]
    model = make()
    for name, tensor in model.named_parameters():
        if "bias" in name:
            torch.nn.init.normal_(tensor)
    model.requires_grad_(False)
    model.train(False)
    if is_cut:
        shrink(model, 1, Kept((2, 3), (1,), tuple(range(20))))
        shrink(model, 2, Kept((0, 2), (0, 1), tuple(range(7, 40))))
    container.write(model, tokenizer(), directory, provenance={})
    return container.load(directory)


def written(loaded: LoadedModel, source: Path, target: Path, origin: Any) -> Path:
    own = replace(origin, fingerprint=loaded.description.fingerprint)
    (target.parent / "no-adapter").mkdir(exist_ok=True)
    publish(source, target.parent / "no-adapter", target, Form.GGUF, own)
    return target / "model.gguf"


def published(loaded: LoadedModel, source: Path, target: Path, origin: Any) -> LlamaCpp:
    return LlamaCpp(written(loaded, source, target, origin))


@torch.no_grad()
def greedy(model: PreTrainedModel, prompt: list[int], tokens: int) -> list[int]:
    ids = list(prompt)
    for _ in range(tokens):
        ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


@torch.no_grad()
def assert_alike(
    engine: LlamaCpp, model: PreTrainedModel, prompt: list[int], near: float = 0.05
) -> None:
    """Compare the whole distribution of the next token; keys and values are float16 there."""
    rows = torch.log_softmax(model(input_ids=torch.tensor([prompt])).logits[0], -1)
    for end in (1, len(prompt) // 2, len(prompt)):
        found = engine.logprobs(prompt[:end], rows.shape[1], then=0)
        assert len(found) == rows.shape[1]
        theirs = torch.tensor([found[index] for index in range(rows.shape[1])])
        torch.testing.assert_close(theirs, rows[end - 1], rtol=0.0, atol=near)


def assert_same_tokens(engine: LlamaCpp, tokenizer: Any) -> None:
    special = tokenizer.eos_token
    for text in (PROBE, f" {PROBE}", f"{special}a{special} b  {special}"):
        assert engine.tokens_of(text, special=True) == tokenizer(text)["input_ids"]


@torch.no_grad()
def test_a_recovered_uneven_model_runs_and_agrees(uneven: Recovered, tmp_path: Path) -> None:
    publish(uneven.source, uneven.adapter, tmp_path / "g", Form.GGUF, uneven.origin)
    publish(uneven.source, uneven.adapter, tmp_path / "c", Form.CONTAINER, uneven.origin)
    merged = container.load(tmp_path / "c")
    engine = LlamaCpp(tmp_path / "g" / "model.gguf")
    prompt = merged.tokenizer("Once upon a time")["input_ids"]
    assert engine.continued(prompt, 24) == greedy(merged.model, prompt, 24)
    ids = merged.tokenizer("Lily and Tom went to the park. They saw a big dog.")["input_ids"]
    truth = torch.log_softmax(merged.model(input_ids=torch.tensor([ids])).logits[0], -1)
    ours = [-float(truth[at - 1, ids[at]]) for at in range(1, len(ids))]
    theirs = [-engine.logprobs(ids[:at], 512, then=260)[ids[at]] for at in range(1, len(ids))]
    ratio = math.exp(sum(theirs) / len(theirs) - sum(ours) / len(ours))
    assert ratio == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("is_cut", [True, False], ids=["cut", "whole"])
@pytest.mark.parametrize("case", CASES)
def test_every_family_agrees(case: str, is_cut: bool, even: Recovered, tmp_path: Path) -> None:
    loaded = made(case, tmp_path / "model", is_cut=is_cut)
    engine = published(loaded, tmp_path / "model", tmp_path / "gguf", even.origin)
    prompt = loaded.tokenizer("then the 1234 cats sat; the end")["input_ids"]
    assert_alike(engine, loaded.model, prompt)
    assert_same_tokens(engine, loaded.tokenizer)


@pytest.mark.parametrize("index", [1, 2])
def test_a_block_without_attention_agrees(index: int, even: Recovered, tmp_path: Path) -> None:
    halved = _halved(index, tmp_path, heads=0, kv_heads=0)
    engine = published(halved, tmp_path / "halved", tmp_path / "gguf", even.origin)
    assert_alike(engine, halved.model, PROMPT)
    assert engine.continued(PROMPT, 24) == greedy(halved.model, PROMPT, 24)


NO_ATTENTION, NO_MLP = {"heads": 0, "kv_heads": 0}, {"ffn": 0}


@pytest.mark.parametrize(
    ("index", "sizes", "problem"),
    [
        (0, NO_ATTENTION, "block 0 has no attention: llama.cpp reads the width of a head"),
        (0, NO_MLP, "block 0 has no MLP: llama.cpp would leave out its attention, too"),
        (1, NO_MLP, "block 1 has no MLP"),
        (2, NO_MLP, "block 2 has no MLP"),
    ],
)
def test_halves_that_llama_cpp_would_not_leave_out_alone_are_refused(
    index: int, sizes: dict[str, int], problem: str, even: Recovered, tmp_path: Path
) -> None:
    """Written all the same, the engine refused the first, answered others wrong, or died of it."""
    halved = _halved(index, tmp_path, **sizes)
    with pytest.raises(InvalidInput, match=problem) as caught:
        written(halved, tmp_path / "halved", tmp_path / "gguf", even.origin)
    assert "--format container" in caught.value.hint
    assert not (tmp_path / "gguf").exists()
    with pytest.raises(InvalidInput, match=problem):
        layout_of(halved.model, halved.structure)


def test_an_engine_that_is_asked_nothing_ends(even: Recovered, tmp_path: Path) -> None:
    publish(even.source, even.adapter, tmp_path / "g", Form.GGUF, even.origin)
    for _ in range(3):
        LlamaCpp(tmp_path / "g" / "model.gguf")


def test_a_text_becomes_the_same_tokens(uneven: Recovered, tmp_path: Path) -> None:
    publish(uneven.source, uneven.adapter, tmp_path / "g", Form.GGUF, uneven.origin)
    engine = LlamaCpp(tmp_path / "g" / "model.gguf")
    merged = container.load(uneven.source)
    assert_same_tokens(engine, merged.tokenizer)


def test_half_precision_answers_nearly_alike(uneven: Recovered, tmp_path: Path) -> None:
    half = torch.bfloat16
    publish(uneven.source, uneven.adapter, tmp_path / "g", Form.GGUF, uneven.origin, dtype=half)
    publish(
        uneven.source, uneven.adapter, tmp_path / "c", Form.CONTAINER, uneven.origin, dtype=half
    )
    rounded: Any = container.load(tmp_path / "c").model
    rounded.float()
    # Its products are of bfloat16, too: up to 0.11 nats were seen.
    assert_alike(LlamaCpp(tmp_path / "g" / "model.gguf"), rounded, PROMPT, near=0.3)


def test_flap_like_biases_are_kept(even: Recovered, tmp_path: Path) -> None:
    loaded = made("llama", tmp_path / "bare", is_cut=True)
    for block in blocks_of(loaded.model):
        for kind in ("o_proj", "down_proj"):
            bias = torch.randn(SIZES["hidden_size"])
            matrix_of(block, kind).bias = torch.nn.Parameter(bias, requires_grad=False)
    container.write(loaded.model, loaded.tokenizer, tmp_path / "model", provenance={})
    biased = container.load(tmp_path / "model")
    engine = published(biased, tmp_path / "model", tmp_path / "gguf", even.origin)
    assert_alike(engine, biased.model, list(range(5, 35)))


def test_rows_of_queries_alternate_between_the_halves() -> None:
    rows = torch.arange(8)[:, None]
    assert interleaved(rows, 4).flatten().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_plain_frequencies_need_no_factors() -> None:
    assert bool((rope_factors(LlamaForCausalLM(LlamaConfig(**SIZES))) == 1.0).all())
    stretched = LlamaForCausalLM(LlamaConfig(**SIZES, rope_parameters=LLAMA3))
    assert rope_factors(stretched).max() == pytest.approx(8.0)


def test_a_sliding_window_ends_the_context(tmp_path: Path) -> None:
    model = MistralForCausalLM(MistralConfig(**SIZES, sliding_window=64))
    structure = container.load(_written(model, tmp_path)).structure
    layout = layout_of(model, structure)
    assert layout.context == 64
    assert "ends at its 64 tokens, not at 256" in layout.differs


def test_a_sliding_window_is_said_in_the_card(even: Recovered, tmp_path: Path) -> None:
    model = MistralForCausalLM(MistralConfig(**SIZES, sliding_window=64))
    source = _written(model, tmp_path)
    written(container.load(source), source, tmp_path / "gguf", even.origin)
    assert "ends at its 64 tokens" in (tmp_path / "gguf" / "README.md").read_text()


def test_a_stretched_context_is_told_whole(tmp_path: Path) -> None:
    linear = {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}
    model = LlamaForCausalLM(LlamaConfig(**SIZES, rope_parameters=linear))
    structure = container.load(_written(model, tmp_path)).structure
    layout = layout_of(model, structure)
    assert (layout.context, layout.differs) == (1024, "")


def test_what_a_file_has_no_place_for_is_said(tmp_path: Path) -> None:
    model = LlamaForCausalLM(LlamaConfig(**SIZES))
    model.generation_config.eos_token_id = [258, 257]
    tokenizer = byte_level()
    tokenizer.chat_template = {"default": "{{ messages }}", "tool": "x"}
    structure = read_structure(model, (0, 1, 2))
    differs = write_gguf(model, tokenizer, structure, tmp_path / "m.gguf", title="")
    assert "the chat templates tool are left out" in differs
    assert "the generation config, the, llama.cpp" in differs
    fields = GGUFReader(tmp_path / "m.gguf").fields
    assert fields["tokenizer.chat_template"].contents() == "{{ messages }}"


def test_uniformly_cut_blocks_keep_the_plain_architecture(even: Recovered, tmp_path: Path) -> None:
    publish(even.source, even.adapter, tmp_path / "g", Form.GGUF, even.origin)
    fields = GGUFReader(tmp_path / "g" / "model.gguf").fields
    assert fields["general.architecture"].contents() == "llama"
    publish(even.source, even.adapter, tmp_path / "c", Form.CONTAINER, even.origin)
    assert_alike(
        LlamaCpp(tmp_path / "g" / "model.gguf"), container.load(tmp_path / "c").model, PROMPT
    )


REFUSED = {
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES)),
    "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**SIZES)),
    "gemma3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**SIZES)),
    "olmo2": lambda: Olmo2ForCausalLM(Olmo2Config(**SIZES)),
    "gelu": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, hidden_act="gelu")),
    "dynamic": lambda: LlamaForCausalLM(
        LlamaConfig(
            **SIZES, rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
        )
    ),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_what_llama_cpp_would_compute_otherwise_is_refused(
    make: Callable[[], PreTrainedModel], even: Recovered, tmp_path: Path
) -> None:
    source = _written(make(), tmp_path)
    with pytest.raises(InvalidInput, match=r"config\.json") as caught:
        written(container.load(source), source, tmp_path / "gguf", even.origin)
    assert "--format merged" in caught.value.hint
    assert not (tmp_path / "gguf").exists()


def _written(model: PreTrainedModel, tmp_path: Path) -> Path:
    container.write(model.train(False), byte_level(), tmp_path / "whole", provenance={})
    return tmp_path / "whole"


def _halved(index: int, tmp_path: Path, **sizes: int) -> LoadedModel:
    """A container of a random model that lacks half of a block."""
    loaded = made("llama", tmp_path / "whole", is_cut=True)
    remove(loaded.model, index, **sizes)
    container.write(loaded.model, loaded.tokenizer, tmp_path / "halved", provenance={})
    return container.load(tmp_path / "halved")
