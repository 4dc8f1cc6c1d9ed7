"""Whatever is wrong with a container, the answer names the field, the value and the fix."""

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pruning.container import container
from pruning.container.contents import hash_file, read_contents
from pruning.container.description import describe
from rankspace.errors import InvalidContainer

Json = dict[str, Any]
Damage = Callable[[Path], object]
Q0 = "model.layers.0.self_attn.q_proj.weight"
EMBEDDING, OUTPUT = "model.embed_tokens.weight", "lm_head.weight"
FOURTH: Json = {
    "heads": 1,
    "kv_heads": 1,
    "head_dim": 4,
    "ffn": 1,
    "biases": [],
    "original_index": 3,
}


def edited(name: str, edit: Callable[[Json], object]) -> Damage:
    def damage(directory: Path) -> None:
        document = json.loads((directory / name).read_text())
        edit(document)
        (directory / name).write_text(json.dumps(document))

    return damage


def config(**changes: Any) -> Damage:
    return edited("config.json", lambda document: document.update(changes))


def block(**changes: Any) -> Damage:
    return edited("pruned.json", lambda d: d["structure"]["blocks"][1].update(changes))


def written(name: str, content: bytes) -> Damage:
    return lambda directory: (directory / name).write_bytes(content)


def removed(name: str) -> Damage:
    return lambda directory: (directory / name).unlink()


def tensors(edit: Callable[[dict[str, torch.Tensor]], object]) -> Damage:
    """Change the weights and vouch for the change, so that only the tensors are wrong."""

    def damage(directory: Path) -> None:
        path = directory / "model.safetensors"
        state = {name: tensor.clone() for name, tensor in load_file(path).items()}
        edit(state)
        save_file(state, path)
        files = {"model.safetensors": hash_file(path)}
        edited("pruned.json", lambda document: document["files"].update(files))(directory)

    return damage


def grown(name: str) -> Damage:
    """A token was added to one of the two tables."""

    def damage(directory: Path) -> None:
        path = directory / "model.safetensors"
        state = load_file(path)
        save_file({**state, name: torch.cat([state[name], state[name][-1:]])}, path)

    return damage


def truncated(directory: Path) -> None:
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def flipped(directory: Path) -> None:
    content = bytearray((directory / "model.safetensors").read_bytes())
    content[-2] ^= 1
    (directory / "model.safetensors").write_bytes(content)


def linked_outside(directory: Path) -> None:
    outside = directory.parent / "outside.safetensors"
    (directory / "model.safetensors").rename(outside)
    (directory / "model.safetensors").symlink_to(outside)


def doubled(directory: Path) -> None:
    content = (directory / "model.safetensors").read_bytes()
    (directory / "model.safetensors").unlink()
    for number in (1, 2):
        (directory / f"model-{number}.safetensors").write_bytes(content)


def pickled(directory: Path) -> None:
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")


def indexed(weight_map: object) -> Damage:
    def damage(directory: Path) -> None:
        (directory / "model.safetensors").rename(directory / "model-1.safetensors")
        index = {"weight_map": weight_map}
        (directory / "model.safetensors.index.json").write_text(json.dumps(index))

    return damage


@dataclass(frozen=True)
class Case:
    damage: Damage
    field: str
    problem: str


