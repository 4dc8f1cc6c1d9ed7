"""Records are kept, paired and counted right."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.proposers import __main__ as command
from bench.proposers.campaign import campaign, remarks, runnable
from bench.proposers.intervals import mean_of
from bench.proposers.ledger import lines
from bench.proposers.problems.families import problem
from bench.proposers.record import Record
from bench.proposers.roster import PEERS, arm
from bench.proposers.runner import Task
from bench.proposers.store import Store
from bench.proposers.summary import summary

POSED = problem("separable", 8, 0)
RECORD = Record(
    "separable",
    8,
    0,
    "optuna-tpe",
    25,
    25,
    POSED.fingerprint,
    POSED.space.uniform().ranks,
    3,
    1.5,
    None,
    arm("optuna-tpe").version,
)
KEY = ("separable", 8, 0, "optuna-tpe", 25)


def test_a_mean_has_students_interval() -> None:
    found = mean_of([1.0, 2.0, 3.0, 4.0])
    assert (found.value, found.count) == (2.5, 4)
    assert found.margin == pytest.approx(3.1824 * 1.29099 / 2, rel=1e-4)
    assert found.excludes_zero
    assert not mean_of([-1.0, 2.0, 3.0]).excludes_zero
    assert mean_of([1.0]).margin == float("inf")
    assert not mean_of([]).known


def test_a_mean_covers_the_truth_19_times_in_20() -> None:
    rng = np.random.default_rng(0)
    found = [mean_of(rng.normal(1.0, 2.0, 12).tolist()) for _ in range(2000)]
    assert 0.94 < np.mean([abs(mean.value - 1.0) < mean.margin for mean in found]) < 0.96


def test_a_store_gives_back_what_it_was_given_also_after_a_restart(tmp_path: Path) -> None:
    Store(tmp_path).add([RECORD])
    store = Store(tmp_path)
    assert store.find(KEY, RECORD.fingerprint, RECORD.version) == RECORD
    assert store.find(KEY, "another", RECORD.version) is None
    assert store.find(KEY, RECORD.fingerprint, "optuna 4.0.0") is None
    assert store.find(KEY, RECORD.fingerprint, "") == RECORD
    later = replace(RECORD, seconds=9.0)
    other = replace(RECORD, length=50)
    store.add([later])
    store.add([other])
    again = Store(tmp_path)
    assert again.find(KEY, RECORD.fingerprint, RECORD.version) == later
    assert again.find((*KEY[:4], 50), RECORD.fingerprint, RECORD.version) == other


def test_what_is_stored_is_not_run_again_and_our_own_always_is(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add([RECORD])
    asked = [
        Task("separable", 8, 0, "optuna-tpe", (25,)),
        Task("separable", 8, 0, "optuna-tpe", (25, 50)),
        Task("separable", 8, 0, "ax", (25,)),
        Task("separable", 8, 0, "swap", (25,)),
    ]
    found = campaign(asked, store, runnable={"optuna-tpe"})
    assert found.stored == (RECORD,)
    assert found.waiting == (asked[1], asked[3])
    assert found.left_out == (asked[2],)
    shown = campaign(asked, store, runnable=())
    assert shown.stored == (RECORD, RECORD)
    assert len(remarks(shown.left_out)) == 2
    assert remarks(found.left_out)[0].startswith("ax: 1 studies are not stored")


def test_our_own_answers_are_taken_up_only_from_where_they_were_left(tmp_path: Path) -> None:
    ours = replace(RECORD, arm="swap", version="")
    store, mine = Store(tmp_path / "peers"), Store(tmp_path / "mine")
    mine.add([ours])
    asked = [Task("separable", 8, seed, "swap", (25,)) for seed in (0, 1)]
    assert campaign(asked, store, ()).waiting == tuple(asked)
    again = campaign(asked, store, (), mine)
    assert again.stored == (ours,)
    assert again.waiting == (asked[1],)


@pytest.mark.slow
def test_the_first_seed_may_be_one_that_nobody_has_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["--families", "peaks", "--dims", "8", "--trials", "6", "--arms", "swap"]
    fresh = ["--first", "1000", "--problems", "2", "--processes", "1"]
    resumed = ["--resume", str(tmp_path / "mine"), "--store", str(tmp_path / "peers")]
    monkeypatch.setattr("sys.argv", ["bench.proposers", *told, *fresh, *resumed])
    command.main()
    kept = [json.loads(line) for line in (tmp_path / "mine/swap.jsonl").read_text().splitlines()]
    assert [row["problem"] for row in kept] == [1000, 1001]
    command.main()
    assert len((tmp_path / "mine/swap.jsonl").read_text().splitlines()) == 2
    assert capsys.readouterr().out.count("peaks, 8 layers, 6 trials") == 2


def test_slow_peers_run_only_by_name_and_none_when_stored_answers_do() -> None:
    assert runnable(None, stored=True) == frozenset()
    assert "optuna-tpe" in runnable(None, stored=False)
    assert "optuna-gp" not in runnable(None, stored=False)
    assert runnable(["optuna-gp", "swap"], stored=False) == {"optuna-gp"}


def record_of(arm_name: str, seed: int, halfway: bool) -> Record:
    posed = problem("separable", 8, seed)
    vector = posed.optimum if halfway else posed.space.uniform()
    return replace(
        RECORD, arm=arm_name, problem=seed, fingerprint=posed.fingerprint, ranks=vector.ranks
    )


def test_arms_are_compared_on_the_problems_they_share() -> None:
    records = [record_of("additive", seed, halfway=True) for seed in range(4)]
    records += [record_of("swap", seed, halfway=seed == 0) for seed in range(3)]
    best, worse = lines(records)["separable", 8, 25]
    assert (best.arm, worse.arm) == ("additive", "swap")
    assert best.regret.value == pytest.approx(0.0)
    assert worse.regret.value == pytest.approx(200.0 / 3.0)
    assert (worse.wins, worse.shared) == (2.5, 3)
    assert worse.difference.value == pytest.approx(-200.0 / 3.0)
    assert (worse.infeasible, worse.proposals) == (9, 75)
    assert worse.milliseconds == pytest.approx(60.0)


def test_cut_runs_are_counted_and_nothing_can_be_gained_in_flat() -> None:
    flat = problem("flat", 32, 0)
    record = replace(
        RECORD,
        family="flat",
        layers=32,
        arm="additive",
        trials=10,
        ranks=flat.space.uniform().ranks,
        gain=0.25,
    )
    (line,) = lines([record])["flat", 32, 25]
    assert line.capped == 1
    assert not line.regret.known
    assert line.gain.value == 0.25


def test_the_last_line_takes_the_best_peer_with_enough_problems() -> None:
    def at50(name: str, seed: int, halfway: bool) -> Record:
        posed = problem("reference", 32, seed)
        vector = posed.optimum if halfway else posed.space.uniform()
        return replace(
            RECORD,
            family="reference",
            layers=32,
            length=50,
            problem=seed,
            arm=name,
            ranks=vector.ranks,
            infeasible=int(name in PEERS),
        )

    records = [
        at50(name, s, False) for name in ("additive", "swap", "optuna-tpe") for s in range(4)
    ]
    records.append(at50("ax", 0, True))
    figures = summary(lines(records))
    text = " ".join(f"{name}={value}" for name, value in figures.items())
    assert text == "regret32_at50=100.0 swap32_at50=100.0 best_peer32_at50=100.0 infeasible=0"
    more = summary(lines([*records, at50("ax", 1, True)]))
    assert more["best_peer32_at50"] == "0.0"


@pytest.mark.slow
def test_the_command_prints_its_tables_and_ends_with_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "--families reference --dims 32 --arms additive,swap,optuna-random --trials 50"
    rest = ["--problems", "1", "--store", str(tmp_path / "s"), "--json", str(tmp_path / "j")]
    monkeypatch.setattr("sys.argv", ["bench.proposers", *words.split(), *rest])
    command.main()
    last = capsys.readouterr().out.splitlines()[-1]
    figures = dict(pair.split("=") for pair in last.split())
    assert list(figures) == ["regret32_at50", "swap32_at50", "best_peer32_at50", "infeasible"]
    assert float(figures["regret32_at50"]) < float(figures["swap32_at50"])
    assert figures["infeasible"] == "0"
    assert (tmp_path / "s" / "optuna-random.jsonl").exists()
    assert not (tmp_path / "s" / "swap.jsonl").exists()
    assert '"optuna-random"' in (tmp_path / "j").read_text()
