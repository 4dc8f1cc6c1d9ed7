"""Guards on the generic import names (docs/decisions/0001)."""

import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

DISTRIBUTION = "rankadaptor"
PACKAGES = ["rankadaptor", "rankspace", "tuning", "perfmodel", "pruning", "service", "worker"]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_ships_our_import_names(package: str) -> None:
    owners = set(packages_distributions().get(package, ()))
    assert owners <= {DISTRIBUTION}, f"{package!r} would be overwritten by {owners}"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_type_checker_is_told_of_every_package(package: str) -> None:
    assert (Path(__file__).parents[2] / package / "py.typed").exists()


@pytest.mark.parametrize("package", PACKAGES)
def test_no_import_name_is_in_the_standard_library(package: str) -> None:
    assert package not in sys.stdlib_module_names
