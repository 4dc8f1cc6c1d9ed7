import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankspace import Comparison, Layer, Measurement, Observation, RankVector, SearchSpace, Study
from rankspace.errors import InvalidInput, UnsupportedVersion
from rankspace.observation import DataCounts
from rankspace.recipe import Batch
from rankspace.verdict import Answer
from rankspace.wire import decode, encode, json_schema, pack, unpack

MINIMAL: dict[str, Any] = {"name": "a", "model": "m", "recipe": {"data": {"train": "x.jsonl"}}}

vectors = st.lists(st.integers(0, 64), min_size=1, max_size=300).map(lambda r: RankVector(tuple(r)))
observations = st.builds(
    Observation,
    rank_vector=vectors,
    score=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    seed=st.integers(0, 2**31 - 1),
    fidelity=st.floats(0.01, 1),
)


@given(observations)
def test_observations_survive_the_round_trip_bit_for_bit(observation: Observation) -> None:
    assert unpack(Observation, json.loads(json.dumps(pack(observation)))) == observation


@pytest.mark.parametrize(
    "value",
    [
        SearchSpace((Layer("a", 3, 0, "q_proj"), Layer("b", 4)), (0, 1), 99, {"b": 1}),
        Comparison(0.1, -0.1, 0.3, 5, Answer.NO_DIFFERENCE_SHOWN),
        Measurement(-1.5, 1.5, 1.4, 10, 2000, 640, {"train": 1.0}, 1, {"torch": "2"}),
        Measurement(-1.5, 1.5, 1.4, 10, 2000, 640, data=DataCounts(9, 1, 2, 3, 4, 2, 2, 6, 5, 7)),
        decode(Study, MINIMAL),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_value_survives_the_round_trip(value: Any) -> None:
    assert unpack(type(value), json.loads(json.dumps(pack(value)))) == value


def study_with(path: str, value: Any) -> dict[str, Any]:
    """MINIMAL with the dotted ``path`` set to ``value``."""
    document: dict[str, Any] = json.loads(json.dumps(MINIMAL))
    *parents, last = path.split(".")
    group = document
    for parent in parents:
        group = group.setdefault(parent, {})
    group[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "detail", "hint"),
    [
        ("serach", {}, "serach = {}: unknown field", "did you mean search?"),
        ("search.budget.trails", 5, "search.budget.trails = 5", "did you mean trials?"),
        ("search.budget.trials", 0, "at least 1", "use 1 or more"),
        ("search.budget.trials", 1.5, "must be a whole number", "whole number"),
        ("search.budget.trials", True, "must be a whole number", "whole number"),
        ("search.budget.parameters", "uniform", "neither a number nor", "uniform:8"),
        ("search.budget.gpu_hours", -1, "must be positive", "leave it out"),
        ("search.ranks", "0,2", "must be a list", "brackets"),
        ("search.ranks", [0, "2"], r"search.ranks[1] = '2'", "whole number"),
        ("search.strategy", "bayes", "not one of the choices", "additive"),
        ("search.seed", -1, "must be 0 to", "use 0"),
        ("recipe.optimizer.learning_rate", "1e-4", "must be a number", "1.0e-4"),
        ("recipe.optimizer.learning_rate", float("nan"), "not a number to work", "finite"),
        ("recipe.optimizer.learning_rate", 0, "must be positive", "1e-4"),
        ("recipe.batch", {"examples": 6, "micro": 4}, "multiple of micro = 4", "4"),
        ("recipe.alpha_per_rank", 10**400, "not a number to work with", "finite"),
        ("recipe.alpha_per_rank", float("inf"), "not a number to work with", "finite"),
        ("search.seed", 10**400, "is too large", "stay within"),
        ("search.budget.parameters", "uniform:" + "9" * 5000, "neither a number nor", "uniform:8"),
        ("search.budget.trials", 10**9, "at most 100,000", "use 100000"),
        ("recipe.sequence_length", 10**9, "must be 2 to 1,048,576", "256"),
        ("recipe.data.held_out", 1, "one example per half", "2"),
        ("recipe.alpha_per_rank", 0, "must be positive", "2"),
        ("recipe", None, "must be a group of fields", "data"),
        ("verify.max_trials", 4, "need at least", "allow"),
        ("name", " ", "1 to 200 characters", "shorten"),
        ("search.fixed", [1], "group of name: value", "{name: value}"),
    ],
)
def test_a_bad_study_names_field_value_and_fix(
    path: str, value: Any, detail: str, hint: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode(Study, study_with(path, value))
    assert detail in caught.value.detail
    assert hint in caught.value.hint
    assert caught.value.field.startswith(path.split(".", maxsplit=1)[0])


def test_another_version_is_refused_and_says_so() -> None:
    document = pack(RankVector((1, 2))) | {"wire": 999}
    with pytest.raises(UnsupportedVersion, match="999"):
        unpack(RankVector, document)


def test_the_schema_lists_every_field_and_what_is_required() -> None:
    schema = json_schema(Study)
    assert set(schema["properties"]) == {f.name for f in dataclasses.fields(Study)}
    assert schema["required"] == ["model", "name", "recipe"]
    ranks = schema["properties"]["search"]["properties"]["ranks"]
    assert (ranks["type"], ranks["items"]) == ("array", {"type": "integer"})


def test_the_schema_says_what_each_field_means_and_its_default() -> None:
    fields = dict(_leaves(json_schema(Study)))
    assert len(fields) > 25
    assert [name for name, field in fields.items() if not field.get("description")] == []
    required = {name for name, field in fields.items() if "default" not in field}
    assert required == {"name", "model", "recipe.data.train"}
    defaults = decode(Study, MINIMAL)
    assert fields["search.ranks"]["default"] == list(defaults.search.ranks)
    assert fields["search.strategy"]["default"] == "additive"
    assert fields["search.fixed"]["default"] == {}
    assert fields["recover.steps"]["default"] is None
    assert "Trainable parameters" in fields["search.budget.parameters"]["description"]


def _leaves(schema: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in schema["properties"].items():
        if "properties" in field:
            assert field["description"]
            yield from _leaves(field, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def test_encode_gives_only_json_types() -> None:
    assert json.loads(json.dumps(encode(decode(Study, MINIMAL)))) == encode(decode(Study, MINIMAL))


class Purple(StrEnum):
    """A word among others."""

    PURPLE = "purple"


@dataclass(frozen=True)
class Hue:
    """Something that is no plain value."""

    name: str


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ((1, 2.5, True, None, "x"), [1, 2.5, True, None, "x"]),
        ((1, Purple.PURPLE), [1, "purple"]),
        ([(1, (2, 3)), Hue("red")], [[1, [2, 3]], {"name": "red"}]),
        ({1: (Hue("red"),)}, {"1": [{"name": "red"}]}),
        ((), []),
    ],
)
def test_encode_looks_into_lists_of_anything_but_plain_values(value: Any, known: Any) -> None:
    assert repr(encode(value)) == repr(known)
    assert encode(value) is not value


def test_a_price_needs_a_cost_for_each_rank() -> None:
    assert RankVector((1, 2)).parameters((10, 100)) == 210
    with pytest.raises(ValueError, match="1 costs for 2 ranks"):
        RankVector((1, 2)).parameters((10,))


def test_a_micro_batch_left_to_the_device_is_left_out_for_readers_of_before() -> None:
    """To them a recipe without it means 4, which differs in rounding only."""
    automatic, said = Batch(examples=64), Batch(examples=64, micro=4)
    assert encode(automatic) == {"examples": 64}
    assert encode(said) == {"examples": 64, "micro": 4}
    assert decode(Batch, {"examples": 64, "micro": "auto"}) == decode(Batch, {}) == automatic
    assert decode(Batch, {"examples": 6, "micro": "auto"}).examples == 6
    assert decode(Batch, encode(said)) == said
    with pytest.raises(InvalidInput, match="not one of the choices"):
        decode(Batch, {"micro": "all"})
