import pytest

from rankspace.errors import InvalidInput
from rankspace.observation import MOST_ROWS, MOST_TAUGHT_RANKS, Taught
from rankspace.rank_vector import MOST_RANK
from rankspace.study import Opinion
from rankspace.wire import decode, encode

TAUGHT = Taught(((2, 4), (4, 2)), (0.5, -0.5))


def test_it_survives_its_json_form() -> None:
    assert decode(Taught, encode(TAUGHT)) == TAUGHT


@pytest.mark.parametrize(
    ("vectors", "scores", "field"),
    [
        ((), (), "vectors"),
        (((),), (0.0,), "vectors"),
        (((1,),) * (MOST_ROWS + 1), (0.0,) * (MOST_ROWS + 1), "vectors"),
        (((1,) * (MOST_TAUGHT_RANKS // 2 + 1),) * 2, (0.0, 0.0), "vectors"),
        (((1, 2), (1,)), (0.0, 0.0), "vectors[1]"),
        (((1, -1),), (0.0,), "vectors[0]"),
        (((1, MOST_RANK + 1),), (0.0,), "vectors[0]"),
        (((1, 2),), (), "scores"),
        (((1, 2),), (10.1,), "scores[0]"),
        (((1, 2),), (-1e308,), "scores[0]"),
        (((1, 2),), (float("nan"),), "scores[0]"),
    ],
)
def test_what_cannot_be_names_the_field(
    vectors: tuple[tuple[int, ...], ...], scores: tuple[float, ...], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        Taught(vectors, scores)
    assert refused.value.field == field
    assert refused.value.hint


def test_an_opinion_is_of_layers_or_of_trials() -> None:
    assert Opinion("x", taught=TAUGHT).log_worth == ()
    for worth, taught in (((), None), ((0.5, 0.5), TAUGHT)):
        with pytest.raises(InvalidInput, match="log_worth"):
            Opinion("x", worth, taught)


def test_what_says_nothing_is_not_written() -> None:
    """A service of before refuses a field that it does not know."""
    assert encode(Opinion("x", (0.5,))) == {"version": "x", "log_worth": [0.5]}
