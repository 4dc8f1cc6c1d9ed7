"""Which files of a worker's machine a study may name."""

from pathlib import Path

import pytest

from rankspace.errors import CannotOpen
from worker.trial.reach import Reach


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    for name in (".ssh/id", ".netrc", ".cache/huggingface/token", ".cache/huggingface/hub/m"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("rka_secret")
    return home


def admits(reach: Reach, path: Path | str) -> bool:
    try:
        reach.check("recipe.data.train", str(path))
    except CannotOpen:
        return False
    return True


def test_the_refusal_names_the_field_the_path_and_the_roots(tmp_path: Path) -> None:
    with pytest.raises(CannotOpen, match=rf"data\.train = '/proc/x'.*{tmp_path}") as caught:
        Reach([tmp_path]).check("recipe.data.train", "/proc/x")
    assert "RANKADAPTOR_ROOTS" in caught.value.hint


@pytest.mark.parametrize(
    "path", ["/proc/self/environ", "/dev/zero", "/sys/kernel", "/etc/passwd", "/run/secrets/x"]
)
def test_what_the_system_says_of_itself_is_no_data(path: str, home: Path) -> None:
    assert not admits(Reach(), path)


@pytest.mark.parametrize("name", [".ssh/id", ".netrc", ".cache/huggingface/token"])
def test_hidden_files_of_the_home_directory_are_no_data(name: str, home: Path) -> None:
    assert not admits(Reach(), home / name)
    assert admits(Reach(), home / ".cache/huggingface/hub/m")
    assert admits(Reach(), home / "train.jsonl")


@pytest.mark.parametrize("name", ["admin.key", "worker.key", "artifacts/1/adapter.safetensors"])
def test_nothing_of_a_service_s_data_directory_is_data(name: str, tmp_path: Path) -> None:
    """Wherever it is: a worker need not know that a service has its files there."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "admin.key").write_text("rka_secret")
    assert not admits(Reach(), tmp_path / "data" / name)
    assert admits(Reach(), tmp_path / "train.jsonl")


def test_what_is_barred_by_name_is_no_data(tmp_path: Path) -> None:
    key = tmp_path / "gpu.key"
    assert not admits(Reach(barred=[key]), key)
    assert admits(Reach(barred=[key]), tmp_path / "train.jsonl")


def test_roots_are_all_there_is(tmp_path: Path) -> None:
    reach = Reach([tmp_path / "models", tmp_path / "data"])
    assert admits(reach, tmp_path / "models" / "llama" / "config.json")
    assert not admits(reach, tmp_path / "models-of-others")
    assert not admits(reach, tmp_path / "models" / ".." / "other")
    assert not admits(reach, "/")


def test_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.jsonl").symlink_to(tmp_path / "secret")
    assert not admits(Reach([tmp_path / "data"]), tmp_path / "data" / "rows.jsonl")


def test_a_root_inside_of_what_is_barred_opens_that_part(tmp_path: Path) -> None:
    reach = Reach([Path("/dev/shm"), tmp_path])
    assert admits(reach, "/dev/shm/llama")
    assert not admits(reach, "/dev/zero")


def test_a_loop_of_links_is_left_to_whoever_opens_it(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "a")
    assert admits(Reach(), tmp_path / "a")
