"""A training that was interrupted goes on as if it had not been, from what it wrote itself."""

import json
import os
import random
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import Parameter

from pruning.container.container import load
from rankspace.errors import InvalidInput
from rankspace.recipe import Optimizer
from tuning.back_ends import ADAPTER_BACK_ENDS
from tuning.batches import Passes, schedule
from tuning.checkpoint import file
from tuning.checkpoint.file import Bounds
from tuning.checkpoint.state import Moments, TrainingState
from tuning.examples import Example
from tuning.training import Training, train

PER_STEP, STEPS = 8, 12
EPOCH = 5
"""Steps of a pass over the 40 examples."""

RANKS = {"model.layers.0.self_attn.q_proj": 3, "model.layers.1.mlp.up_proj": 2}
STATEMENT = {"trial_id": 1, "recipe": {"alpha": 2.0}}


class Killed(Exception):
    """The process ended."""


def read(path: Path, bounds: Bounds | None = None) -> TrainingState:
    said, state = file.read(path, bounds or BOUNDS, STATEMENT)
    assert said == STATEMENT
    assert state is not None
    return state


@dataclass
class FileKeeper:
    """Keeps the state after one step in a file, and finds what is there."""

    path: Path
    bounds: Bounds
    due: int
    asked: int = 0
    resumed: list[int] = field(default_factory=list)

    def found(self) -> TrainingState | None:
        if not self.path.exists():
            return None
        state = read(self.path, self.bounds)
        self.asked = state.step
        self.resumed.append(state.step)
        return state

    def is_due(self) -> bool:
        self.asked += 1
        return self.asked == self.due

    def leave(self, state: TrainingState) -> None:
        raise AssertionError("an exception is not to leave")

    def keep(self, state: TrainingState) -> None:
        file.write(self.path, STATEMENT, state, draft=self.path.with_suffix(".draft"))


@pytest.fixture(scope="module")
def answers(text_file: Path, tokenizer: Any) -> tuple[Example, ...]:
    tokens = torch.tensor(tokenizer(text_file.read_text()[:4000], verbose=False)["input_ids"])
    return tuple(Example(tokens[i * 40 :][: 10 + i * 7 % 29], 1 + i % 6) for i in range(40))


Outcome = tuple[Training, list[torch.Tensor]]
Fit = Callable[..., Outcome]


@pytest.fixture
def fit(model_directory: Path, answers: tuple[Example, ...]) -> Fit:
    """Train adapters on a fresh model; return what came of it, with copies of the parameters."""

    def run(
        make_keeper: Callable[[Sequence[Parameter]], Any] | None = None,
        *,
        on_step: Any = None,
        micro: int = PER_STEP,
        most: int = PER_STEP,
        spare: int = 0,
    ) -> Outcome:
        model: Any = load(model_directory).model
        attached = ADAPTER_BACK_ENDS["peft"].attach(model, RANKS, alpha_per_rank=2.0, seed=3)
        _exhaust(model, most)
        unused = [Parameter(torch.ones(5))] * bool(spare)
        parameters = [*unused, *attached.parameters]
        trained = train(
            model,
            parameters,
            schedule(answers, PER_STEP, STEPS, seed=4),
            Optimizer(learning_rate=1e-2, warmup_steps=100, weight_decay=0.1, gradient_clip=0.5),
            steps=STEPS,
            passes=Passes(micro),
            on_step=on_step,
            keeper=make_keeper(parameters) if make_keeper else None,
        )
        return trained, [parameter.detach().clone() for parameter in parameters]

    return run


def _exhaust(model: Any, most: int) -> None:
    def hook(_: Any, arguments: Any, named: Any) -> None:
        if len(named["input_ids"]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    model.get_decoder().register_forward_pre_hook(hook, with_kwargs=True)


def bounds_of(parameters: Sequence[torch.Tensor], micro: int = PER_STEP) -> Bounds:
    return Bounds(tuple(tuple(parameter.shape) for parameter in parameters), STEPS, micro)


def interrupted(fit: Fit, path: Path, due: int, **how: Any) -> tuple[Outcome, list[int], list[int]]:
    """Kill a training two steps after it was kept; return the second one, and what it says."""

    def keeper(parameters: Sequence[Parameter]) -> FileKeeper:
        made.append(FileKeeper(path, bounds_of(parameters), due))
        return made[-1]

    def die(step: int, loss: float) -> bool:
        if step == due + 2:
            raise Killed
        return False

    def note(step: int, loss: float) -> bool:
        said.append(step)
        return False

    made: list[FileKeeper] = []
    said: list[int] = []
    with pytest.raises(Killed):
        fit(keeper, on_step=die, **how)
    again = fit(keeper, on_step=note, **{**how, "most": PER_STEP})  # with room enough by now
    return again, made[1].resumed, said


@pytest.mark.parametrize(
    ("due", "how"),
    [
        (1, {}),  # within the warm-up
        (EPOCH, {}),
        pytest.param(7, {"micro": 2}, marks=pytest.mark.slow),
        pytest.param(2 * EPOCH, {"micro": 4}, marks=pytest.mark.slow),
        pytest.param(3, {"most": 2}, marks=pytest.mark.slow),  # its memory had run out before
        (4, {"spare": 1}),  # a parameter that no step updates
    ],
)
def test_a_resumed_training_is_an_undisturbed_one_bit_by_bit(
    fit: Fit, tmp_path: Path, due: int, how: dict[str, int]
) -> None:
    whole, expected = fit(**how)
    (again, found), resumed, said = interrupted(fit, tmp_path / "x", due, **how)
    assert resumed == [due]
    assert again == whole  # losses, tokens, examples a pass
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, expected, strict=True))
    assert said == list(range(1, STEPS + 1))  # a curve is whole


