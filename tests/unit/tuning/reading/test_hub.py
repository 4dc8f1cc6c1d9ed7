"""A file of the hub is one of this machine's cache, at one commit; nothing is fetched."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rankspace.errors import CannotOpen, InvalidInput
from tuning.reading.hub import check_cached, is_address, located

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ADDRESS = f"hf://datasets/tatsu-lab/alpaca@{COMMIT}/data/train 0.parquet"
FIELD = "recipe.data.train"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    return tmp_path / "hub"


def test_a_path_is_a_path() -> None:
    for path in ("/data/rows.jsonl", "rows.jsonl", "/data/a@b/c:d", "C:rows"):
        assert not is_address(path)
        assert located(FIELD, path) == Path(path)
        check_cached(FIELD, path)


def test_an_address_is_a_file_of_the_cache(cache: Path) -> None:
    folder = cache / "datasets--tatsu-lab--alpaca" / "snapshots" / COMMIT
    assert located(FIELD, ADDRESS) == folder / "data" / "train 0.parquet"
    with pytest.raises(CannotOpen, match="nothing is fetched") as caught:
        check_cached(FIELD, ADDRESS)
    command = "hf download tatsu-lab/alpaca 'data/train 0.parquet' --repo-type dataset --revision "
    assert command + COMMIT in caught.value.hint
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "train 0.parquet").write_bytes(b"")
    check_cached(FIELD, ADDRESS)


@pytest.mark.parametrize(
    ("name", "value", "hub"),
    [
        ("HF_HUB_CACHE", "/c", "/c"),
        ("HUGGINGFACE_HUB_CACHE", "/c", "/c"),
        ("XDG_CACHE_HOME", "/c", "/c/huggingface/hub"),
        ("HOME", "/h", "/h/.cache/huggingface/hub"),
    ],
)
def test_the_cache_is_where_the_hub_s_tools_have_it(
    cache: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, hub: str
) -> None:
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv(name, value)
    assert str(located(FIELD, ADDRESS)).startswith(f"{hub}/datasets--")


@pytest.mark.parametrize("ask", [located, check_cached])
def test_where_there_is_no_home_it_is_said(
    cache: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[str, str], object]
) -> None:
    monkeypatch.setenv("HF_HOME", "~nobody of this name/hf")
    with pytest.raises(CannotOpen, match="no such home directory") as caught:
        ask(FIELD, ADDRESS)
    assert caught.value.field == FIELD
    assert "HF_HUB_CACHE" in caught.value.hint


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/rows.jsonl",
        "http://169.254.169.254/latest/meta-data",
        "s3://bucket/rows.jsonl",
        "file:///etc/passwd",
        "zip://*.jsonl::https://example.org/a.zip",
        "simplecache::s3://bucket/rows.jsonl",
        f"hf://spaces/a/b@{COMMIT}/c",
        f"hf://tatsu-lab/alpaca@{COMMIT}/c",
        f"HF://datasets/a/b@{COMMIT}/c",
    ],
)
def test_no_other_address_is_followed(address: str) -> None:
    with pytest.raises(InvalidInput, match="fetches anything"):
        located(FIELD, address)


@pytest.mark.parametrize("pinned", ["", "@main", "@", f"@{COMMIT[:7]}", f"@{COMMIT.upper()}"])
def test_what_changes_is_no_address(pinned: str) -> None:
    with pytest.raises(InvalidInput, match="names no commit") as caught:
        located(FIELD, f"hf://datasets/tatsu-lab/alpaca{pinned}/train.jsonl")
    assert "40 hexadecimal digits" in caught.value.hint


@pytest.mark.parametrize(
    ("repo", "file"),
    [
        ("../..", "rows"),
        ("a/..", "rows"),
        ("a/b/c", "rows"),
        ("", "rows"),
        ("a b/c", "rows"),
        ("a/b", "../../../secret"),
        ("a/b", "data/../rows"),
        ("a/b", "/etc/passwd"),
        ("a/b", "data//rows"),
        ("a/b", "./rows"),
        ("a/b", "rows\0"),
    ],
)
def test_no_address_leads_out_of_its_data_set(repo: str, file: str) -> None:
    with pytest.raises(InvalidInput):
        located(FIELD, f"hf://datasets/{repo}@{COMMIT}/{file}")
