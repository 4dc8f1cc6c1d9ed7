"""Values and paired differences of recovered models, against what is known of them."""

import math
import statistics
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from perfmodel.evidence.rungs.recovered_metrics import Evaluated, recovered_metrics
from rankspace import RankVector
from rankspace.evaluation.metric_score import MetricScore
from rankspace.evaluation.recovered import RecoveredMetric
from rankspace.evaluation.recovery_metric import RecoveryMetric

TEXT, TASK = RecoveryMetric(perplexity="/d/wiki.txt"), RecoveryMetric(task="/d/arc.jsonl")
PRUNED, UNIFORM, WINNER = (RankVector((rank, 2)) for rank in (0, 2, 4))
MODELS = {"pruned": PRUNED, "uniform": UNIFORM, "winner": WINNER}


def text(losses: list[float]) -> MetricScore:
    ones = (1,) * len(losses)
    return MetricScore("perplexity", "a" * 64, ones, tuple(losses), total=len(losses))


def task(right: list[float], counts: list[int], margin: float = 0.0) -> MetricScore:
    margins, total = tuple(margin * n for n in counts), sum(counts)
    return MetricScore("acc", "b" * 64, tuple(counts), tuple(right), margins, total=total)


def summed(metric: RecoveryMetric, *runs: tuple[RankVector, int, MetricScore]) -> RecoveredMetric:
    evaluated = [Evaluated(vector, seed, (score,)) for vector, seed, score in runs]
    (found,) = recovered_metrics([metric], evaluated, MODELS)
    return found


def test_one_recovery_has_the_error_of_its_documents() -> None:
    right = [1.0, 0.0, 1.0, 1.0, 0.0]
    (score,) = summed(TASK, (WINNER, 1, task(right, [1] * 5))).scores
    assert (score.model, score.seeds) == ("winner", 1)
    assert score.value == pytest.approx(0.6)
    assert score.error == pytest.approx(statistics.stdev(right) / math.sqrt(5))


def test_a_perplexity_is_that_of_the_mean_loss_with_its_error() -> None:
    losses = [2.0, 2.5, 3.0, 2.1]
    (score,) = summed(TEXT, (WINNER, 1, text(losses))).scores
    perplexity = math.exp(statistics.fmean(losses))
    assert score.value == pytest.approx(perplexity)
    assert score.error == pytest.approx(perplexity * statistics.stdev(losses) / 2.0)


def test_a_loss_beyond_any_perplexity_has_none() -> None:
    (score,) = summed(TEXT, (WINNER, 1, text([800.0, 900.0]))).scores
    assert (score.value, score.error, score.by_seed) == (None, None, (None,))


def test_groups_cover_as_often_as_documents_and_seeds_do() -> None:
    """A 95 % interval of the difference, over fresh documents and fresh trainings both."""
    draws, inside = np.random.default_rng(0), 0
    counts = [4] * 30 + [5] * 20
    ends = np.cumsum([0, *counts])
    for _ in range(300):
        runs = []
        for vector, shift in ((UNIFORM, 0.0), (WINNER, 0.08)):
            for seed in range(5):
                chance = 0.5 + shift + draws.normal(0.0, 0.03)
                right = draws.random(ends[-1]) < chance
                sums = [float(right[a:b].sum()) for a, b in pairwise(ends)]
                runs.append((vector, seed, task(sums, counts)))
        found = summed(TASK, *runs).difference
        assert found is not None
        assert found.error is not None
        inside += abs(found.mean - 0.08) <= 1.96 * found.error
    assert inside / 300 >= 0.95


def test_pairs_are_of_one_seed_and_take_the_documents_noise_out() -> None:
    hard = [1.0, 5.0, 2.0, 9.0]
    easier = [loss - 0.5 for loss in hard]
    found = summed(
        TEXT,
        (WINNER, 1, text(easier)),
        (UNIFORM, 1, text(hard)),
        (WINNER, 2, text(easier)),
        (UNIFORM, 3, text(easier)),
    )
    assert found.difference is not None
    assert (found.difference.mean, found.difference.seeds) == (-0.5, 1)
    assert found.difference.error == pytest.approx(0.0)
    assert [score.seeds for score in found.scores] == [2, 2]
    assert found.scores[1].error is not None
    assert found.scores[1].error > 1.0


