"""A verdict is stored twice: all of it, and what a service of the version before reads."""

from dataclasses import replace

from rankspace.verdict import Controlled, RatePoint, Rates
from rankspace.wire import encode
from service.storage.documents import plain_verdict, verdict_of
from tests import verdicts

VERSUS = replace(verdicts.VERSUS, worst=-0.01, texts=64, least_gain=0.01)
VERDICT = replace(
    verdicts.VERDICT,
    versus_uniform=VERSUS,
    versus_random=VERSUS,
    luck=0.02,
    controls=(Controlled("o_proj", verdicts.UNIFORM, 40, VERSUS),),
    rates=Rates((RatePoint(3.0, -3.0, None),), "said", 1.0),
)
LATER = {"luck", "worst", "texts", "least_gain", "controls", "rates"}


def test_the_version_before_meets_no_field_that_it_does_not_know() -> None:
    plain = encode(plain_verdict(VERDICT))
    assert not LATER & {*plain, *plain["versus_uniform"], *plain["versus_random"]}
    assert plain["versus_uniform"]["gain"] == 0.1


def test_all_of_it_is_read_unless_the_version_before_has_written_a_newer_one() -> None:
    plain, whole = encode(plain_verdict(VERDICT)), encode(VERDICT)
    assert verdict_of(plain, whole) == VERDICT
    assert verdict_of(plain) == plain_verdict(VERDICT)
    newer = encode(plain_verdict(replace(VERDICT, trials=60)))
    assert verdict_of(newer, whole) == plain_verdict(replace(VERDICT, trials=60))
    assert verdict_of(None, whole) is None


def test_what_a_later_version_says_beside_is_passed_over() -> None:
    assert verdict_of(encode(plain_verdict(VERDICT)), {**encode(VERDICT), "later": 1}) == VERDICT
