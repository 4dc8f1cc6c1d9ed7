"""Rules by their names, and rates that somebody wrote down."""

from typing import Any

import pytest

from pruning.rates.document import given_from, rates_from
from pruning.rates.rates import within
from pruning.rates.rules import (
    RULES,
    AlphaPruning,
    Arithmetic,
    Cfsp,
    DepthLinear,
    Given,
    RateRule,
    Rmi,
    Uniform,
    parse_rule,
)
from rankspace.errors import InvalidInput

WRITTEN: dict[str, RateRule] = {
    "uniform": Uniform(),
    "atp:0.004": Arithmetic(0.004),
    "depth-linear:0.1": DepthLinear(0.1),
    "alpha-pruning": AlphaPruning(0.3),
    "alpha-pruning:0.1": AlphaPruning(0.1),
    "rmi": Rmi(),
    "rmi:0.05": Rmi(0.05),
    "cfsp": Cfsp(1.0),
    "cfsp:0.5": Cfsp(0.5),
}


@pytest.mark.parametrize(("text", "rule"), WRITTEN.items())
def test_a_rule_is_read_as_it_says_itself(text: str, rule: RateRule) -> None:
    assert parse_rule(text) == rule
    assert parse_rule(rule.label) == rule


def test_every_rule_is_written_above() -> None:
    assert {text.partition(":")[0] for text in WRITTEN} == set(RULES)
    assert parse_rule("rates.yaml") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("uniform:2", "takes no number"),
        ("atp", "needs the step"),
        ("atp:", "ends in no number"),
        ("atp:inf", "ends in no number"),
        ("depth-linear", "needs the rate of the first block"),
        ("depth-linear:a", "ends in no number"),
        ("alpha-pruning:1", "must lie between 0 and 1"),
        ("rmi:0", "must lie between 0 and 1"),
        ("cfsp:0", "must lie between 0 and 50"),
        ("cfsp:51", "must lie between 0 and 50"),
    ],
)
def test_half_a_rule_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=f"rates = .*: {problem}"):
        parse_rule(text)


def test_rates_are_read_from_yaml_and_json_alike() -> None:
    expected = {2: 0.5, 10: 0.0}
    assert rates_from({10: 0, 2: 0.5}) == rates_from({"10": 0.0, "2": 0.5}) == expected
    assert list(rates_from({10: 0, 2: 0.5})) == [2, 10]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (None, "rates"),
        ([0.5], "rates"),
        ({}, "rates"),
        ({"a": 0.5}, "rates key"),
        ({-1: 0.5}, "rates key"),
        ({True: 0.5}, "rates key"),
        ({"01": 0.5}, "rates key"),
        ({1: 1.5}, "rates.1"),
        ({1: -0.1}, "rates.1"),
        ({1: "half"}, "rates.1"),
        ({1: True}, "rates.1"),
        ({1: float("nan")}, "rates.1"),
        ({1: 0.5, "1": 0.5}, "rates.1"),
    ],
)
def test_what_are_no_rates_is_refused_by_its_field(document: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        rates_from(document)
    assert caught.value.field == field


def test_what_a_search_wrote_says_where_it_comes_from() -> None:
    found = given_from({"rates": {"1": 0.5}, "search": {"method": "flap", "loss": 5e-05}})
    assert found == Given({1: 0.5}, {"method": "flap", "loss": 5e-05})
    assert (found.label, given_from({1: 0.5}).label) == ("search", "given")
    assert given_from({"rates": {1: 0.5}}) == given_from({1: 0.5}) == Given({1: 0.5})


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"rates": {1: 0.5}, "serach": {}}, "'serach': is not known beside rates"),
        ({"rates": {1: 0.5}, "search": [1]}, "search = .*is no mapping"),
        ({"rates": {1: 0.5}, "search": {"loss": float("nan")}}, "search = .*is not JSON"),
        ({"rates": {1: 0.5}, "search": {"when": {1, 2}}}, "search = .*is not JSON"),
        ({"rates": {1: 1.5}}, "rates.1 = 1.5"),
        ({"rates": 0.5}, "rates = 0.5"),
    ],
)
def test_half_of_what_a_search_writes_is_refused(document: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        given_from(document)


def test_given_rates_are_held_against_blocks_and_ratio() -> None:
    given, sizes = Given({1: 0.2, 2: 0.5}), {1: 10, 2: 20}
    assert given.rates(0.4, sizes) == {1: 0.2, 2: 0.5}
    for other, field in (({1: 10}, "rates.2"), ({**sizes, 5: 1}, "rates.5")):
        with pytest.raises(InvalidInput) as caught:
            given.rates(0.4, other)
        assert caught.value.field == field
    with pytest.raises(InvalidInput, match=r"ratio = 0\.5: is not what the rates come to.*0\.4"):
        given.rates(0.5, sizes)


@pytest.mark.parametrize(("rate", "way"), [(-0.01, "larger"), (1.01, "smaller")])
def test_the_fix_of_a_rate_that_is_no_share_leads_towards_one(rate: float, way: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        within({0: 0.5, 1: rate})
    assert caught.value.field == "rates.1"
    assert caught.value.hint.startswith(f"ask for a {way} ratio")
