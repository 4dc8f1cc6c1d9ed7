"""Mutants are aimed at code that is there, and what kills none is told from what could not run."""

from pathlib import Path

import pytest

from bench.mutants.mutant import plant
from bench.mutants.roster import GROUPS, MUTANTS
from bench.mutants.tree import ROOT, failed_test


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_changes_one_place_and_names_tests_that_exist(name: str, tmp_path: Path) -> None:
    mutant = MUTANTS[name]
    copy = tmp_path / mutant.file
    copy.parent.mkdir(parents=True)
    before = (ROOT / mutant.file).read_text()
    copy.write_text(before)
    assert plant(mutant, tmp_path) == before
    compile(copy.read_text(), mutant.file, "exec")
    assert copy.read_text() != before
    assert (ROOT / mutant.tests).is_file()


def test_no_two_mutants_have_one_name() -> None:
    assert sum(map(len, GROUPS)) == len(MUTANTS)


@pytest.mark.parametrize(("body", "expected"), [("assert 1", ""), ("assert 0", "test_it")])
def test_the_test_that_fails_is_named(body: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text(f"def test_it():\n    {body}\n")
    assert failed_test(tmp_path, "test_one.py") == expected


def test_tests_that_cannot_run_kill_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text("import nowhere_to_be_found\n")
    with pytest.raises(RuntimeError, match="did not run"):
        failed_test(tmp_path, "test_one.py")