class _Found:
    """Goes on from a state, and keeps none."""

    def __init__(self, state: TrainingState) -> None:
        self._state = state

    def found(self) -> TrainingState:
        return self._state

    def is_due(self) -> bool:
        return False


@pytest.mark.parametrize(("kept", "planned", "taken"), [(8, 2, 2), (2, 8, 2)])
def test_a_resumed_training_takes_the_smaller_micro_batch(
    fit: Fit, kept: int, planned: int, taken: int
) -> None:
    """What fitted elsewhere need not fit here, and what did not fit here is not tried again."""

    def keeper(parameters: Sequence[Parameter]) -> _Found:
        values = tuple(parameter.detach().clone() for parameter in parameters)
        return _Found(TrainingState(values, (None,) * len(values), (3.0,) * (STEPS - 1), 9, kept))

    trained, _ = fit(keeper, micro=planned)
    assert trained.passes == Passes(taken)


def test_a_training_draws_from_no_random_state(fit: Fit) -> None:
    """So none is in a checkpoint."""
    before: list[Any] = []

    def note(_: object) -> None:
        before.extend([torch.get_rng_state(), random.getstate()])

    fit(note, micro=4)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


STATE = TrainingState(
    parameters=(torch.ones(2, 3), torch.ones(4)),
    moments=(Moments(3, torch.ones(2, 3), torch.ones(2, 3)), None),
    losses=(3.0, 2.5, 2.0),
    tokens=100,
    micro=4,
)
BOUNDS = bounds_of(STATE.parameters)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "one.checkpoint"
    file.write(path, STATEMENT, STATE, draft=tmp_path / "draft")
    return path


def test_what_is_written_is_read(kept: Path) -> None:
    found = read(kept)
    assert (found.losses, found.tokens, found.micro) == (STATE.losses, 100, 4)
    assert found.moments[1] is None
    assert torch.equal(found.parameters[0], STATE.parameters[0])
    assert kept.stat().st_mode & 0o777 == 0o600
    assert list(kept.parent.iterdir()) == [kept]
    assert len(load_file(kept)) == 6  # the library knows the form, too


def test_of_another_training_no_tensor_is_read(kept: Path) -> None:
    flip(kept)
    assert file.read(kept, bounds_of([torch.ones(7)]), {"trial_id": 2}) == (STATEMENT, None)


def test_a_killed_write_leaves_its_draft_only(kept: Path) -> None:
    """The kernel ends the process where the file would grow beyond a limit: among the tensors."""
    before, draft = kept.read_bytes(), kept.with_name("lane-0.draft")
    large = replace(STATE, parameters=(torch.ones(2, 3), torch.ones(100_000)))
    child = os.fork()
    if not child:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with full_disk(200_000):
            file.write(kept, STATEMENT, large, draft=draft)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGXFSZ
    assert kept.read_bytes() == before
    assert set(kept.parent.iterdir()) == {kept, draft}
    assert draft.stat().st_size > 100_000
    file.write(kept, STATEMENT, STATE, draft=draft)
    assert list(kept.parent.iterdir()) == [kept]


def test_a_header_that_nobody_would_read_is_not_written(kept: Path) -> None:
    before = kept.read_bytes()
    with pytest.raises(
        OSError, match=r"header would take 17,\d{3},\d{3} bytes, at most 16,777,216"
    ):
        file.write(kept, {"long": "x" * 17_000_000}, STATE, draft=kept.with_suffix(".draft"))
    assert kept.read_bytes() == before


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 5)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)


