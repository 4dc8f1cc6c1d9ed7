"""Stored documents that earlier versions wrote."""

import pytest

from perfmodel.additive.belief import Belief
from rankspace.errors import InvalidInput
from service.storage.documents import belief_of, write

OLD = (
    '{"wire":1,"value":{"log_worth":[0.25,-0.25],"spread":0.71,"noise":0.3,'
    '"prior":"2026-11-25-0123456789ab"}}'
)


@pytest.mark.parametrize("document", [OLD, OLD.replace('"noise":0.3', '"noise":null')])
def test_a_belief_that_says_its_spread_and_noise_is_read_without_them(document: str) -> None:
    belief = Belief((0.25, -0.25), "2026-11-25-0123456789ab")
    assert belief_of(document) == belief
    assert belief_of(write(belief)) == belief
    assert belief_of(None) is None


def test_any_other_unknown_field_of_a_belief_is_still_an_error() -> None:
    with pytest.raises(InvalidInput, match="unknown field"):
        belief_of(OLD.replace("spread", "width"))
