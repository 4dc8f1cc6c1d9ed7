"""Lengths, trials and cost by hand; YAML of one line; a file that is whole or not there."""

from pathlib import Path

import pytest
import yaml

from rankadaptor.beginning.choice import Choice
from rankadaptor.beginning.cost import READ, TRAINED, cost_of
from rankadaptor.beginning.lengths import Lengths
from rankadaptor.beginning.new_file import write_new
from rankadaptor.beginning.recipe_choices import batch, held_out
from rankadaptor.beginning.search_choices import trial_steps, trials_of
from rankadaptor.beginning.study_text import flow, study_text
from rankadaptor.beginning.verify_choices import verification
from rankspace import PrunedModel, Study
from rankspace.recipe import Batch, Data, Recipe
from rankspace.study import Budget, Search, TrialRun, Verify

LENGTHS = Lengths(tuple(range(1, 101)), tuple(min(50, n - 1) for n in range(1, 101)), False)


def test_a_length_covers_all_but_the_longest() -> None:
    assert LENGTHS.quantile(0.98) == 98
    assert LENGTHS.quantile(0.5) == 50
    assert LENGTHS.covering(512) == 104  # 98, a multiple of 8
    assert LENGTHS.covering(64) == 64
    assert LENGTHS.cut(98) == 2
    assert LENGTHS.cut(104) == 0


def test_an_example_whose_prompt_fills_the_length_is_none() -> None:
    assert LENGTHS.examples(51) == 100
    assert LENGTHS.examples(50) == 50  # from 51 tokens on prompts have 50
    assert LENGTHS.cut(50) == 0
    assert LENGTHS.mean(10) == pytest.approx((sum(range(1, 11)) + 90 * 10) / 100)


def test_a_stream_is_cut_into_other_windows_without_loss() -> None:
    stream = Lengths((256,) * 10, (1,) * 10, True)
    assert (stream.examples(128), stream.cut(128), stream.mean(128)) == (20, 0, 128)


@pytest.mark.parametrize(("layers", "trials"), [(5, 30), (35, 30), (42, 40), (224, 60), (560, 100)])
def test_more_ranks_get_more_trials(layers: int, trials: int) -> None:
    assert trials_of(layers) == trials


@pytest.mark.parametrize(("recovery", "steps"), [(None, 200), (4000, 200), (500, 100), (12, 10)])
def test_a_trial_is_a_part_of_the_recovery(recovery: int | None, steps: int) -> None:
    assert trial_steps(recovery) == steps


@pytest.mark.parametrize(
    ("examples", "held", "size"), [(None, 2000, 64), (50_000, 2000, 64), (500, 100, 32), (3, 2, 8)]
)
def test_few_examples_ask_for_small_steps(examples: int | None, held: int, size: int) -> None:
    assert held_out(examples) == held
    assert batch(examples) == Batch(size)


def test_the_verification_pays_for_the_demo_s_second_look() -> None:
    verify = verification(())
    assert verify.max_trials == 44  # as the demo's plan says
    assert len(verify.look_rounds(6, 4)) == 2
    assert len(Verify(max_trials=40, random_control=True).look_rounds(6, 4)) == 1


def test_the_cost_is_counted_from_the_trials() -> None:
    study = Study(
        "x",
        "m",
        Recipe(Data("d", held_out=10), sequence_length=20, batch=Batch(4, 4)),
        Search(budget=Budget(trials=7), trial=TrialRun(steps=3)),
    )
    model = PrunedModel("m", "", "", 1000, ())
    cost = cost_of(study, model, None, 30)
    verified = study.verify.planned_trials()
    assert (cost.search, cost.random, cost.verification) == (7, 0, verified)
    assert (cost.trial_tokens, cost.recovery_tokens, cost.recoveries) == (240, 2400, 1)
    trained = (7 + verified) * 240 + 2400
    read = (7 + verified + 1) * 5 * 20
    assert cost.operations == 1000 * (TRAINED * trained + READ * read)
    twice = cost_of(study, model, None, 30, recomputes=True)
    assert twice.operations - cost.operations == 1000 * READ * trained


@pytest.mark.parametrize(
    "value", ["uniform:8", "a: b # c", "x\n- y", "\u2028", "null", 1e-5, [0, 1], {"a.*": 2}, True]
)
def test_a_value_is_written_on_one_line_and_read_again(value: object) -> None:
    text = flow(value)
    assert len(text.splitlines()) == 1
    assert yaml.safe_load(f"key: {text}") == {"key": value}


def test_a_comment_ends_where_its_line_does() -> None:
    evil = "one\ntwo: 3\u2028four: 5\u0085six: 7\x1b[31m"
    text = study_text((evil,), (Choice("a.b", 1, evil), Choice("c", None, evil)))
    assert yaml.safe_load(text) == {"a": {"b": 1}}


def test_a_file_that_does_not_pass_its_check_is_never_there(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"

    def refuse(draft: Path) -> None:
        assert draft.read_text() == "text"
        assert not file.exists()
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        write_new(file, "text", refuse, force=False)
    assert [*tmp_path.iterdir()] == []
    write_new(file, "text", Path.read_text, force=False)
    assert [*tmp_path.iterdir()] == [file]
