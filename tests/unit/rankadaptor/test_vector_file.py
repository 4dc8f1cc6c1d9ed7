"""Rank vectors that people bring: lists, names, and what PEFT writes."""

import csv
import io
import json
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rankadaptor.ranks.trial_table import FIELDS, write_csv
from rankadaptor.ranks.vector_file import read_vectors
from rankspace import Layer, Part, SearchSpace
from rankspace.errors import InvalidInput, UnreadableInput
from rankspace.recipe import LINEAR_MODULES
from rankspace.study import MOST_CANDIDATES

KINDS = ("self_attn.q_proj", "mlp.up_proj")
NAMES = [f"model.layers.{block}.{kind}" for block in range(2) for kind in KINDS]
LAYERS = tuple(Layer(name, 10, at // 2, name.rpartition(".")[2]) for at, name in enumerate(NAMES))
SPACE = SearchSpace(LAYERS, (0, 2, 4, 8), 1000)
FULL = SearchSpace(LAYERS, (0, 2, 4, 8), 1000, parts={NAMES[3]: (Part(NAMES[3], 10, 3),)})
FIXED = SearchSpace(LAYERS, (0, 2, 4, 8), 1000, {NAMES[0]: 5})
BLOCKS = SearchSpace(
    tuple(Layer(f"model.layers.{block}", 20, block) for block in range(2)), (0, 2, 4), 1000
)


MODULES = ("q_proj", "up_proj")


def read(
    tmp_path: Path,
    document: Any,
    space: SearchSpace = SPACE,
    modules: Sequence[str] = MODULES,
) -> list[tuple[int, ...]]:
    file = tmp_path / "ranks.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    return [vector.ranks for vector in read_vectors(file, space, modules)]


@pytest.mark.parametrize(
    ("document", "ranks"),
    [
        ([0, 2, 4, 8], (0, 2, 4, 8)),
        ({"rank_vector": [0, 2, 4, 8]}, (0, 2, 4, 8)),
        ({"*": 2, "*.up_proj": 4}, (2, 4, 2, 4)),
        ({"model.layers.0.*": 0, "model.layers.1.*": 8}, (0, 0, 8, 8)),
        ({"*": 0, NAMES[2]: 4}, (0, 0, 4, 0)),
        ({"r": 8, "rank_pattern": {"up_proj": 2}}, (8, 2, 8, 2)),
        ({"r": 8, "rank_pattern": {re.escape(NAMES[1]): 2}}, (8, 2, 8, 8)),
        ({"r": 8, "rank_pattern": {f"base_model.model.{NAMES[1]}": 2}}, (8, 2, 8, 8)),
        ({"r": 8, "rank_pattern": {r"layers\.0\..*": 4, "up_proj": 2}}, (4, 4, 8, 2)),
        ({"peft_type": "LORA", "r": 4, "target_modules": ["q_proj"]}, (4, 0, 4, 0)),
        ({"peft_type": "LORA", "r": 4, "target_modules": r".*layers\.1.*"}, (0, 0, 4, 4)),
        (
            {
                "peft_type": "ADALORA",
                "r": 8,
                "rank_pattern": {f"{NAMES[0]}.lora_E": [True, False, True, False]},
            },
            (2, 0, 0, 0),
        ),
    ],
)
def test_every_way_of_saying_a_vector(
    tmp_path: Path, document: Any, ranks: tuple[int, ...]
) -> None:
    assert read(tmp_path, document) == [ranks]
    assert read(tmp_path, [document, [0, 0, 0, 2]]) == [ranks, (0, 0, 0, 2)]


def test_all_linear_is_what_a_study_of_all_kinds_adapts(tmp_path: Path) -> None:
    document = {"peft_type": "LORA", "r": 4, "target_modules": "all-linear"}
    assert read(tmp_path, document, modules=LINEAR_MODULES) == [(4, 4, 4, 4)]
    for space in (SPACE, BLOCKS):
        with pytest.raises(InvalidInput, match="means k_proj, v_proj, o_proj, gate_proj, down_"):
            read(tmp_path, document, space)


def test_by_name_a_layer_gets_what_it_can_use_and_a_fixed_one_its_rank(tmp_path: Path) -> None:
    assert read(tmp_path, {"*": 8}, FULL) == [(8, 8, 8, 3)]
    assert read(tmp_path, {"peft_type": "LORA", "r": 4}, FIXED) == [(5, 4, 4, 4)]
    assert read(tmp_path, {"*": 4}, FIXED) == [(5, 4, 4, 4)]
    with pytest.raises(InvalidInput, match=r"rank_vector\[0\] = 2: not allowed on"):
        read(tmp_path, {"*": 4, NAMES[0]: 2}, FIXED)


def test_a_study_of_blocks_takes_matrices_that_agree(tmp_path: Path) -> None:
    same = {f"model.layers.0.{kind}": 4 for kind in KINDS}
    assert read(tmp_path, {"r": 2, "rank_pattern": same}, BLOCKS) == [(4, 2)]
    other = {**same, "model.layers.0.mlp.up_proj": 2}
    with pytest.raises(InvalidInput, match="have ranks 4 and 2"):
        read(tmp_path, {"r": 2, "rank_pattern": other}, BLOCKS)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"r": 2, "rank_pattern": {NAMES[0]: 4}}, "up_proj of model.layers.0 have rank 2"),
        (
            {"peft_type": "ADALORA", "rank_pattern": {f"{NAMES[0]}.lora_E": [True, True]}},
            "up_proj of model.layers.0 have rank 0",
        ),
        ({"rank_pattern": {NAMES[0]: 4}}, "up_proj of model.layers.0 have rank None"),
        ({"peft_type": "LORA", "r": 4, "target_modules": ["q_proj"]}, "one rank for q_proj, up_"),
        ({"peft_type": "LORA", "r": 4, "target_modules": ["q_proj", "o_proj"]}, "one rank for"),
        ({"peft_type": "LORA", "r": 4, "target_modules": ".*up_proj"}, "one rank for"),
        ({"peft_type": "LORA", "r": 4, "target_modules": 5}, "is no list of names"),
    ],
)
def test_what_gives_the_matrices_of_a_block_different_ranks_is_refused(
    tmp_path: Path, document: Any, said: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, document, BLOCKS)
    assert said in caught.value.detail
    assert caught.value.hint


