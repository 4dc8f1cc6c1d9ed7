"""What every search keeps to: the mean, its evaluations, its seed, its record."""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from pruning.rates.rates import Rates, overall
from pruning.search.about import ABOUT, SearchName
from pruning.search.chat import Reply
from pruning.search.evaluation import Search
from pruning.search.record import Record, open_record
from pruning.search.run import Found, run_search
from pruning.search.searches import SEARCHES
from pruning.search.self_pruner import SelfPruner
from pruning.search.space import RateSpace
from tests.unit.pruning.search.spaces import SPACES, bowl, space_of

QUESTION = {"search": "any"}
SPACE = space_of(0.5)


def sometimes(prompt: str) -> Reply:
    """Answer as a model might: now a list, now a list of another length, now nothing."""
    chance = hashlib.sha256(prompt.encode()).digest()
    count = 2 if "two integers" in prompt else len(SPACE.blocks) - (chance[0] % 4 == 0)
    numbers = [byte % 2 if count == 2 else byte / 255 for byte in chance[1 : 1 + count]]
    return Reply(None, "gone") if chance[0] % 5 == 0 else Reply(f"Sure: {json.dumps(numbers)}")


def made(name: SearchName, seed: int) -> Search:
    return SelfPruner(seed, sometimes) if name not in SEARCHES else SEARCHES[name](seed)


def run(
    name: SearchName,
    space: RateSpace = SPACE,
    evaluations: int = 25,
    *,
    seed: int = 3,
    record: Record | None = None,
    score: Callable[[Rates], float] = bowl,
) -> tuple[Found, Record]:
    kept = record or Record()
    return run_search(made(name, seed), space, score, kept, evaluations), kept


def test_every_search_has_two_sentences_with_a_source() -> None:
    assert set(ABOUT) == set(SearchName) == {*SEARCHES, SearchName.SELF_PRUNER}
    for name, about in ABOUT.items():
        assert about.count(". ") + about.count(": ") >= 1, name
        assert "arXiv" in about or "of no paper" in about


@pytest.mark.parametrize("name", SearchName)
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_all_that_is_scored_keeps_the_mean_and_no_model_is_scored_twice(
    name: SearchName, space: RateSpace
) -> None:
    scored: list[Rates] = []

    def score(rates: Rates) -> float:
        scored.append(rates)
        return bowl(rates)

    found, record = run(name, space, 20, score=score)
    assert scored[0] == space.uniform
    assert len(scored) == found.scored <= 20
    assert found.scored == 20 or found.ran_dry
    assert [one.rates for one in record.evaluations] == scored
    for rates in scored:
        assert overall(rates, space.sizes) == pytest.approx(space.ratio, abs=1e-9)
        assert all(0.0 <= rate <= 1.0 for rate in rates.values())
        assert space.is_fair(rates)
    assert len({space.counts(rates) for rates in scored}) == len(scored)


@pytest.mark.parametrize("name", SearchName)
def test_the_answer_is_the_least_loss_and_never_above_equal_rates(name: SearchName) -> None:
    found, record = run(name)
    assert found.best.loss == min(one.loss for one in record.evaluations) <= found.uniform.loss
    assert found.best.loss == bowl(found.best.rates)

    def worse(rates: Rates) -> float:
        return 1.0 if rates == SPACE.uniform else 2.0

    assert run(name, score=worse)[0].best.rates == SPACE.uniform


@pytest.mark.parametrize("name", SearchName)
def test_the_seed_decides(name: SearchName) -> None:
    first, again, other = (run(name, seed=seed)[1].evaluations for seed in (3, 3, 4))
    assert first == again
    assert (first == other) == (name == SearchName.ATP)  # which has no chances


@pytest.mark.parametrize("name", SearchName)
@pytest.mark.parametrize("after", [1, 5, 9])
def test_one_that_was_interrupted_ends_as_one_that_was_not(
    name: SearchName, after: int, tmp_path: Path
) -> None:
    space = SPACES["32 blocks"] if name == SearchName.ATP else SPACE  # of enough progressions
    whole, undisturbed = run(name, space)
    path, calls = tmp_path / "r.jsonl", 0

    def score(rates: Rates) -> float:
        nonlocal calls
        calls += 1
        if calls > after:
            raise KeyboardInterrupt
        return bowl(rates)

    with pytest.raises(KeyboardInterrupt):
        run(name, space, record=open_record(path, QUESTION), score=score)
    with path.open("a") as file:
        file.write('{"rates": {"0": 0.')  # power went in the middle of a line
    record = open_record(path, QUESTION)
    assert record.torn
    assert len(record.evaluations) == after
    calls = -1000
    found, resumed = run(name, space, record=record, score=score)
    assert calls == -1000 + whole.scored - after
    assert found == whole
    assert resumed.evaluations == undisturbed.evaluations
    reread = open_record(path, QUESTION)
    assert not reread.torn
    assert reread.evaluations == undisturbed.evaluations


@pytest.mark.parametrize("name", SearchName)
def test_a_loss_that_is_no_number_is_counted_and_never_the_best(
    name: SearchName, tmp_path: Path
) -> None:
    def score(rates: Rates) -> float:
        return bowl(rates) if rates == SPACE.uniform else math.nan

    path = tmp_path / "r.jsonl"
    found, record = run(name, record=open_record(path, QUESTION), score=score)
    assert found.failed == found.scored - 1 > 0
    assert found.best.rates == SPACE.uniform
    assert open_record(path, QUESTION).evaluations == record.evaluations


def test_genetic_beats_random_where_there_is_something_to_learn() -> None:
    """On a smooth bowl at 100 evaluations, whatever the seed."""
    space = space_of(0.5, kv_heads=32, ffn=(640,) * 12)
    for seed in range(3):
        genetic, random = (
            run(name, space, 100, seed=seed)[0].best.loss
            for name in (SearchName.GENETIC, SearchName.RANDOM)
        )
        assert genetic < random
