"""The command line of the chaos run: nothing that is asked for is passed over in silence."""

import pytest

from bench.chaos.__main__ import USUAL, parse


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--quick --only-mutants", "not allowed with argument --quick"),
        ("--quick --no-mutants", "not allowed with argument --quick"),
        ("--no-mutants --only-mutants", "not allowed with argument --no-mutants"),
        ("--only-mutants --trials 50", "--trials: --only-mutants does not use it"),
        ("--only-mutants --workers 5", "--workers: --only-mutants does not use it"),
        ("--only-mutants --studies 5", "--studies: --only-mutants does not use it"),
        ("--only-mutants --database sqlite", "--database: --only-mutants does not use it"),
        ("--only-mutants --json figures.json", "--json: --only-mutants does not use it"),
        ("--trials 0", "1 or more"),
        ("--quick --workers -1", "1 or more"),
        ("--studies 0", "1 or more"),
        ("--quick --trials 2", "more than the 2 trials they share"),
    ],
)
def test_what_would_be_ignored_or_cannot_run_is_refused(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(words.split())
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_quick_run_is_small_but_for_what_is_given() -> None:
    found = parse(["--quick", "--trials", "50", "--database", "sqlite"])
    assert (found.trials, found.workers, found.studies) == (50, 8, 3)
    assert found.database == "sqlite"


@pytest.mark.parametrize("words", [[], ["--no-mutants"], ["--only-mutants"]])
def test_every_other_run_is_the_large_one(words: list[str]) -> None:
    found = parse(words)
    assert {name: getattr(found, name) for name in USUAL} == USUAL
