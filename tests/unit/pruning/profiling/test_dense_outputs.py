"""What a dense model's blocks wrote is kept on disk, exactly, and only as long as it is needed."""

import gc
import resource
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from pruning.container import container
from pruning.container.container import LoadedModel
from pruning.profiling.calibration_text import CalibrationText, draw_windows
from pruning.profiling.dense_outputs import block_outputs, dense_outputs
from rankspace.errors import InvalidInput


@pytest.fixture
def windows(text: Path, tokenizer: PreTrainedTokenizerFast) -> torch.Tensor:
    return draw_windows(CalibrationText(text, 3, 16), tokenizer)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_they_are_those_of_the_model_and_go_afterwards(
    plain: Path, windows: torch.Tensor, dtype: torch.dtype
) -> None:
    loaded = container.load(plain, dtype=dtype)
    with dense_outputs(lambda: loaded, windows) as outputs:
        for number, window in enumerate(windows):
            expected = [output[0] for output in block_outputs(loaded.model, window)]
            assert all(map(torch.equal, outputs.window(number), expected))
            assert len(expected) == 3
        assert outputs.files[0].exists()
    assert not outputs.files[0].parent.exists()


def test_the_model_is_gone_while_they_are_there(plain: Path, windows: torch.Tensor) -> None:
    seen: list[weakref.ref[torch.nn.Module]] = []

    def load() -> LoadedModel:
        loaded = container.load(plain)
        seen.append(weakref.ref(loaded.model))
        return loaded

    with dense_outputs(load, windows):
        gc.collect()
        assert [reference() for reference in seen] == [None]


@contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_where_there_is_no_room_it_is_said(loaded: LoadedModel, windows: torch.Tensor) -> None:
    with (
        _files_of_at_most(1000),
        pytest.raises(InvalidInput, match="cannot take 6,144 bytes per window") as caught,
        dense_outputs(lambda: loaded, windows),
    ):
        pass
    assert (caught.value.field, "more room" in caught.value.hint) == ("TMPDIR", True)


def test_no_window_is_run_where_all_of_them_find_no_room(loaded: LoadedModel) -> None:
    many = torch.zeros(1, 1, dtype=torch.long).expand(2**44, 16)
    ran: list[tuple[int, int]] = []
    with (
        pytest.raises(
            InvalidInput, match=r"108,086,391,056,891,904 bytes in all, where [\d,]+ are"
        ),
        dense_outputs(lambda: loaded, many, lambda *told: ran.append(told)),
    ):
        pass
    assert not ran
