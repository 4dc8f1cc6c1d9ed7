"""A key of this machine goes to the service of this machine; one that was given goes anywhere."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rankadaptor import cli
from rankadaptor.client import Client
from rankadaptor.connection import Connection
from rankadaptor.local_service import is_local
from rankspace.errors import InvalidInput, Unauthenticated, Unreachable
from tests.unit.rankadaptor.listener import Stranger, stranger

runner = CliRunner()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of a service on port 8900."""
    for role in ("admin", "worker"):
        (tmp_path / f"{role}.key").write_text(f"rka_{role}\n")
    (tmp_path / "ports").write_text("8900\n")
    monkeypatch.setenv("RANKADAPTOR_DATA_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("RANKADAPTOR_SPOOL_DIRECTORY", str(tmp_path / "spool"))
    return tmp_path


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8900",
        "http://LOCALHOST:8900/",
        "https://[::1]:8900",
        "http://127.8.9.1:8900",
    ],
)
def test_the_service_of_this_machine_gets_its_key(home: Path, url: str) -> None:
    assert Connection().admin_key(url) == "rka_admin"
    assert Connection().local_file("worker.key", url) == home / "worker.key"


@pytest.mark.parametrize(
    "url",
    [
        "http://gpu.example:8900",
        "http://127.0.0.1:8900@gpu.example:8900",
        "http://127.0.0.1.gpu.example:8900",
        "http://localhost.gpu.example:8900",
        "http://10.0.0.1:8900",
        "http://127.0.0.1:8731",
        "http://127.0.0.1",
        "https://localhost",
        "http://127.0.0.1:18900",
    ],
)
def test_no_other_address_gets_it(home: Path, url: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        Connection().admin_key(url)
    assert f"{home}/admin.key is for the service here" in caught.value.detail
    assert "RANKADAPTOR_KEY_FILE" in caught.value.hint
    assert Connection().local_file("worker.key", url) is None


def test_a_service_of_a_version_before_has_the_usual_port(home: Path) -> None:
    (home / "ports").unlink()
    assert is_local("http://127.0.0.1:8731", home)
    assert not is_local("http://127.0.0.1:8900", home)


def test_what_is_no_port_is_passed_over(home: Path) -> None:
    (home / "ports").write_bytes(b"8900\n\xff\nx\n-1\n" + b"9" * 5000 + b"\n9001\n")
    assert is_local("http://127.0.0.1:8900", home)
    assert is_local("http://127.0.0.1:9001", home)


@pytest.mark.parametrize("command", [["status"], ["keys", "list"], ["dashboard"], ["workers"]])
def test_a_stranger_is_not_even_asked(home: Path, other: Stranger, command: list[str]) -> None:
    result = runner.invoke(cli.app, [*command, "--url", other.url])
    assert isinstance(result.exception, Unauthenticated)
    assert other.sent == []


def test_the_address_of_the_environment_is_no_other(
    home: Path, other: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKADAPTOR_URL", other.url)
    assert isinstance(runner.invoke(cli.app, ["status"]).exception, Unauthenticated)
    assert other.sent == []


@pytest.mark.parametrize("way", ["variable", "file"])
def test_a_key_that_was_given_goes_anywhere(
    home: Path, other: Stranger, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    (home / "given").write_text("rka_given\n")
    if way == "variable":
        monkeypatch.setenv("RANKADAPTOR_KEY", "rka_given")
    else:
        monkeypatch.setenv("RANKADAPTOR_KEY_FILE", str(home / "given"))
    assert runner.invoke(cli.app, ["status", "--url", other.url]).exit_code == 0
    assert other.sent == [("/v1/studies", "Bearer rka_given")]


def test_a_worker_keeps_the_key_of_this_machine_to_itself(
    home: Path, other: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.logs.configure", lambda *_: None)  # is for a process of its own
    command = ["worker", "--url", other.url, "--device", "cpu", "--until-idle-seconds", "0.1"]
    error = runner.invoke(cli.app, command).exception
    assert isinstance(error, InvalidInput)
    assert f"{home}/worker.key is for the service here" in error.detail
    assert "RANKADAPTOR_KEY" in error.hint
    assert other.sent == []


@pytest.mark.parametrize("url", ["gpu:8731", "http://", "http://[::1", "ftp://gpu", "http://g:x"])
def test_an_address_that_is_none_is_named(home: Path, url: str) -> None:
    error = runner.invoke(cli.app, ["status", "--url", url]).exception
    assert isinstance(error, InvalidInput)
    assert error.field == "url"


@pytest.mark.parametrize("key", ["rka_a\nX: y", "rka_\u00e4", "rka_\udce4", "rka_\x7f", " "])
def test_a_key_that_is_none_is_not_shown(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("RANKADAPTOR_KEY", key)
    with pytest.raises(InvalidInput) as caught:
        Connection().admin_key("http://gpu.example")
    assert "rka_" not in caught.value.detail
    assert "RANKADAPTOR_KEY" in caught.value.detail


def test_a_redirection_does_not_carry_the_key_away(other: Stranger) -> None:
    with stranger() as elsewhere, Client(other.url, "rka_secret") as client:
        headers = {"Location": f"{elsewhere.url}/v1/studies"}
        other.answers["/v1/studies"] = (307, headers, b"")
        with pytest.raises(Unreachable, match="answered 307"):
            list(client.studies())
        assert elsewhere.sent == []


def test_neither_a_proxy_nor_a_netrc_of_the_environment_counts(
    other: Stranger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password theirs\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with stranger() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        with Client(other.url, "rka_secret") as client:
            assert list(client.studies()) == []
        assert proxy.sent == []
    assert other.sent == [("/v1/studies", "Bearer rka_secret")]
