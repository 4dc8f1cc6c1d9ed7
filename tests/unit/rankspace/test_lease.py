"""Lease messages: what older workers and services say is still understood, and what is refused."""

from typing import Any

import pytest

from rankspace.errors import InvalidInput
from rankspace.lease import MAX_ERROR, Capabilities, Claim, Heartbeat, Holding, Receipt, Report
from rankspace.wire import decode, encode, only

HELD = {"worker": "w1", "token": 1, "study_id": "st_1"}


def test_a_claim_of_protocol_1_says_nothing_of_the_worker() -> None:
    assert decode(Claim, {"worker": "w1", "protocol": 1}) == Claim("w1", 1)


def test_a_claim_reads_as_the_version_before_wrote_it() -> None:
    able = {"gpu_memory_gib": 80.0, "architectures": ["LlamaForCausalLM"], "resident": None}
    body = {"worker": "w1", "protocol": 2, "capabilities": able, "process": "0123456789abcdef"}
    claim = Claim("w1", 2, Capabilities(80.0, ("LlamaForCausalLM",)), "0123456789abcdef")
    assert decode(Claim, body) == claim
    assert encode(claim) == body


def test_a_report_reads_as_the_version_before_wrote_it() -> None:
    body = {**HELD, "outcome": "failed", "measurement": None, "error": "the loss is NaN"}
    report = Report("w1", 1, "st_1", "failed", None, "the loss is NaN")
    assert decode(Report, body) == report
    assert encode(report) == body


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        (Claim, {"worker": "a/b", "protocol": 2}, "worker"),
        (Claim, {"worker": "w1", "protocol": 2, "process": "x" * 65}, "process"),
        (Claim, {"worker": "w1", "protocol": 2, "novelty": 1}, "novelty"),
        (Holding, {**HELD, "worker": ""}, "worker"),
        (Holding, {**HELD, "token": 0}, "token"),
        (Heartbeat, {**HELD, "interim": [[1, 2.0], [3]]}, "interim[1]"),
        (Heartbeat, {**HELD, "interim": [[1, 2.0]] * 10_001}, "interim"),
        (Report, {**HELD, "outcome": "done"}, "measurement"),
        (Report, {**HELD, "outcome": "failed"}, "error"),
        (Report, {**HELD, "outcome": "failed", "error": "x" * (MAX_ERROR + 1)}, "error"),
        (Receipt, {"status": "perhaps"}, "status"),
    ],
)
def test_what_cannot_be_meant_is_refused(kind: type[Any], body: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode(kind, body)
    assert refused.value.field == field


def test_the_longest_error_fits() -> None:
    body = {**HELD, "outcome": "failed", "error": "x" * MAX_ERROR}
    assert decode(Report, body).error == "x" * MAX_ERROR


def test_only_leaves_out_what_a_kind_does_not_know() -> None:
    assert only(Receipt, {"status": "accepted", "novelty": 1}) == {"status": "accepted"}
    assert only(Holding, encode(Heartbeat("w1", 1, "st_1", ((1, 2.0),)))) == HELD


def test_only_leaves_alone_what_is_no_group_of_fields() -> None:
    assert only(Receipt, ["accepted"]) == ["accepted"]


@pytest.mark.parametrize("name", ["gpu.0", ".gpu", "gpu..1", "box gpu 0", "grün-0", "a?b#%2e"])
def test_odd_names_of_workers_that_run_already_stay_good(name: str) -> None:
    assert Claim(name, 1).worker == name


@pytest.mark.parametrize("name", [".", "..", "...", "a/b", "a\\b", "\\", "a\u202eb", "a\x1b[2J"])
def test_names_that_no_address_or_file_can_hold_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="worker"):
        Claim(name, 1)


def test_whoever_holds_a_trial_under_such_a_name_may_end_it() -> None:
    assert decode(Holding, {**HELD, "worker": ".."}) == Holding("..", 1, "st_1")