@pytest.mark.parametrize(
    ("document", "ranks"),
    [
        ({"peft_type": "LORA", "r": 4, "target_modules": ["up_proj", "q_proj"]}, (4, 4)),
        ({"r": 2, "rank_pattern": {NAMES[0]: 2}}, (2, 2)),
        ({"r": 2, "rank_pattern": {"model.layers.1": 4}}, (2, 4)),
        ({"r": 2, "rank_pattern": {r"layers\.1": 4, NAMES[0]: 2}}, (2, 4)),
        ({"rank_pattern": dict.fromkeys(NAMES, 4)}, (4, 4)),
    ],
)
def test_what_gives_the_matrices_of_each_block_one_rank_is_read(
    tmp_path: Path, document: Any, ranks: tuple[int, ...]
) -> None:
    assert read(tmp_path, document, BLOCKS) == [ranks]


@pytest.mark.parametrize("space", [SPACE, BLOCKS])
@pytest.mark.parametrize("where", ["rank_pattern", "target_modules"])
def test_a_pattern_that_takes_for_ever_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, space: SearchSpace, where: str
) -> None:
    monkeypatch.setattr("rankadaptor.ranks.time_limit.SECONDS", 0.05)
    endless = "(.*)*" * 6 + "!"  # twenty seconds and more on the shortest name
    asked = {"rank_pattern": {"rank_pattern": {endless: 2}}, "target_modules": {}}[where]
    document = {"peft_type": "LORA", "r": 4, "target_modules": endless, **asked}
    if space is BLOCKS:
        del document["target_modules"]
        document["rank_pattern"] = {endless: 2}
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(InvalidInput, match=r"takes longer than 0\.05 s"):
        read(tmp_path, document, space)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([0, 2, 4], "has 3 ranks for 4 layers"),
        ([0, 2, 4, 3], f"not allowed on {NAMES[3]}"),
        ([], "has 0 ranks for 4 layers"),
        ("ranks", "is no rank vector"),
        ([[0, 0, 0, 0], 7], "is no rank vector"),
        ([0, 0, True, 0], "is no rank vector"),
        ({"*": 2, "*.k_proj": 2}, "*.k_proj = '*.k_proj': no such layer"),
        ({"*.up_proj": 2}, "and 1 more layers have no rank"),
        ({"*": "2"}, "is no rank"),
        ({"rank_pattern": [1]}, "rank_pattern = [1]: is no group"),
        ({"rank_pattern": {"up_proj": 2}}, "r = None: says nothing of"),
        ({"r": 2, "rank_pattern": {"k_proj": 4}}, "rank_pattern.k_proj = 4: matches no layer"),
        ({"r": 2, "rank_pattern": {"(": 4}}, "is no pattern"),
        ({"r": 2, "rank_pattern": {"up_proj": -4}}, "is no rank"),
        ({"r": 2, "rank_pattern": {}, "layers_to_transform": [0]}, "is not read"),
        ({"r": 2, "rank_pattern": {}, "target_modules": 5}, "is no list of names"),
        ({"r": 2, "rank_pattern": {}, "target_modules": "("}, "is no pattern"),
        (
            {"r": 2, "rank_pattern": {}, "target_modules": ["q_proj", "k_proj"]},
            "target_modules[1] = 'k_proj': is no matrix of the study",
        ),
    ],
)
def test_what_is_no_vector_of_the_study_is_refused_with_the_entry(
    tmp_path: Path, document: Any, said: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, document)
    assert said in caught.value.detail
    assert caught.value.hint


def test_more_vectors_than_anybody_tries_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=f"has {MOST_CANDIDATES + 1} rank vectors"):
        read(tmp_path, [[0, 0, 0, 0]] * (MOST_CANDIDATES + 1))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "ranks.json"
    file.write_bytes(content)
    with pytest.raises(UnreadableInput, match="is not JSON"):
        read_vectors(file, SPACE, MODULES)
    with pytest.raises(UnreadableInput, match="cannot be read"):
        read_vectors(tmp_path, SPACE, MODULES)


def test_no_cell_of_a_csv_is_a_formula_or_a_line_of_its_own() -> None:
    trial: dict[str, Any] = dict.fromkeys(FIELDS)
    trial |= {"id": 1, "score": -2.5, "reason": "=cmd|'/c calc'!A1", "error": "a\nb\x1b[2J"}
    file = io.StringIO()
    write_csv([{**trial, "rank_vector": [0, 2, 4, 8]}], SPACE, file)
    (row,) = csv.DictReader(io.StringIO(file.getvalue()))
    assert row["reason"] == "'=cmd|'/c calc'!A1"
    assert row["error"] == "a b\N{REPLACEMENT CHARACTER}[2J"
    assert (row["score"], row[NAMES[3]]) == ("-2.5", "8")