def test_of_a_recovery_that_ran_again_the_first_counts() -> None:
    once, again = task([1.0, 1.0], [1, 1]), task([0.0, 0.0], [1, 1])
    (score,) = summed(TASK, (WINNER, 1, once), (WINNER, 1, again)).scores
    assert (score.value, score.seeds) == (1.0, 1)


def test_what_was_measured_on_another_file_is_left_out_and_counted() -> None:
    other = replace(task([1.0, 1.0], [1, 1]), file="c" * 64)
    found = summed(TASK, (UNIFORM, 1, task([1.0, 0.0], [1, 1])), (WINNER, 1, other))
    assert found.difference is None
    assert "1 recoveries were measured on another file, or read otherwise" in found.remark
    assert [(score.model, score.seeds) for score in found.scores] == [("uniform", 1), ("winner", 0)]


def test_one_odd_report_does_not_blank_the_others() -> None:
    """It came first, of the same file: another release of the tokenizer's library, say."""
    odd = replace(task([1.0, 1.0], [1, 1]), control=1)
    runs = [
        (vector, seed, task([1.0, 0.0], [1, 1])) for vector in MODELS.values() for seed in (1, 2)
    ]
    found = summed(TASK, (PRUNED, 3, odd), *runs)
    assert found.difference is not None
    assert [(score.model, score.seeds) for score in found.scores] == [
        ("pruned", 2),
        ("uniform", 2),
        ("winner", 2),
    ]
    assert "1 recoveries were measured on another file, or read otherwise" in found.remark
    assert "control" not in found.remark


def test_what_failed_is_told_and_of_nothing_is_said_nothing() -> None:
    failed = MetricScore("acc", "b" * 64, failure="too little memory")
    found = summed(TASK, (WINNER, 1, failed))
    assert found.remark == "Nothing could be measured: 1 recoveries failed on it."
    assert found.scores[0].failures == ("too little memory",)
    assert found.rows == (("winner, recovered", "-", "failed: too little memory"),)
    assert (summed(TASK).scores, summed(TASK).remark) == ((), "Nothing was measured yet.")


def test_a_failure_does_not_hide_what_ran_again_and_was_measured() -> None:
    failed = MetricScore("acc", "b" * 64, failure="too little memory")
    good = task([1.0, 0.0], [1, 1])
    (score,) = summed(TASK, (WINNER, 1, failed), (WINNER, 1, good), (WINNER, 1, failed)).scores
    assert (score.value, score.seeds, score.failures) == (0.5, 1, ())


def test_how_many_pairs_there_are_is_always_told() -> None:
    good, failed = task([1.0, 0.0], [1, 1]), MetricScore("acc", "b" * 64, failure="memory")
    runs = [(vector, seed, good) for vector in (UNIFORM, WINNER) for seed in (1, 2)]
    found = summed(TASK, *runs, (WINNER, 3, good), (UNIFORM, 3, failed))
    assert [row[2] for row in found.rows[-2:]] == ["2 pairs: +0.00, +0.00", "2 pairs"]
    assert "The difference is of 2 of 3 seeds" in found.remark
    assert "seeds" not in summed(TASK, *runs).remark


def test_a_winner_that_is_uniform_has_nothing_to_be_compared_with() -> None:
    run = Evaluated(UNIFORM, 1, (task([1.0, 0.0], [1, 1]),))
    (found,) = recovered_metrics([TASK], [run], {"uniform": UNIFORM})
    assert "The winner is uniform ranks themselves." in found.remark


def test_what_is_shown_names_the_metric_the_window_and_how_many() -> None:
    few = replace(text([2.0, 2.1]), total=9, dropped=3)
    found = summed(TEXT, (WINNER, 1, few), (UNIFORM, 1, few))
    assert found.heading == "perplexity of wiki.txt, windows of 128, 2 windows"
    assert found.remark.startswith("The first 2 of 9 windows. 3 tokens after")
    assert found.rows[-1] == ("winner − uniform, mean loss in nats", "+0.0000 ± 0.0000", "1 pair")
    grouped = summed(TASK, (WINNER, 1, task([3.0, 1.0], [4, 4])))
    assert grouped.heading == "acc of arc.jsonl, 8 documents in 2 groups, %"
    assert grouped.rows[0][:2] == ("winner, recovered", "50.00 ± 25.00")
