import pytest

from rankadaptor.blocks import MOST_BLOCKS, parse_blocks, parse_original
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


@pytest.mark.parametrize(
    "text",
    ["", "a", "1-", "-1", "3-1", "1-9", "1;2", "0-999999999", "0-9999999999", "5", "9" * 5000],
)
def test_a_bad_list_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="blocks = "):
        parse_blocks(text, 5)


def test_blocks_of_a_dense_model_that_is_not_here() -> None:
    assert parse_original("0-2, 25") == (0, 1, 2, 25)
    assert parse_original(str(MOST_BLOCKS - 1)) == (MOST_BLOCKS - 1,)


@pytest.mark.parametrize("text", ["", "x", "3-1", str(MOST_BLOCKS), "0-999999999", "0-9999999999"])
def test_more_than_any_model_has_names_the_option_that_was_given(text: str) -> None:
    """A set of a thousand million numbers was made before anybody counted them."""
    with pytest.raises(InvalidInput, match="original = ") as caught:
        parse_original(text)
    assert caught.value.hint
