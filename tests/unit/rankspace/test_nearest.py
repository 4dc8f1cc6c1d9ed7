import difflib
from typing import Any

import pytest

from rankspace.errors import nearest


def test_a_slip_of_the_hand_is_told_from_a_stranger() -> None:
    known = ["train", "validation", "format"]
    assert nearest("vaildation", known) == "validation"
    assert nearest("zzz", known) is None
    assert nearest("zzz", []) is None


def test_a_long_name_comes_back_whole() -> None:
    name = "model.layers.0." * 20
    assert nearest(name[1:], [name]) == name


def test_only_so_much_is_compared_whatever_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def compared(word: str, possibilities: Any, **_: Any) -> list[str]:
        seen.extend([len(word), len(possibilities), *map(len, possibilities)])
        return []

    monkeypatch.setattr(difflib, "get_close_matches", compared)
    assert nearest("x" * 10**6, (f"{at} " * 10**3 for at in range(10**4))) is None
    assert max(seen) == 500
    assert seen[0] == 64
    assert set(seen[2:]) == {64}
