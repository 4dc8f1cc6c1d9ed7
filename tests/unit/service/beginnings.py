"""What a data directory may begin with: the work is done once in each process, and copied."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from tests.unit.service.driver import SEARCH, VERIFY, Service, holding, score, study

INPUTS = {"data": "a" * 64, "tokenizer": "b" * 64}
"""What a study says that it is measured on."""

AT_RECIPE = {**study()["verify"], "at": "recipe", "recipe_seeds": 3}

EVALUATED = {
    "epochs": 1,
    "steps": 20,
    "metrics": [
        {"perplexity": "wiki.txt", "form": "wikitext2"},
        {"task": "arc.jsonl", "sha256": "c" * 64},
    ],
}
"""What the recovered models of a study are evaluated on."""


def until_searched(service: Service) -> None:
    service.submit(search=SEARCH, verify=VERIFY)
    service.work(24)
    service.sweep()


def until_judged(service: Service) -> None:
    """The next trial is the first of the verification that judges."""
    service.submit()
    _until(service, lambda lease: (lease["purpose"], lease["split"]) == ("verify", "final"))


def until_recovery(service: Service) -> None:
    service.submit()
    _until(service, _is_recovery)


def until_pairs(service: Service) -> None:
    """The recovery of the winner is to be followed by others, and judged."""
    service.submit(verify=AT_RECIPE)
    _until(service, _is_recovery)


def until_evaluated(service: Service) -> None:
    """The same, and what is recovered is to be evaluated."""
    service.submit(verify=AT_RECIPE, recover=EVALUATED)
    _until(service, _is_recovery)


def until_done(service: Service) -> None:
    service.submit()
    service.work()


def until_done_on_stated_inputs(service: Service) -> None:
    service.submit(inputs=INPUTS)
    service.work()


def _is_recovery(lease: Mapping[str, Any]) -> bool:
    return bool(lease["purpose"] == "recover")


def _until(service: Service, is_next: Callable[[Mapping[str, Any]], bool]) -> None:
    """Work up to a trial, which is claimed and given back."""
    while not is_next(lease := service.claim()):
        service.report(lease, score(lease))
    path = f"/v1/leases/{lease['trial_id']}/release"
    assert service.post(path, holding(lease), "worker").status_code == 204


BEGINNINGS: Mapping[str, Callable[[Service], None]] = MappingProxyType(
    {
        "searched": until_searched,
        "judged": until_judged,
        "recovering": until_recovery,
        "pairs": until_pairs,
        "evaluated": until_evaluated,
        "done": until_done,
        "stated": until_done_on_stated_inputs,
    }
)

SEARCHED = pytest.mark.begun("searched")
JUDGED = pytest.mark.begun("judged")
RECOVERING = pytest.mark.begun("recovering")
PAIRS = pytest.mark.begun("pairs")
TO_BE_EVALUATED = pytest.mark.begun("evaluated")
DONE = pytest.mark.begun("done")
STATED = pytest.mark.begun("stated")