def grow_header(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes((2**40).to_bytes(8, "little") + content[8:])


def swell(path: Path) -> None:
    os.truncate(path, 2**30)  # sparse


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def open_to_others(path: Path) -> None:
    path.chmod(0o644)


def open_the_directory(path: Path) -> None:
    path.parent.chmod(0o777)


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def save_plainly(path: Path) -> None:
    save_file(load_file(path), path)
    path.chmod(0o600)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def nest(path: Path) -> None:
    save_file(load_file(path), path, {"checkpoint": "[" * 100_000})
    path.chmod(0o600)


def of_another_form(path: Path) -> None:
    told = {"form": 99, "statement": STATEMENT, "tokens": 1, "micro": 1}
    document = json.dumps({"told": told, "sha256": ""})
    save_file(load_file(path), path, {"checkpoint": document})
    path.chmod(0o600)


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (cut, "cannot be read"),
        (flip, "has not the hash"),
        (grow_header, "a header of 1,099,511,627,776"),
        (swell, "1,073,741,824 bytes"),
        (link, "cannot be read"),
        (open_to_others, "this user's alone"),
        (open_the_directory, "directory that others may write to"),
        (make_pipe, "this user's alone"),
        (save_plainly, "has no document"),
        (empty, "header of 0|cannot be read|0 bytes"),
        (nest, "cannot be read"),
        (of_another_form, "form 99"),
    ],
    ids=lambda given: getattr(given, "__name__", None),
)
def test_a_damaged_file_is_refused(kept: Path, harm: Callable[[Path], None], problem: str) -> None:
    harm(kept)
    with pytest.raises(InvalidInput, match=problem):
        read(kept)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize(
    ("what", "problem"), [("file", "this user's alone"), ("directory", "others may write to")]
)
def test_what_another_user_owns_is_refused(kept: Path, what: str, problem: str) -> None:
    os.chown(kept if what == "file" else kept.parent, 12345, 12345)
    with pytest.raises(InvalidInput, match=problem):
        read(kept)


HEADERS: dict[str, Any] = {
    "a hole": {"losses": {"data_offsets": [8, 32]}},
    "other sizes": {"losses": {"shape": [2]}},
    "counts below zero": {"losses": {"shape": [-3], "data_offsets": [0, -24]}},
    "no type": {"losses": {"dtype": "F9"}},
    "no shape": {"losses": {"shape": None}},
    "no offsets": {"losses": {"data_offsets": [1]}},
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_lies_is_refused(kept: Path, name: str) -> None:
    content = kept.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    for entry, changes in HEADERS[name].items():
        header[entry] |= changes
    told = json.dumps(header).encode()
    kept.write_bytes(len(told).to_bytes(8, "little") + told + content[8 + length :])
    with pytest.raises(InvalidInput, match="cannot be read"):
        read(kept)


@pytest.mark.parametrize("told", [b"[]", b"{", b'{"__metadata__": {"checkpoint": 1}}', b"\xff"])
def test_what_is_no_header_is_refused(kept: Path, told: bytes) -> None:
    kept.write_bytes(len(told).to_bytes(8, "little") + told)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read(kept)


NAN, SOME = float("nan"), torch.ones(2, 3)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"parameters": (torch.full((2, 3), NAN), torch.ones(4))}, "parameter.0 that are not fin"),
        ({"parameters": (torch.ones(3, 2), torch.ones(4))}, r"shape \[3, 2\], not F32 of \[2, 3\]"),
        ({"parameters": (SOME.double(), torch.ones(4))}, "as F64"),
        ({"parameters": (SOME,), "moments": (None,)}, "other tensors"),
        ({"moments": (None, None, None)}, "updates as I64 of shape"),
        ({"moments": (Moments(0, SOME, SOME.clone()), None)}, "moments of other parameters"),
        ({"moments": (Moments(3, SOME, -SOME), None)}, "negative numbers in square.0"),
        ({"moments": (Moments(3, SOME * NAN, SOME), None)}, "not finite"),
        ({"moments": (Moments(4, SOME, SOME.clone()), None)}, "updates that are not 0 to 3"),
        ({"moments": (Moments(-1, SOME, SOME.clone()), None)}, "updates that are not 0 to 3"),
        ({"losses": (1.0, NAN, 1.0)}, "not finite"),
        ({"losses": ()}, "losses of shape"),
        ({"losses": (1.0,) * (STEPS + 1)}, "losses of shape"),
        ({"tokens": -1}, "-1 tokens"),
        ({"tokens": True}, "no whole numbers"),
        ({"micro": 0}, "0 of 8 examples"),
        ({"micro": 9}, "9 of 8 examples"),
    ],
)
def test_a_state_that_cannot_be_is_refused_though_its_hash_is_right(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    file.write(tmp_path / "x", STATEMENT, replace(STATE, **changes), draft=tmp_path / "draft")
    with pytest.raises(InvalidInput, match=problem):
        read(tmp_path / "x")


def test_a_tensor_too_many_is_refused(tmp_path: Path) -> None:
    wider = replace(STATE, parameters=(*STATE.parameters, SOME))
    file.write(tmp_path / "x", STATEMENT, wider, draft=tmp_path / "y")
    with pytest.raises(InvalidInput, match="other tensors"):
        read(tmp_path / "x")


@contextmanager
def full_disk(most: int) -> Iterator[None]:
    """Let no file of this process grow beyond ``most`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_what_was_there(kept: Path) -> None:
    before = kept.read_bytes()
    later = replace(STATE, losses=(*STATE.losses, 1.5))
    with full_disk(300), pytest.raises(OSError, match=r"."):
        file.write(kept, STATEMENT, later, draft=kept.with_suffix(".draft"))
    assert kept.read_bytes() == before
    assert list(kept.parent.iterdir()) == [kept]