CASES = {
    "no config": Case(removed("config.json"), "config.json", "there is no such file"),
    "no weights": Case(removed("model.safetensors"), "model.safetensors", "no such file"),
    "no tokenizer": Case(removed("tokenizer.json"), "tokenizer.json", "no such file"),
    "config is not JSON": Case(written("config.json", b"{oops"), "config.json", "is not JSON"),
    "config is a list": Case(written("config.json", b"[]"), "config.json", "not a JSON object"),
    "config is not UTF-8": Case(written("config.json", b"\xff"), "config.json", "is not JSON"),
    "key twice": Case(written("config.json", b'{"a":1,"a":1}'), "config.json", "'a' twice"),
    "architecture": Case(
        config(architectures=["GPT2LMHeadModel"]), "config.json.architectures", "not supported"
    ),
    "model type": Case(config(model_type="gpt2"), "config.json.model_type", "does not belong"),
    "remote code": Case(config(auto_map={"AutoModel": "x.Y"}), "config.json.auto_map", "never run"),
    "quantised": Case(
        config(quantization_config={"bits": 4}), "config.json.quantization_config", "quantised"
    ),
    "per-layer config": Case(
        config(per_layer_config={"0": {}}), "config.json.per_layer_config", "wrong model"
    ),
    "text for a size": Case(config(hidden_size="32"), "config.json.hidden_size", "whole number"),
    "negative size": Case(config(vocab_size=-1), "config.json.vocab_size", "positive"),
    "dense kv heads": Case(
        config(num_key_value_heads=3), "config.json.kv_heads", "does not divide the 8"
    ),
    "vocabulary": Case(
        config(vocab_size=300), "config.json.vocab_size", "the embedding has 260 rows"
    ),
    "number of blocks": Case(
        config(num_hidden_layers=4), "config.json.num_hidden_layers", "weights hold 3 blocks"
    ),
    "a block too many": Case(
        edited("pruned.json", lambda d: d["structure"]["blocks"].append(FOURTH)),
        "config.json.num_hidden_layers",
        "lists 4 blocks",
    ),
    "check of many tokens": Case(
        edited("pruned.json", lambda d: d["check"].update(tokens=[1] * 2000)),
        "pruned.json.check.tokens",
        "at most",
    ),
    "tokenizer code": Case(
        edited("tokenizer_config.json", lambda d: d.update(auto_map={"AutoTokenizer": ["x", "y"]})),
        "tokenizer_config.json.auto_map",
        "never run",
    ),
    "schema": Case(
        edited("pruned.json", lambda d: d.update(schema=3)),
        "pruned.json.schema",
        "versions 1 and 2",
    ),
    "unknown field": Case(
        edited("pruned.json", lambda d: d.update(extra=1)), "pruned.json.extra", "unknown field"
    ),
    "no structure": Case(
        edited("pruned.json", lambda d: d.pop("structure")), "pruned.json.structure", "missing"
    ),
    "kv heads": Case(
        block(kv_heads=3), "pruned.json.structure.blocks[1].kv_heads", "does not divide the 8"
    ),
    "no heads": Case(block(heads=0), "pruned.json.structure.blocks[1].heads", "at least 1"),
    "unknown bias": Case(
        block(biases=["z_proj"]), "pruned.json.structure.blocks[1].biases", "unknown matrix"
    ),
    "head width": Case(
        block(head_dim=8), "pruned.json.structure.blocks[1].head_dim", "differs from the 4"
    ),
    "original order": Case(block(original_index=0), "pruned.json.structure.blocks", "do not rise"),
    "width": Case(block(ffn=23), "model.layers.1.mlp.gate_proj.weight", r"promises \[23, 32\]"),
    "missing bias": Case(
        block(biases=["o_proj"]), "model.layers.1.self_attn.o_proj.bias", "lack this tensor"
    ),
    "missing tensor": Case(tensors(lambda state: state.pop(Q0)), Q0, "lack this tensor"),
    "extra tensor": Case(
        tensors(lambda state: state.update(extra=torch.zeros(2))), "extra", "no such tensor"
    ),
    "transposed": Case(
        tensors(lambda s: s.update({"lm_head.weight": s["lm_head.weight"].T.contiguous()})),
        "lm_head.weight",
        r"promises \[260, 32\]",
    ),
    "integer weights": Case(
        tensors(lambda state: state.update({Q0: state[Q0].to(torch.int8)})),
        f"model.safetensors: {Q0}",
        "element type",
    ),
    "NaN": Case(tensors(lambda s: s[Q0][0].fill_(torch.nan)), Q0, "not numbers"),
    "infinity": Case(tensors(lambda s: s[Q0][0].fill_(-torch.inf)), Q0, "not numbers"),
    "another model": Case(
        tensors(lambda state: state["lm_head.weight"].mul_(3)),
        "pruned.json.check.logits",
        "differ by more",
    ),
    "check of another vocabulary": Case(
        edited("pruned.json", lambda d: d["check"].update(tokens=[9999])),
        "pruned.json.check.logits",
        "outside the vocabulary",
    ),
    "check without logits": Case(
        edited("pruned.json", lambda d: d["check"].update(logits=[])),
        "pruned.json.check.logits",
        "as many as",
    ),
    "truncated": Case(truncated, "model.safetensors", "the header promises"),
    "empty": Case(written("model.safetensors", b""), "model.safetensors", "the file has 0 bytes"),
    "one bit": Case(flipped, "model.safetensors", "its SHA-256 should be"),
    "tokenizer changed": Case(
        edited("tokenizer.json", lambda d: d.update(version="1.1")), "tokenizer.json", "SHA-256"
    ),
    "tokenizer is nonsense": Case(written("tokenizer.json", b"{}"), "tokenizer.json", "SHA-256"),
    "file not vouched for": Case(
        edited("pruned.json", lambda d: d["files"].pop("config.json")),
        "pruned.json.files",
        "not listed",
    ),
    "listed file outside": Case(
        edited("pruned.json", lambda d: d["files"].update({"../x": "0"})), "../x", "leads outside"
    ),
    "link outside": Case(linked_outside, "model.safetensors", "leads outside"),
    "pickle": Case(pickled, "weights", "is a pickle"),
    "shard missing": Case(
        indexed({Q0: "model-2.safetensors"}), "model-2.safetensors", "no such file"
    ),
    "shard outside": Case(
        indexed({Q0: "../model.safetensors"}), "../model.safetensors", "leads outside"
    ),
    "index without map": Case(
        indexed(None), "model.safetensors.index.json.weight_map", "must give each tensor"
    ),
    "generation config": Case(
        written("generation_config.json", b"{"), "generation_config.json", "SHA-256"
    ),
}


