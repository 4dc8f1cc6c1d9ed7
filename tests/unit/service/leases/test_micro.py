"""Who is told how many examples a pass has where the recipe leaves it to the device."""

from typing import Any

import pytest

from rankspace.lease import AUTOMATIC_SINCE, LEAST_PROTOCOL, PROTOCOL
from tests.unit.service.driver import Service, study


def batch(service: Service, protocol: int, **asked: Any) -> Any:
    service.submit(recipe={**study()["recipe"], "batch": asked})
    said = service.post("/v1/leases", {"worker": "w1", "protocol": protocol}, "worker")
    assert said.status_code == 201, said.text
    return said.json()["recipe"]["batch"]


def test_a_worker_that_can_chooses_by_itself(service: Service) -> None:
    assert batch(service, PROTOCOL, examples=6) == {"examples": 6}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"examples": 64}, 4),
        ({"examples": 6}, 2),  # as 4, its default, it would refuse the assignment, and end
        ({"examples": 7, "micro": "auto"}, 1),
        ({"examples": 6, "micro": 3}, 3),
    ],
)
@pytest.mark.parametrize("protocol", [LEAST_PROTOCOL, AUTOMATIC_SINCE - 1])
def test_a_worker_of_before_is_told_what_it_can_read(
    service: Service, protocol: int, asked: Any, told: int
) -> None:
    assert batch(service, protocol, **asked) == {"examples": asked["examples"], "micro": told}
