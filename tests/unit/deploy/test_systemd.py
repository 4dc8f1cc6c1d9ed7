"""The systemd units: accepted by systemd where there is one, hardened everywhere."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.deploy.files import DEPLOY, commands, unknown_variables

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
each = pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
ANALYZE = shutil.which("systemd-analyze")
real = pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze: units were only parsed")

HARDENED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "DynamicUser": "yes",
    "PrivateTmp": "yes",
    "RestrictSUIDSGID": "yes",
    "CapabilityBoundingSet": "",
    "KillSignal": "SIGTERM",
    "UMask": "0077",
}


class _Unit(configparser.RawConfigParser):
    """Keys keep their case; one given twice keeps all its lines."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def _service(path: Path) -> dict[str, str]:
    unit = _Unit(strict=False, interpolation=None)
    unit.read(path)
    return dict(unit["Service"])


@pytest.fixture
def installed(tmp_path: Path) -> list[str]:
    """The units as they would be installed, with a program that exists here; one per instance."""
    for path in UNITS:
        text = path.read_text().replace("/opt/rankadaptor/bin/rankadaptor", "/bin/true")
        (tmp_path / path.name.replace("@", "@0")).write_text(text)
        (tmp_path / path.name).write_text(text)
    return [str(tmp_path / path.name.replace("@", "@0")) for path in UNITS]


def test_both_units_are_there() -> None:
    assert [path.name for path in UNITS] == ["rankadaptor-worker@.service", "rankadaptor.service"]


def test_what_plans_may_run_out_of_memory_alone() -> None:
    service = _service(DEPLOY / "systemd" / "rankadaptor.service")
    assert service["OOMPolicy"] == "continue"
    assert service["KillMode"] == "mixed"  # the parent hears of the end, and tells the child


@each
def test_it_is_hardened(path: Path) -> None:
    service = _service(path)
    assert {name: service.get(name) for name in HARDENED} == HARDENED
    assert service["StateDirectory"]
    assert int(service["TimeoutStopSec"]) >= 30


@each
def test_its_command_and_its_variables_exist(path: Path) -> None:
    text = path.read_text()
    started = re.search(r"^ExecStart=/opt/rankadaptor/bin/rankadaptor (.+)$", text, re.MULTILINE)
    assert started
    assert started[1] in commands()
    assert unknown_variables(re.findall(r"^Environment=(\w+)=", text, re.MULTILINE)) == set()


@real
def test_systemd_accepts_the_units(installed: list[str]) -> None:
    ran = subprocess.run(
        [str(ANALYZE), "verify", *installed], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@real
def test_systemd_calls_the_exposure_low(installed: list[str]) -> None:
    options = ["security", "--offline=true", "--no-pager", "--threshold=25"]  # of 100
    for unit in installed:
        ran = subprocess.run(
            [str(ANALYZE), *options, unit], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout[-200:] + ran.stderr
