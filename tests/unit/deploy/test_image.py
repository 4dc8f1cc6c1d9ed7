"""The image: pinned, without root, with everything the wheel is built from."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.unit.deploy.files import DEPLOY, ROOT, unknown_variables

DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LAST_STAGE = DOCKERFILE.rpartition("\nFROM ")[2]


def _copied() -> set[str]:
    lines = re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+)$", DOCKERFILE, re.MULTILINE)
    return {source for line in lines for source in line.split()[:-1]}


def test_both_stages_start_from_one_exact_python() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.12\.\d+-slim-[a-z]+", bases[0])


def test_what_is_copied_exists_and_reaches_the_builder() -> None:
    allowed = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert all((ROOT / source).exists() for source in _copied())
    assert _copied() == allowed


def test_everything_the_wheel_is_built_from_is_copied() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], PROJECT["project"]["readme"]}
    assert needed <= _copied()


def test_the_last_stage_runs_without_root_and_without_tools() -> None:
    assert re.search(r"^USER 10001:10001$", LAST_STAGE, re.MULTILINE)
    assert "--uid 10001" in LAST_STAGE
    assert "apt-get" not in DOCKERFILE
    assert "pip uninstall" in LAST_STAGE
    assert "pip install" not in LAST_STAGE


def test_its_variables_are_settings() -> None:
    names = set(re.findall(r"RANKADAPTOR_[A-Z_]+(?==)", DOCKERFILE))
    assert names
    assert unknown_variables(names) == set()


@pytest.fixture
def entrypoint(tmp_path: Path) -> dict[str, str]:
    """An environment where ``rankadaptor`` shows its arguments and addresses."""
    shown = 'echo "$@ $RANKADAPTOR_DATABASE_URL ${RANKADAPTOR_REDIS_URL-none}"'
    command = tmp_path / "rankadaptor"
    command.write_text(f"#!/bin/sh\n{shown}\nenv | grep -c _URL_FILE\n")
    command.chmod(0o755)
    (tmp_path / "url").write_text("postgresql+psycopg://a:b@c/d\n")
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}


def _enter(environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [str(DEPLOY / "entrypoint.sh"), "db", "upgrade"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_entrypoint_reads_addresses_from_files(
    entrypoint: dict[str, str], tmp_path: Path
) -> None:
    file = {"RANKADAPTOR_DATABASE_URL_FILE": str(tmp_path / "url")}
    assert _enter(entrypoint | file).stdout == "db upgrade postgresql+psycopg://a:b@c/d none\n0\n"


def test_the_entrypoint_keeps_addresses_that_are_given(entrypoint: dict[str, str]) -> None:
    given = {"RANKADAPTOR_DATABASE_URL": "sqlite:///x", "RANKADAPTOR_REDIS_URL": "redis://y"}
    assert _enter(entrypoint | given).stdout == "db upgrade sqlite:///x redis://y\n0\n"


def test_the_entrypoint_does_not_start_without_a_file_it_was_told_to_read(
    entrypoint: dict[str, str], tmp_path: Path
) -> None:
    missing = {"RANKADAPTOR_DATABASE_URL_FILE": str(tmp_path / "missing")}
    ended = _enter(entrypoint | missing)
    assert ended.returncode != 0
    assert "missing" in ended.stderr
    assert ended.stdout == ""
