"""What scores were measured on: compared where both sides know it, completed where one does."""

import pytest

from rankspace.errors import InvalidInput
from rankspace.recipe import UNSTATED_READING, Inputs
from rankspace.study import Study
from rankspace.wire import decode, encode

A, B = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    ("one", "other", "differing"),
    [
        (Inputs(A, A), Inputs(A, A), ()),
        (Inputs(A, A), Inputs(B, A), ("data",)),
        (Inputs(A, A), Inputs(B, B), ("data", "tokenizer")),
        (Inputs(), Inputs(A, B), ()),
        (Inputs(A), Inputs(None, B), ()),
        (Inputs(None, A), Inputs(B, B), ("tokenizer",)),
        (Inputs(A, B, 1), Inputs(A, B, 2), ("reading",)),
        (Inputs(A, B), Inputs(A, B, 2), ()),
    ],
)
def test_only_what_both_know_can_differ(
    one: Inputs, other: Inputs, differing: tuple[str, ...]
) -> None:
    assert one.differing(other) == other.differing(one) == differing


def test_what_is_known_stays_and_the_rest_is_filled_in() -> None:
    assert Inputs(A).completed(Inputs(B, B)) == Inputs(A, B)
    assert Inputs(A, reading=1).completed(Inputs(B, B, 2)) == Inputs(A, B, 1)
    assert Inputs(A).completed(Inputs(None, None, 2)) == Inputs(A, None, 2)


def test_what_a_study_names_has_to_be_what_is_found() -> None:
    assert Inputs(A).confirmed(Inputs(A, B, 2)) == Inputs(A, B, 2)
    assert Inputs(A, B).confirmed(Inputs(A)) == Inputs(A, B)
    with pytest.raises(InvalidInput, match=f"inputs.tokenizer = '{A}': what is found is {B}"):
        Inputs(A, A).confirmed(Inputs(A, B))
    with pytest.raises(InvalidInput, match=r"inputs\.reading = 1: what is found is 2"):
        Inputs(A, A, 1).confirmed(Inputs(A, A, 2))


def test_a_measurement_states_them_among_its_versions() -> None:
    stated = Inputs(A, B, 2).stated()
    assert stated == {"data_sha256": A, "tokenizer_sha256": B, "data_reading": "2"}
    assert Inputs.of({"torch": "2.10", **stated}) == Inputs(A, B, 2)
    assert Inputs(None, B).stated() == {"tokenizer_sha256": B}


def test_who_does_not_say_how_it_read_did_so_as_all_once_did() -> None:
    assert Inputs.of({"torch": "2.10"}) == Inputs(reading=UNSTATED_READING)
    assert Inputs.of({}).differing(Inputs(reading=2)) == ("reading",)


@pytest.mark.parametrize("reading", ["", "0", "x", "2.0", "-1", "\u0662", "1" * 5000])
def test_what_is_no_version_is_refused(reading: str) -> None:
    with pytest.raises(InvalidInput, match=r"reading = .*no version"):
        Inputs.of({"data_reading": reading})


@pytest.mark.parametrize("hash_", ["", "a" * 63, "a" * 65, "A" * 64, "g" * 64, f"{A}\n"])
def test_what_is_no_hash_is_refused(hash_: str) -> None:
    with pytest.raises(InvalidInput, match=r"data = .*no SHA-256"):
        Inputs(hash_)


def test_a_study_of_before_has_none_and_one_of_today_keeps_them() -> None:
    data = {"name": "x", "model": "/m", "recipe": {"data": {"train": "t.jsonl"}}}
    assert decode(Study, data).inputs == Inputs()
    study = decode(Study, {**data, "inputs": {"data": A}})
    assert study.inputs == Inputs(A)
    assert decode(Study, encode(study)) == study
    with pytest.raises(InvalidInput, match=r"inputs\.tokenizer"):
        decode(Study, {**data, "inputs": {"tokenizer": "x"}})
