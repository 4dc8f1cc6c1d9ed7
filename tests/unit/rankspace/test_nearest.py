import difflib
from typing import Any, ClassVar

import pytest

from rankspace.errors import LONGEST_COMPARED, MOST_COMPARED, MOST_MATCHED, nearest


def test_a_slip_of_the_hand_is_told_from_a_stranger() -> None:
    known = ["train", "validation", "format"]
    assert nearest("vaildation", known) == "validation"
    assert nearest("zzz", known) is None
    assert nearest("zzz", []) is None


def test_a_long_name_comes_back_whole() -> None:
    name = "model.layers.0." * 20
    assert nearest(name[1:], [name]) == name


def test_most_characters_in_common_is_not_enough() -> None:
    assert nearest("abcd", [*["dcba"] * 3, "abc"]) == "abc"


class Counted(difflib.SequenceMatcher[str]):
    lengths: ClassVar[list[int]] = []
    matched: ClassVar[list[str]] = []

    def set_seq1(self, a: Any) -> None:
        self.lengths.append(len(a))
        self.compared = a
        super().set_seq1(a)

    def set_seq2(self, b: Any) -> None:
        self.lengths.append(len(b))
        super().set_seq2(b)

    def ratio(self) -> float:
        self.matched.append(self.compared)
        return super().ratio()


def test_only_so_much_is_compared_whatever_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(difflib, "SequenceMatcher", Counted)
    monkeypatch.setattr(Counted, "lengths", [])
    monkeypatch.setattr(Counted, "matched", [])
    assert nearest("x" * 10**6, (f"{at} " * 10**3 for at in range(10**4))) is None
    assert len(Counted.lengths) <= 1 + 1 + MOST_COMPARED + MOST_MATCHED + 1
    assert set(Counted.lengths) <= {0, LONGEST_COMPARED}
    assert len(set(Counted.matched)) == MOST_MATCHED
