"""Each layer contract catches an import that runs upwards, and a room that it does not name."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
CONFIGURATION = TOOLS["importlinter"]
BESIDE = {"bench", "migrations", "tests"}
"""Folders of code that are no package of the product."""

UPWARDS = {
    "Packages form layers": ("tuning/seeds.py", "import pruning"),
    "Rooms of the service": ("service/storage/clock.py", "import service.web.errors"),
    "Rooms of the pages": ("service/web/pages/words.py", "import service.web.pages.templating"),
    "Rooms of the worker": ("worker/trial/versions.py", "import worker.lease.loop"),
    "Rooms of the performance model": (
        "perfmodel/allocation/feasible.py",
        "import perfmodel.study",
    ),
    "Rooms of pruning": ("pruning/container/document.py", "import pruning.profiling.profile"),
}
"""Contract, file, and the import that is planted there."""

CONTAINERS = ("service", "service/web/pages", "worker", "perfmodel", "pruning")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the product with its contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in CONFIGURATION["root_packages"]:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    return tmp_path


def _broken(tree: Path) -> set[str]:
    program = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
    ]
    ended = subprocess.run(
        [*program, "--no-cache"], cwd=tree, capture_output=True, text=True, check=False
    )
    lines = ended.stdout.splitlines()
    broken = {line.removesuffix(" BROKEN") for line in lines if line.endswith(" BROKEN")}
    assert bool(ended.returncode) == bool(broken), ended.stdout + ended.stderr
    return broken


def test_every_folder_of_code_is_a_layer() -> None:
    there = {path.parent.name for path in ROOT.glob("*/*.py")} - BESIDE
    root = next(one for one in CONFIGURATION["contracts"] if "containers" not in one)
    layers = {name for row in root["layers"] for name in row.split(" | ")}
    wheel = set(TOOLS["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert there == layers == wheel == set(CONFIGURATION["root_packages"])


def test_every_layer_contract_is_planted() -> None:
    contracts = CONFIGURATION["contracts"]
    assert {one["name"] for one in contracts if one["type"] == "layers"} == UPWARDS.keys()


def test_an_import_that_runs_upwards_breaks_its_contract(tree: Path) -> None:
    for file, statement in UPWARDS.values():
        path = tree / file
        path.write_text(f"{statement}\n{path.read_text()}")
    assert _broken(tree) >= UPWARDS.keys()


def test_a_room_that_no_contract_names_breaks_it(tree: Path) -> None:
    for package in CONTAINERS:
        (tree / package / "shed.py").write_text('"""A new room."""\n')
    assert _broken(tree) == {name for name in UPWARDS if name.startswith("Rooms")}
