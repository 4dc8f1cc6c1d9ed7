"""What a worker is told by variables and files: nothing that is empty, no key that is none."""

from pathlib import Path

import pytest

from rankspace.errors import InvalidInput
from worker.settings import Settings


@pytest.fixture(autouse=True)
def key_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text("rka_filed\n")
    monkeypatch.delenv("RANKADAPTOR_KEY", raising=False)
    monkeypatch.setenv("RANKADAPTOR_KEY_FILE", str(file))
    return file


@pytest.mark.parametrize("name", ["KEY", "JOIN_TOKEN", "JOIN_TOKEN_FILE", "URL", "MAX_TRIALS"])
def test_an_empty_variable_hides_nothing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"RANKADAPTOR_{name}", "")
    settings = Settings()
    assert settings.secret() == "rka_filed"
    assert settings.token() is None
    assert settings.url.startswith("http")


def test_a_key_goes_before_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKADAPTOR_KEY", "rka_given\n")
    assert Settings().secret() == "rka_given"


@pytest.mark.parametrize("content", [b"", b" \n", b"\xffrka_x", b"rka_a\nX: y", b"rka_\0"])
def test_a_file_without_a_key_is_named_and_not_quoted(key_file: Path, content: bytes) -> None:
    key_file.write_bytes(content)
    with pytest.raises(InvalidInput, match="is empty or has characters") as refused:
        Settings().secret()
    assert str(key_file) in refused.value.detail
    assert "rka_" not in refused.value.detail


@pytest.mark.parametrize("name", ["KEY", "JOIN_TOKEN"])
def test_what_is_none_in_a_variable_is_not_quoted(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"RANKADAPTOR_{name}", "rk_sécret")
    settings = Settings()
    with pytest.raises(InvalidInput, match=f"RANKADAPTOR_{name}") as refused:
        _ = (settings.token(), settings.secret())
    assert "cret" not in refused.value.detail
