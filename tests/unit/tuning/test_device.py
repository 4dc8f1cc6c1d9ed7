"""A device is refused by its name, before anything is read for it."""

import pytest
import torch

from rankspace.errors import InvalidInput
from tuning.device import device_named


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:0", "cuda:1"])
def test_what_is_there_is_named_as_in_torch(name: str) -> None:
    assert device_named(name) == torch.device(name)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    "name",
    [
        "gpu",
        "",
        "CUDA",
        "cuda:",
        "cuda:x",
        "cuda:-1",
        "cuda:1:2",
        "cuda:1²",
        "cuda:01",
        "cuda:00",
        "0",
        "mps",
    ],
)
def test_what_is_no_device_is_told_what_is(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"device = .*is not a device") as caught:
        device_named(name)
    assert "cuda:1" in caught.value.hint


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:1"])
def test_without_a_gpu_the_processor_is_named(name: str) -> None:
    with pytest.raises(InvalidInput, match="torch sees no GPU") as caught:
        device_named(name)
    assert caught.value.hint == "use cpu"


@pytest.mark.usefixtures("two_gpus")
def test_the_only_gpu_is_named_without_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(InvalidInput, match="torch sees one GPU") as caught:
        device_named("cuda:1")
    assert caught.value.hint == "use cuda"


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("name", ["cuda:2", "cuda:999"])
def test_a_gpu_too_many_is_told_how_many_there_are(name: str) -> None:
    with pytest.raises(InvalidInput, match="torch sees 2 GPUs") as caught:
        device_named(name)
    assert "cuda:0 to cuda:1" in caught.value.hint
