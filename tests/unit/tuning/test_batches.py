from collections.abc import Sequence
from itertools import chain

import pytest
import torch

from tuning.batches import Passes, collate, schedule, steps_of_epochs
from tuning.examples import Example

CPU = torch.device("cpu")


def example(*tokens: int, prompt: int = 1) -> Example:
    return Example(torch.tensor(tokens), prompt)


def test_a_batch_predicts_each_answer_token_from_the_one_before() -> None:
    batch = collate([example(1, 2, 3, 4, prompt=2), example(5, 6)], CPU)
    assert batch.inputs.tolist() == [[1, 2, 3], [5, 0, 0]]
    assert batch.positions is not None
    assert batch.positions.tolist() == [1, 2, 3]
    assert batch.inputs.flatten()[batch.positions].tolist() == [2, 3, 5]
    assert batch.targets.tolist() == [3, 4, 6]


def test_equal_windows_need_no_positions() -> None:
    batch = collate([example(1, 2, 3), example(4, 5, 6)], CPU)
    assert batch.positions is None
    assert batch.targets.tolist() == [2, 3, 5, 6]


def test_every_pass_sees_every_example_once_in_another_order() -> None:
    examples = [example(i, i) for i in range(12)]
    steps = list(schedule(examples, 4, 6, seed=3))
    passes = [
        [e.tokens[0].item() for e in chain.from_iterable(part)] for part in (steps[:3], steps[3:])
    ]
    assert sorted(passes[0]) == sorted(passes[1]) == list(range(12))
    assert passes[0] != passes[1]


def test_the_order_depends_on_the_seed_alone() -> None:
    examples = [example(i, i) for i in range(12)]
    first, again, other = (list(schedule(examples, 4, 3, seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_steps_go_by_length() -> None:
    examples = [example(*range(n)) for n in (9, 2, 7, 4)]
    (step,) = schedule(examples, 4, 1, seed=0)
    assert [len(e.tokens) for e in step] == [9, 7, 4, 2]


@pytest.mark.parametrize(("examples", "epochs", "steps"), [(10, 2, 5), (3, 1, 1), (11, 1, 2)])
def test_epochs_are_whole_steps(examples: int, epochs: int, steps: int) -> None:
    assert steps_of_epochs(examples, 4, epochs) == steps


def test_what_others_say_between_two_answers_is_read_and_not_predicted() -> None:
    talk = Example(torch.tensor([1, 2, 3, 4, 5, 6, 7]), 2, passed=((3, 5), (6, 6)))
    assert talk.targets == 3
    assert talk.predicted.tolist() == [2, 5, 6]
    batch = collate([example(8, 9), talk], CPU)
    assert batch.inputs.tolist() == [[8, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6]]
    assert batch.positions is not None
    assert batch.inputs.flatten()[batch.positions].tolist() == [8, 2, 5, 6]
    assert batch.targets.tolist() == [9, 3, 6, 7]


def lengths(passes: list[Sequence[Example]]) -> list[list[int]]:
    return [[len(example.tokens) for example in part] for part in passes]


def test_a_pass_has_as_many_examples_or_as_many_padded_tokens() -> None:
    step = [example(*range(n)) for n in (9, 9, 5, 4, 3, 2, 2, 2)]
    assert lengths(Passes(3).cut(step)) == [[9, 9, 5], [4, 3, 2], [2, 2]]
    assert lengths(Passes(2, 9).cut(step)) == [[9, 9], [5, 4, 3], [2, 2, 2]]
    assert lengths(Passes(1, 9).cut(step)) == [[9], [9], [5], [4, 3], [2, 2, 2]]
    assert lengths(Passes(1, 9).cut(step[::-1])) == lengths(Passes(1, 9).cut(step))


@pytest.mark.parametrize(("tokens", "examples"), [(100, 4), (36, 4), (35, 3), (8, 1)])
def test_tokens_of_a_pass_are_counted_in_longest_examples(tokens: int, examples: int) -> None:
    assert Passes.of_tokens(tokens, 9, 4) == Passes(examples, 9)


def test_a_smaller_pass_is_of_the_same_kind() -> None:
    assert Passes(3, 9).smaller() == Passes(1, 9)
    assert Passes(4).smaller() == Passes(2)
    assert Passes(1, 9).smaller() == Passes(1, 9, recomputes=True)
    assert Passes(2, recomputes=True).smaller() == Passes(1, recomputes=True)
    assert Passes(1, recomputes=True).smaller() is None
