import pytest

from rankadaptor.blocks import parse_blocks
from rankspace.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "count", "expected"),
    [
        ("1-3", 5, (1, 2, 3)),
        ("3,1,1-2", 5, (1, 2, 3)),
        ("0", 1, (0,)),
        (None, 32, tuple(range(4, 30))),  # LLM-Pruner's own choice for a 7B
        (None, 5, (1, 2, 3)),
        (None, 1, (1,)),
    ],
)
def test_block_lists(text: str | None, count: int, expected: tuple[int, ...]) -> None:
    assert parse_blocks(text, count) == expected


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "3-1", "1-9", "1;2"])
def test_a_bad_list_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="blocks = "):
        parse_blocks(text, 5)
