"""Phi-3 is adopted as the Mistral it is once its matrices are split, and only where it is one."""

import copy
import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from pruning.container import container
from pruning.container.assembly import blocks_of
from pruning.container.contents import survey
from pruning.container.description import describe
from pruning.container.manifest import NAME, read_manifest
from pruning.importing import phi3
from pruning.importing.adoption import adopt
from pruning.importing.recognition import read_account
from pruning.methods.compression import compress
from pruning.methods.settings import PruningSettings
from pruning.profiling.calibration_text import CalibrationText
from rankadaptor.commands import adopt as command
from rankspace.errors import InvalidContainer
from tests.unit.pruning.importing.test_families import edit, save

SIZES: dict[str, Any] = {
    "vocab_size": 260,
    "hidden_size": 32,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "original_max_position_embeddings": 128,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
IDS = torch.arange(40)[None] * 11 % 256
LONGROPE: dict[str, Any] = {
    "rope_type": "longrope",
    "short_factor": [1.0, 1.5],
    "long_factor": [2.0, 9.0],
}
PUBLISHED = {
    "AutoConfig": "configuration_phi3.Phi3Config",
    "AutoModelForCausalLM": "modeling_phi3.Phi3ForCausalLM",
}
TEMPLATE = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"

MODELS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sliding": {"sliding_window": 8},
    "tied": {"tie_word_embeddings": True},
    "every-head-its-keys": {"num_key_value_heads": None},
    "other-base": {"rope_parameters": {"rope_theta": 500.0}, "rms_norm_eps": 0.1},
    "wide-heads": {"head_dim": 6},
    "dropout": {"resid_pdrop": 0.5, "embd_pdrop": 0.5, "attention_dropout": 0.5},
    "gelu": {"hidden_act": "gelu"},
    "longrope-short": {"rope_parameters": {**LONGROPE, "attention_factor": 1.3}},
    "longrope-old": {
        "rope_parameters": {
            **LONGROPE,
            "rope_type": "su",
            "factor": 4.0,
            "original_max_position_embeddings": 128,
        }
    },
}


