"""The locks: complete, hashed, of one mind with each other, and what images and CI install from."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.unit.deploy.files import DEPLOY, ROOT

FOLDER = DEPLOY / "locks"
NAMES = ("build", "dev", "service", "torch", "torch-cpu", "worker")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]

INSTALLED = {
    "service": (("service",), ("service", "postgres", "redis", "otel")),
    "worker": (("worker", "torch"), ("worker", "redis")),
    "worker on a CPU": (("worker", "torch-cpu"), ("worker", "redis")),
    "dev": (("dev", "torch"), ("dev",)),
    "dev on a CPU": (("dev", "torch-cpu"), ("dev",)),
}
"""Which locks are installed together, for which extras; ``bench`` has no lock: people install it
beside what they have, and no server or worker does."""


def _text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def _lines(lock: str) -> list[str]:
    """A requirement with its hashes each."""
    text = (FOLDER / f"{lock}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if not line.startswith("#")]


def _pins(*locks: str) -> dict[str, Version]:
    wanted = [Requirement(line.split(" --hash")[0]) for lock in locks for line in _lines(lock)]
    return {canonicalize_name(one.name): Version(str(one.specifier)[2:]) for one in wanted}


def _required(extras: Iterable[str]) -> Iterator[Requirement]:
    """What the project needs with ``extras``, those that an extra names in turn included."""
    texts = [
        *PROJECT["project"]["dependencies"],
        *(text for name in extras for text in EXTRAS[name]),
    ]
    for one in map(Requirement, texts):
        if one.name == PROJECT["project"]["name"]:
            yield from _required(sorted(one.extras))
        else:
            yield one


def _unmet(wanted: Iterable[Requirement], pins: dict[str, Version]) -> list[str]:
    found = [(one, pins.get(canonicalize_name(one.name))) for one in wanted]
    return [f"{one}: {pin}" for one, pin in found if pin is None or pin not in one.specifier]


def test_each_extra_has_a_lock_but_that_of_comparisons() -> None:
    locked = {one for _, extras in INSTALLED.values() for one in extras}
    assert set(EXTRAS) - locked == {"bench", "gguf", "gp-optuna", "notebook", "test"}
    assert not _unmet(_required(["gguf", "gp-optuna", "notebook", "test"]), _pins("dev", "torch"))


def test_no_lock_is_without_a_test() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(NAMES)


@pytest.mark.parametrize("lock", NAMES)
def test_every_line_is_one_exact_release_with_hashes(lock: str) -> None:
    exact = re.compile(r"[a-z0-9.-]+==[^\s;*]+( ; [^#]+?)?( +--hash=sha256:[0-9a-f]{64})+")
    assert _lines(lock)
    assert [line for line in _lines(lock) if not exact.fullmatch(line)] == []


@pytest.mark.parametrize("case", INSTALLED)
def test_all_that_the_project_asks_for_is_locked(case: str) -> None:
    locks, extras = INSTALLED[case]
    assert _unmet(_required(extras), _pins(*locks)) == []


@pytest.mark.parametrize("case", INSTALLED)
def test_all_that_a_locked_release_asks_for_is_locked_too(case: str) -> None:
    """As far as that very release is installed here: pip is told to look for nothing else."""
    pins, looked_at = _pins(*INSTALLED[case][0]), 0
    for name, pin in pins.items():
        try:
            there = distribution(name)
        except PackageNotFoundError:
            continue
        if Version(there.version) == pin:
            looked_at += 1
            needs = [Requirement(text) for text in there.requires or ()]
            here = [
                one for one in needs if one.marker is None or one.marker.evaluate({"extra": ""})
            ]
            assert _unmet(here, pins) == [], name
    assert looked_at > len(pins) / 3


def test_the_wheel_is_built_with_what_is_locked() -> None:
    wanted = _text("deploy/locks/build.in").splitlines()
    assert set(PROJECT["build-system"]["requires"]) <= set(wanted)
    here = [Requirement(line) for line in wanted if not line.startswith("#")]
    assert _unmet(here, _pins("build")) == _unmet(here, _pins("dev")) == []


def test_locks_and_constraints_are_of_one_mind() -> None:
    constraints = [
        Requirement(line) for line in re.findall(r"^\w.*", _text("constraints.txt"), re.M)
    ]
    pins = [(lock, name, pin) for lock in NAMES for name, pin in _pins(lock).items()]
    for one in constraints:
        mine = [(lock, pin) for lock, name, pin in pins if name == canonicalize_name(one.name)]
        assert [(lock, pin) for lock, pin in mine if pin not in one.specifier] == [], one
    releases = {(name, pin.public) for _, name, pin in pins}
    assert len(releases) == len({name for name, _ in releases})


def test_only_the_lock_of_torch_brings_cuda() -> None:
    heavy = re.compile(r"(cuda-|triton$|nvidia-(?!nccl-cu12))")
    assert any(map(heavy.match, _pins("torch")))
    assert [
        name for name in _pins("build", "dev", "torch-cpu", "worker") if heavy.match(name)
    ] == []


@pytest.mark.parametrize("file", ["deploy/Dockerfile", "Makefile"])
def test_nothing_is_installed_but_from_a_lock(file: str) -> None:
    text = _text(file).replace("\\\n", " ")
    commands = re.findall(r"pip (?:--python \S+ )?(?:install|wheel) [^&;|\n]+", text)
    locked = [one for one in commands if {"--require-hashes", ":all:"} <= set(one.split())]
    project = [one for one in commands if "--no-index" in one or "--no-build-isolation" in one]
    unlocked = [one for one in commands if one not in locked + project]
    assert locked
    if file == "Makefile":  # a CPU build of torch that no lock knows, said where it is taken
        (torch,) = unlocked
        assert "torch-cpu.txt" in torch
        assert text.index("whose file no lock knows") < text.index(torch)
    else:
        assert unlocked == []
    assert "PIP_NO_DEPS=1" in text or all("--no-deps" in one for one in commands)


def test_what_ci_runs_installs_anew_when_a_lock_changes() -> None:
    assert re.search(r"^make test$", _text(".ci/run"), re.M)
    stamp = re.search(r"^\$\(STAMP\): (.+)$", _text("Makefile"), re.M)
    assert stamp
    assert {f"deploy/locks/{name}.txt" for name in ("dev", "torch", "torch-cpu")} <= set(
        stamp[1].split()
    )