@pytest.fixture
def directory(llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Path:
    container.write(llama, tokenizer, tmp_path / "c", provenance={})
    return tmp_path / "c"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_damaged_container_is_refused(case: Case, directory: Path) -> None:
    case.damage(directory)
    with pytest.raises(InvalidContainer, match=case.problem) as caught:
        container.load(directory)
    assert caught.value.field == case.field
    assert caught.value.hint


def test_no_directory_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidContainer, match="is not a directory"):
        describe(tmp_path / "nowhere")


PLAIN_CASES = {
    "value transformers refuses": Case(
        config(rope_parameters={"rope_type": "nonsense"}), "config.json", "transformers refuses"
    ),
    "end token that is no number": Case(
        config(eos_token_id=True), "config.json", "transformers refuses"
    ),
    "number that is a text": Case(
        config(rms_norm_eps="small"), "config.json", "transformers refuses"
    ),
    "dtype": Case(config(dtype="int8"), "config.json.dtype", "is not a dtype"),
    "older dtype": Case(
        config(dtype=None, torch_dtype="int8"), "config.json.torch_dtype", "is not a dtype"
    ),
    "rows": Case(config(vocab_size=259), "config.json.vocab_size", "the embedding has 260 rows"),
    "rows of one table": Case(grown(EMBEDDING), OUTPUT, "not the 261 of the embedding"),
    "rows of the other table": Case(grown(OUTPUT), OUTPUT, "not the 260 of the embedding"),
    "kinds of layers": Case(
        config(layer_types=["full_attention"] * 5),
        "config.json.layer_types",
        "has 5 entries for 3 layers",
    ),
    "heads by layer": Case(
        config(layer_head_num=[8, 8]), "config.json.layer_head_num", "has 2 entries for 3 layers"
    ),
    "kinds of MLPs": Case(
        config(mlp_layer_types=["dense"] * 4), "config.json.mlp_layer_types", "4 entries"
    ),
    "no name": Case(config(architectures=None), "config.json.architectures", "not supported"),
    "uneven": Case(config(intermediate_size=23), "model.layers.0.mlp.gate_proj.weight", "23"),
    "tokenizer": Case(written("tokenizer.json", b"{}"), "tokenizer.json", "is not a tokenizer"),
    "generation": Case(
        written("generation_config.json", b"{"), "generation_config.json", "is not JSON"
    ),
    "one tensor twice": Case(doubled, "model-2.safetensors", "two files"),
    "false tie": Case(config(tie_word_embeddings=True), "lm_head.weight", "differs from"),
}


@pytest.mark.parametrize("case", PLAIN_CASES.values(), ids=PLAIN_CASES)
def test_a_damaged_ordinary_directory_is_refused(case: Case, plain: Path) -> None:
    case.damage(plain)
    with pytest.raises(InvalidContainer, match=case.problem) as caught:
        container.load(plain)
    assert caught.value.field.startswith(case.field)
    assert caught.value.hint


@pytest.mark.parametrize("infer", [False, True])
def test_a_config_alone_exhausts_no_memory(plain: Path, infer: bool) -> None:
    config(num_hidden_layers=2**31 - 1)(plain)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidContainer, match="the weights hold 3 blocks"):
            read_contents(plain, infer=infer)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("damage", "fix"),
    [
        (config(vocab_size=259), "vocab_size: 260"),
        (config(num_hidden_layers=4), "num_hidden_layers: 3"),
        (config(architectures=["LLaMAForCausalLM"]), "['LlamaForCausalLM']"),
        (config(architectures=None), "['LlamaForCausalLM']"),
        (config(architectures=["LlamaModel"]), "['LlamaForCausalLM']"),
        (config(architectures=None, model_type="deci"), "use one of"),
        (config(intermediate_size=23), "rankadaptor adopt"),
        (config(hidden_size=24), "restore the config"),
        (config(dtype="int8"), "bfloat16"),
        (config(intermediate_size=[24, 24, 12]), "rankadaptor adopt"),
    ],
)
def test_the_fix_of_a_wrong_config_is_the_one_that_helps(
    damage: Damage, fix: str, plain: Path
) -> None:
    damage(plain)
    with pytest.raises(InvalidContainer) as caught:
        describe(plain)
    assert fix in caught.value.hint


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_what_is_wrong_with_small_files_is_said_before_the_weights_are_read(
    name: str, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gigabytes are hashed for minutes."""

    def never(*_: object) -> None:
        raise AssertionError("the weights were hashed")

    wrong: Json = {"rope_parameters": {"rope_type": "nonsense"}, "padding_side": "middle"}
    edited(name, lambda document: document.update(wrong))(plain)
    monkeypatch.setattr("pruning.container.container.hashed", never)
    with pytest.raises(InvalidContainer, match="transformers refuses it") as caught:
        container.load(plain)
    assert caught.value.field == name
