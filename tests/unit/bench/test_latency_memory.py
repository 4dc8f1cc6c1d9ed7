"""Latency in memory: real studies are timed, and what is too slow is given up."""

import time

import pytest

from bench.latency import __main__ as command
from bench.latency import memory, optuna_study
from bench.latency.cell import Cell, Timing
from bench.latency.history import history
from bench.latency.stopwatch import timed
from bench.latency.table import growth, table

pytestmark = pytest.mark.slow


def test_the_median_of_a_known_wait_is_measured() -> None:
    def wait(seconds: float) -> None:
        time.sleep(seconds)

    found = timed(
        Cell("x", 1, 1), lambda: wait(0.02), lambda: wait(0.01), lambda: wait(0.005), cycles=5
    )
    assert found.load >= 0.03
    assert found.propose >= 10.0  # no upper bounds: the machine may be busy
    assert found.learn >= 5.0


def test_histories_are_distinct_vectors_on_the_budget() -> None:
    past = history(32, 20)
    vectors = [seen.rank_vector for seen in (*past.known, *past.coming)]
    assert len(past.known) == 20
    assert len(set(vectors)) == len(vectors)
    assert all(past.space.affords(vector) for vector in vectors)


def test_a_strategy_and_optuna_know_the_whole_history() -> None:
    past = history(8, 30)
    ours = memory.Own("swap", past)
    ours.load()
    ours.propose()
    ours.learn()
    assert len(ours._state.observations) == 31
    peer = optuna_study.Study(past, None, cap=60.0)
    peer.load()
    peer.propose()
    peer.learn()
    assert [trial.value for trial in peer._study.trials[:30]] == [o.score for o in past.known]
    assert len(peer._study.trials) == 31


def test_what_would_not_load_in_time_is_not_measured() -> None:
    cell = Cell(optuna_study.SQLITE, 8, 1_000)
    assert optuna_study.measure(cell, cycles=1, cap=0.01) is None
    small = optuna_study.measure(Cell(optuna_study.SQLITE, 8, 10), cycles=1, cap=60.0)
    assert small is not None
    assert small.learn > 0.0


def test_growth_is_the_power_of_the_trials() -> None:
    assert growth(400.0, 4.0, (1_000, 10)) == pytest.approx(1.0)
    assert growth(4.0, 4.0, (1_000, 10)) == 0.0
    small, large = Cell("additive", 32, 10), Cell("additive", 32, 1_000)
    shown = table({small: Timing(small, 1, 4.0, 1.0, 5.0), large: Timing(large, 1, 40.0, 1.0, 9.0)})
    assert list(shown.columns[5].cells) == ["", "0.50"]
    missing = table({small: None})
    assert list(missing.columns[4].cells) == ["not measured"]


@pytest.mark.slow
def test_the_last_line_names_four_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "LAYERS", (4,))
    monkeypatch.setattr(command, "QUICK", (10,))
    monkeypatch.setattr(command, "SHOWN", Cell("swap", 4, 10))
    words = ["--quick", "--skip-rest", "--strategies", "swap", "--cycles", "2"]
    monkeypatch.setattr("sys.argv", ["bench.latency", *words])
    command.main()
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("propose_ms=")
    assert last.endswith("rest_propose_ms=not measured rest_report_ms=not measured")
    assert float(last.split()[1].removeprefix("learn_ms=")) > 0.0