def make_phi3(**changes: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    model = Phi3ForCausalLM(Phi3Config(**{**copy.deepcopy(SIZES), **copy.deepcopy(changes)}))
    for name, tensor in model.named_parameters():
        torch.nn.init.normal_(tensor, std=1.0 if "norm" in name else 0.1)
    model.requires_grad_(False)
    model.train(False)
    return model


@pytest.fixture
def source(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Path:
    return save(make_phi3(sliding_window=8), tokenizer, tmp_path / "m")


def check_same(found: PreTrainedModel, expected: PreTrainedModel, ids: torch.Tensor = IDS) -> None:
    """Equal to rounding: one product of a fused matrix is not summed as those of its parts."""
    torch.testing.assert_close(found(ids).logits, expected(ids).logits, rtol=0, atol=1e-6)
    exact = copy.deepcopy(found).double()(ids).logits
    torch.testing.assert_close(
        exact, copy.deepcopy(expected).double()(ids).logits, rtol=0, atol=1e-13
    )


def weights(directory: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    path = directory / "model.safetensors"
    state = {name: tensor.clone() for name, tensor in load_file(path).items()}
    change(state)
    save_file(state, path)
    return directory


def generate(model: Any, *, use_cache: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    made = model.generate(
        inputs=IDS[:, :12],
        max_new_tokens=24,
        do_sample=False,
        eos_token_id=None,
        use_cache=use_cache,
        return_dict_in_generate=True,
        output_logits=True,
    )
    return made.sequences, torch.stack(made.logits)


@torch.no_grad()
@pytest.mark.parametrize("kind", MODELS)
def test_logits_and_generation_are_phi3s(
    kind: str, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    """On texts five times as long as the window, too, with a cache and without."""
    model = make_phi3(**MODELS[kind])
    adopt(save(model, tokenizer, tmp_path / "m"), tmp_path / "c")
    loaded = container.load(tmp_path / "c").model
    assert type(loaded) is MistralForCausalLM
    check_same(loaded, model)
    tokens, logits = generate(model)
    assert len(set(tokens[0, 12:].tolist())) > 2
    for use_cache in (True, False):
        found, its_logits = generate(loaded, use_cache=use_cache)
        assert torch.equal(found, tokens)
        torch.testing.assert_close(its_logits, logits, rtol=0, atol=1e-6)


@torch.no_grad()
def test_the_window_decides_what_the_test_above_compares() -> None:
    """Else a container that forgot it would pass."""
    model = make_phi3()
    model.load_state_dict(make_phi3(sliding_window=8).state_dict())
    sliding = make_phi3(sliding_window=8)(IDS).logits
    assert torch.allclose(model(IDS).logits[:, :8], sliding[:, :8], atol=1e-5)
    assert not torch.allclose(model(IDS).logits[:, 8:], sliding[:, 8:], atol=1e-2)


def test_what_the_config_leaves_out_is_phi3s_default() -> None:
    """Mistral's are others: another epsilon, a window, eight key/value heads."""
    fields = {item.name for item in dataclasses.fields(Phi3Config)}
    known = {"num_attention_heads": 8, "model_type": "phi3"}
    translated = phi3.translate(known).config
    assert translated is not None
    built = MistralConfig(**{**translated, "hidden_size": 32})
    default = Phi3Config(num_attention_heads=8, hidden_size=32)
    sizes = {"vocab_size", "intermediate_size", "num_hidden_layers"}  # demanded, never guessed
    for name in sorted(fields & {item.name for item in dataclasses.fields(type(built))} - sizes):
        if name not in {"architectures", "model_type", "rope_parameters", "transformers_version"}:
            assert getattr(built, name) == getattr(default, name), name
    rotary: Any = default.rope_parameters
    assert built.rope_parameters == {key: rotary[key] for key in ("rope_type", "rope_theta")}


@torch.no_grad()
def test_an_older_config_and_its_authors_code(source: Path, tmp_path: Path) -> None:
    """The form of Phi-3-mini-4k-instruct: theta beside, code of the hub, nothing said of biases."""
    older = {"rope_theta": 300.0, "rope_scaling": None, "attention_bias": False}
    edit(source, "rope_parameters", "dtype", auto_map=PUBLISHED, torch_dtype="float32", **older)
    expected = AutoModelForCausalLM.from_pretrained(source)
    adopt(source, tmp_path / "c")
    check_same(container.load(tmp_path / "c").model, expected)


@torch.no_grad()
def test_longrope_is_exact_up_to_its_switch_as_the_refusal_says(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    model = make_phi3(rope_parameters=LONGROPE, original_max_position_embeddings=32)
    source = save(model, tokenizer, tmp_path / "m")
    with pytest.raises(InvalidContainer, match=r"rope_parameters\.rope_type.*32 tokens") as caught:
        adopt(source, tmp_path / "c")
    assert "max_position_embeddings: 32 and" in caught.value.hint
    factor = caught.value.hint.partition("attention_factor: ")[2].split()[0]
    edit(
        source,
        max_position_embeddings=32,
        rope_parameters={**LONGROPE, "attention_factor": float(factor)},
    )
    adopt(source, tmp_path / "c")
    short = IDS[:, :32]
    check_same(container.load(tmp_path / "c").model, model, short)
    assert not torch.allclose(make_phi3()(short).logits, model(short).logits, atol=1e-2)


def test_tokenizer_chat_end_and_licence_carry_on_and_the_source_stays(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.chat_template = TEMPLATE
    model = make_phi3()
    assert model.generation_config is not None
    model.generation_config.eos_token_id = [0, 7, 9]
    source = save(model, tokenizer, tmp_path / "m")
    (source / "README.md").write_text("---\nlicense: mit\n---\n# Phi\n")
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    adopt(source, tmp_path / "c")
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before
    loaded = container.load(tmp_path / "c")
    said = [{"role": "user", "content": "hi"}]
    text = loaded.tokenizer.apply_chat_template(said, tokenize=False)
    assert text == "<|user|>hi<|end|>"
    assert loaded.model.generation_config is not None
    assert loaded.model.generation_config.eos_token_id == [0, 7, 9]
    card = (tmp_path / "c" / "README.md").read_text()
    assert "license: mit" in card
    assert "fused matrices of Phi3ForCausalLM split" in card
    origin = read_manifest(tmp_path / "c" / NAME).provenance
    assert origin["split_from"] == "Phi3ForCausalLM"
    assert "was Phi3ForCausalLM" in command._account(origin)


def test_a_split_copies_nothing(source: Path) -> None:
    """Parts are views of the fused matrix; the container's peak is that of any other family."""
    contents = survey(source, infer=True, translation=read_account(source).translation)
    model = container.load_contents(contents).model
    attention: Any = blocks_of(model)[1].self_attn
    queries, keys, values = (
        getattr(attention, kind).weight for kind in ("q_proj", "k_proj", "v_proj")
    )
    assert keys.data_ptr() == queries.data_ptr() + queries.nbytes
    assert values.data_ptr() == keys.data_ptr() + keys.nbytes


def shrink_fused(model: PreTrainedModel, index: int, groups: int, ffn: int) -> None:
    """Keep the first groups of heads and channels, as a tool that knows Phi-3's blocks does."""
    block: Any = blocks_of(model)[index]
    heads, width = 4 * groups, 4
    rows = torch.cat(
        [torch.arange(n * width) + at for n, at in ((heads, 0), (groups, 32), (groups, 40))]
    )
    own = copy.deepcopy(model.config)
    own.num_attention_heads, own.num_key_value_heads, own.intermediate_size = heads, groups, ffn
    own.head_dim, own._attn_implementation = width, model.config._attn_implementation
    attention, mlp = block.self_attn, block.mlp
    cut = type(block)(own, index)
    for target, tensor in (
        (cut.self_attn.qkv_proj, attention.qkv_proj.weight[rows]),
        (cut.self_attn.o_proj, attention.o_proj.weight[:, : heads * width]),
        (
            cut.mlp.gate_up_proj,
            torch.cat([half[:ffn] for half in mlp.gate_up_proj.weight.chunk(2)]),
        ),
        (cut.mlp.down_proj, mlp.down_proj.weight[:, :ffn]),
        (cut.input_layernorm, block.input_layernorm.weight),
        (cut.post_attention_layernorm, block.post_attention_layernorm.weight),
    ):
        target.weight = torch.nn.Parameter(tensor.clone(), requires_grad=False)
    blocks_of(model)[index] = cut.train(False)


@torch.no_grad()
def test_blocks_that_were_cut_tell_their_heads_by_o_proj(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    model = make_phi3(sliding_window=8)
    shrink_fused(model, 1, groups=1, ffn=7)
    adopt(save(model, tokenizer, tmp_path / "m"), tmp_path / "c")
    loaded = container.load(tmp_path / "c")
    blocks = loaded.structure.blocks
    assert [(b.heads, b.kv_heads, b.ffn) for b in blocks] == [(8, 2, 24), (4, 1, 7), (8, 2, 24)]
    check_same(loaded.model, model)


@torch.no_grad()
def test_a_tools_own_file_is_held_against_the_split_matrices(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    model = make_phi3()
    shrink_fused(model, 1, groups=1, ffn=7)
    source = save(model, tokenizer, tmp_path / "m")
    told = {"pruned_attn_width": {"1": 16}, "pruned_mlp_width": {"1": 7}}
    (source / "pruning_config.json").write_text(json.dumps(told))
    adopt(source, tmp_path / "c")
    origin = read_manifest(tmp_path / "c" / NAME).provenance
    assert (origin["tool"], origin["split_from"]) == ("MultiPruner", "Phi3ForCausalLM")
    (source / "pruning_config.json").write_text(json.dumps({"pruned_mlp_width": {"1": 8}}))
    with pytest.raises(InvalidContainer, match="ffn of block 1, but its weights have 7"):
        adopt(source, tmp_path / "d")


QKV = "model.layers.1.self_attn.qkv_proj.weight"
GATE_UP = "model.layers.1.mlp.gate_up_proj.weight"
O_PROJ = "model.layers.1.self_attn.o_proj.weight"
WEIGHTS: dict[str, tuple[Callable[[dict[str, torch.Tensor]], Any], str]] = {
    "odd qkv": (lambda s: s.update({QKV: s[QKV][:47]}), "47.*beside the 32 of o_proj"),
    "no keys": (lambda s: s.update({QKV: s[QKV][:32]}), "beside the 32 of o_proj"),
    "odd gate_up": (
        lambda s: s.update({GATE_UP: s[GATE_UP][:47]}),
        "gate_up_proj.*47.*cannot be shared",
    ),
    "part of a head": (lambda s: s.update({QKV: s[QKV][:44]}), "k_proj.*whole number of heads"),
    "gate_up alone": (lambda s: s.update({GATE_UP: s[GATE_UP][:40]}), r"down_proj.*\[32, 20\]"),
    "no o_proj": (lambda s: s.pop(O_PROJ), "o_proj.*lack this matrix"),
    "no qkv_proj": (lambda s: s.pop(QKV), "q_proj.*lack this matrix"),
    "twice": (
        lambda s: s.update({QKV.replace("qkv", "k"): s[QKV][32:40].clone()}),
        "stored by itself",
    ),
    "bias": (lambda s: s.update({QKV.replace("weight", "bias"): torch.ones(48)}), "no such tensor"),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_weights_that_do_not_say_where_to_split_are_refused(
    case: str, source: Path, tmp_path: Path
) -> None:
    change, expected = WEIGHTS[case]
    with pytest.raises(InvalidContainer, match=expected):
        adopt(weights(source, change), tmp_path / "c")
    assert not (tmp_path / "c").exists()


ROPE = "rope_parameters"
CONFIGS: dict[str, tuple[Mapping[str, Any], str, str]] = {
    "part of a head": (
        {ROPE: {"partial_rotary_factor": 0.5}},
        r"rope_parameters\.partial_rotary_factor.*part of each head",
        "factor 1",
    ),
    "part of a head, said beside": (
        {ROPE: None, "partial_rotary_factor": 0.75},
        r"json\.partial_rotary_factor",
        "factor 1",
    ),
    "longrope by its old name": (
        {
            "rope_scaling": {**LONGROPE, "type": "su", "rope_type": "su"},
            "max_position_embeddings": 512,
        },
        r"rope_scaling\.rope_type.*128 tokens of up to 512",
        "attention_factor: 1.13389",
    ),
    "another rope": (
        {ROPE: {"rope_type": "linear", "factor": 2.0}},
        r"rope_type.*none of default, longrope",
        "restore",
    ),
    "factors of another width": (
        {ROPE: {**LONGROPE, "short_factor": [1.0]}},
        r"short_factor.*2 numbers",
        "restore",
    ),
    "a list for a name": (
        {"rope_scaling": {"type": ["su"]}},
        r"rope_scaling\.rope_type",
        "restore",
    ),
    "longer than any text": (
        {ROPE: LONGROPE, "max_position_embeddings": 10**400},
        r"json\.max_position_embeddings.*at most",
        "restore",
    ),
    "factor beyond floats": (
        {ROPE: {**LONGROPE, "factor": 10**400}},
        r"rope_parameters\.factor.*must be a number",
        "restore",
    ),
    "attention factor that is none": (
        {ROPE: {**LONGROPE, "attention_factor": math.nan}},
        r"attention_factor.*must be a number",
        "restore",
    ),
    "channel beyond floats": (
        {ROPE: {**LONGROPE, "short_factor": [1, 10**400]}},
        r"short_factor.*2 numbers",
        "restore",
    ),
    "no object": ({ROPE: [1]}, r"rope_parameters.*object or null", "restore"),
    "no length": (
        {ROPE: LONGROPE, "original_max_position_embeddings": None},
        "original_max_position_embeddings.*whole number",
        "restore",
    ),
    "another type": ({"model_type": "mistral"}, "model_type.*Phi3ForCausalLM", "phi3"),
    "other code": (
        {"auto_map": {**PUBLISHED, "AutoModelForCausalLM": "modeling_mine.Phi3ForCausalLM"}},
        r"auto_map.*never run",
        "remove auto_map",
    ),
    "quantised": ({"quantization_config": {"bits": 4}}, "quantization_config", "stock"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_config_that_no_mistral_has_words_for_is_refused(
    case: str, source: Path, tmp_path: Path
) -> None:
    changes, problem, fix = CONFIGS[case]
    edit(source, **changes)
    with pytest.raises(InvalidContainer, match=problem) as caught:
        adopt(source, tmp_path / "c")
    assert fix in caught.value.hint
    assert not (tmp_path / "c").exists()


def test_whoever_has_not_adopted_it_is_told_to(source: Path, text: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidContainer, match="qkv_proj, gate_up_proj") as caught:
        describe(source)
    assert "rankadaptor adopt" in caught.value.hint
    with pytest.raises(InvalidContainer, match="qkv_proj, gate_up_proj"):
        compress(source, tmp_path / "c", PruningSettings((1,)), CalibrationText(text))
    edit(source, architectures=["Phi3Model"])
    with pytest.raises(InvalidContainer, match="architectures") as caught:
        adopt(source, tmp_path / "c")
    assert "['Phi3ForCausalLM']" in caught.value.hint


def test_an_adopted_one_is_compressed_like_any_other(
    source: Path, text: Path, tmp_path: Path
) -> None:
    adopt(source, tmp_path / "c")
    pruned = compress(
        tmp_path / "c", tmp_path / "d", PruningSettings((1,)), CalibrationText(text, length=32)
    )
    assert pruned.architecture == "MistralForCausalLM"
    origin = read_manifest(tmp_path / "d" / NAME).provenance
    assert origin["source"]["provenance"]["split_from"] == "Phi3ForCausalLM"
