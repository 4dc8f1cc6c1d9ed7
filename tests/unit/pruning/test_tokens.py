"""Tokens are those of ``tokenizer.json``, whatever class is named beside it; one of them ends."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedModel

from pruning.container import container
from pruning.container.tokenizer import PROBE, tokenizer_hash
from rankspace.errors import InvalidContainer
from tests.unit.pruning.conftest import make_model

pytestmark = pytest.mark.slow

TEXT = "The girl said: don't go!\n  Then she ran home in 1984, cafe\u0301."
CLASSES = [
    "PreTrainedTokenizerFast",
    "LlamaTokenizerFast",
    "LLaMATokenizer",
    "Qwen2TokenizerFast",
    "GemmaTokenizer",
    None,
]
LONGEST = 1000000000000000019884624838656
SPECIAL = {"<s>": 256, "</s>": 257}


def bytewise() -> Tokenizer:
    """One token per byte, no normaliser, nothing split off."""
    alphabet = {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    made = Tokenizer(models.BPE({**alphabet, **SPECIAL}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    return closed(made)


def spaced() -> Tokenizer:
    """As SentencePiece does it: letters, spaces as ▁, one put in front of the text."""
    letters = ["▁", *map(chr, range(33, 127)), *(f"spare{i}" for i in range(95, 256))]
    pieces = {**{letter: i for i, letter in enumerate(letters)}, **SPECIAL}
    made = Tokenizer(models.BPE(pieces, [], unk_token="<s>", fuse_unk=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    made.decoder = decoders.Metaspace()
    return closed(made)


def closed(made: Tokenizer, begin: str = "<s>") -> Tokenizer:
    made.add_special_tokens([AddedToken(name, special=True) for name in SPECIAL])
    made.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", special_tokens=[(begin, SPECIAL[begin])]
    )
    return made


def lay(directory: Path, model: PreTrainedModel, made: Tokenizer, named: Any) -> Path:
    """Write a model whose tokenizer is ``made`` and whose tokenizer_config.json is ``named``."""
    model.save_pretrained(directory)
    made.save(str(directory / "tokenizer.json"))
    if named is not None:
        (directory / "tokenizer_config.json").write_text(json.dumps(named))
    return directory


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("made", [bytewise, spaced])
@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2", "qwen3"])
def test_ids_are_those_of_the_file(
    family: str, made: Any, kind: str | None, tmp_path: Path
) -> None:
    """Five of these classes on a Qwen2 model split text their own way, and lost letters."""
    named = kind and {"tokenizer_class": kind, "bos_token": "<s>", "eos_token": "</s>"}
    directory = lay(tmp_path / "m", make_model(family), made(), named)
    loaded = container.load(directory).tokenizer
    for text in (TEXT, PROBE, " a ", "", "\n"):
        for has_special in (False, True):
            expected = made().encode(text, add_special_tokens=has_special).ids
            assert loaded.encode(text, add_special_tokens=has_special) == expected


def test_a_container_keeps_the_ids(tmp_path: Path) -> None:
    named = {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "</s>"}
    loaded = container.load(lay(tmp_path / "m", make_model("qwen2"), spaced(), named))
    container.write(loaded.model, loaded.tokenizer, tmp_path / "c", provenance={})
    again = container.load(tmp_path / "c").tokenizer
    assert again.encode(PROBE) == spaced().encode(PROBE).ids
    assert tokenizer_hash(again) == tokenizer_hash(loaded.tokenizer)
    assert again.eos_token == "</s>"


EMPTY = {"bos_token": "", "eos_token": "", "unk_token": "", "model_max_length": LONGEST}


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("tokenizer_config.json", {"tokenizer_class": "LLaMATokenizer", **EMPTY}),
        ("tokenizer_config.json", {"unk_token": {"content": "", "lstrip": False}}),
        ("tokenizer_config.json", {"additional_special_tokens": ["", "</s>"], "unk_token": ""}),
        ("special_tokens_map.json", {"unk_token": "", "eos_token": {"content": ""}}),
    ],
)
def test_special_tokens_without_a_name_are_none(
    name: str, named: Any, llama: PreTrainedModel, tmp_path: Path
) -> None:
    """As decapoda-research wrote them; every trial ended in a recursion without end."""
    directory = lay(tmp_path / "m", llama, bytewise(), None)
    edit(directory / "config.json", eos_token_id=257)
    (directory / name).write_text(json.dumps(named))
    loaded = container.load(directory).tokenizer
    assert loaded.unk_token is None
    assert loaded.encode("a") == bytewise().encode("a").ids
    assert loaded.eos_token_id == 257


@pytest.mark.parametrize(
    ("config", "generation", "end"),
    [
        (257, None, 257),
        ([257, 256], None, 257),
        (None, 257, 257),
        (None, [0, 257], 257),
        (999, 257, 257),  # no such token
        (0, 257, 257),  # a letter
        (256, 257, 257),  # what begins a text ends none
        (-1, None, None),
        (256, [256], None),
        (None, None, None),
    ],
)
@pytest.mark.parametrize("named", [None, {"eos_token": None}, {"bos_token": "<s>"}])
def test_without_a_name_the_configs_say_what_ends(
    config: Any,
    generation: Any,
    end: int | None,
    named: Any,
    llama: PreTrainedModel,
    tmp_path: Path,
) -> None:
    directory = lay(tmp_path / "m", llama, bytewise(), named)
    edit(directory / "config.json", eos_token_id=config)
    edit(directory / "generation_config.json", eos_token_id=generation)
    assert container.load(directory).tokenizer.eos_token_id == end


def test_a_named_end_token_stays(llama: PreTrainedModel, tmp_path: Path) -> None:
    directory = lay(tmp_path / "m", llama, bytewise(), {"eos_token": "<s>"})
    edit(directory / "config.json", eos_token_id=257)
    assert container.load(directory).tokenizer.eos_token == "<s>"


def test_the_file_that_is_wrong_is_blamed(plain: Path) -> None:
    edit(plain / "tokenizer_config.json", padding_side="middle")
    with pytest.raises(InvalidContainer, match="transformers refuses it") as caught:
        container.load(plain)
    assert caught.value.field == "tokenizer_config.json"
    (plain / "tokenizer.json").write_text("{}")
    with pytest.raises(InvalidContainer, match="is not a tokenizer") as caught:
        container.load(plain)
    assert caught.value.field == "tokenizer.json"


def test_another_tokenizer_has_another_hash(llama: PreTrainedModel, tmp_path: Path) -> None:
    def hash_of(made: Tokenizer, **named: Any) -> str:
        directory = lay(tmp_path / f"m{len(list(tmp_path.iterdir()))}", llama, made, named)
        return tokenizer_hash(container.load(directory).tokenizer)

    same = [hash_of(bytewise(), eos_token="</s>", **more) for more in ({}, {"model_max_length": 9})]
    bare = bytewise()
    bare.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    others = [
        hash_of(spaced(), eos_token="</s>"),
        hash_of(bytewise(), eos_token="<s>"),
        hash_of(bare, eos_token="</s>"),
    ]
    assert same[0] == same[1]
    assert len({same[0], *others}) == 4
