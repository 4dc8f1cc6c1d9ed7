"""A key of this machine goes to the service of this machine; one that was given goes anywhere."""

import ssl
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rankadaptor import Client, cli
from rankadaptor.commands.serve import _next_steps
from rankadaptor.connection import Connection
from rankadaptor.local_service import is_local
from rankadaptor.rest.client import RestClient
from rankadaptor.rest.tls import tls_of
from rankspace.errors import InvalidInput, Unauthenticated, Unreachable
from service.settings import Settings
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


def test_a_stranger_is_not_asked_by_a_notebook(home: Path, other: Stranger) -> None:
    with pytest.raises(Unauthenticated, match="not sent to"):
        Client(other.url)
    assert other.sent == []


def test_no_other_key_stands_in_for_an_empty_one(
    home: Path, other: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "ports").write_text(f"{other.port}\n")
    for environment in ("", "rka_environment"):  # the file of this machine, then the variable
        monkeypatch.setenv("RANKADAPTOR_KEY", environment)
        with pytest.raises(InvalidInput, match="is empty"):
            Client(other.url, "")


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
    with stranger() as elsewhere, RestClient(other.url, "rka_secret") as client:
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
        with RestClient(other.url, "rka_secret") as client:
            assert list(client.studies()) == []
        assert proxy.sent == []
    assert other.sent == [("/v1/studies", "Bearer rka_secret")]


def test_over_plain_http_no_certificate_is_read_and_none_trusted() -> None:
    assert tls_of("HTTPS://service").get_ca_certs()
    plain = tls_of("http://https:1")
    assert (plain.get_ca_certs(), plain.verify_mode) == ([], ssl.CERT_REQUIRED)


@pytest.mark.parametrize("empty", ["KEY", "URL", "DATA_DIRECTORY"])
def test_an_empty_variable_hides_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, empty: str
) -> None:
    monkeypatch.setenv("RANKADAPTOR_KEY_FILE", str(home / "worker.key"))
    monkeypatch.setenv(f"RANKADAPTOR_{empty}", "")
    connection = Connection()
    assert connection.admin_key("http://gpu.example") == "rka_worker"
    assert connection.url == "http://127.0.0.1:8731"
    assert connection.data_directory.is_absolute()


def test_an_empty_key_file_is_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKADAPTOR_KEY_FILE", "")
    assert Connection().admin_key("http://127.0.0.1:8900") == "rka_admin"


def test_without_a_key_the_service_s_other_directory_is_the_likely_cause(
    home: Path, other: Stranger
) -> None:
    (home / "admin.key").unlink()
    with pytest.raises(Unauthenticated) as caught:
        Connection().admin_key(other.url)
    cause = f"the service at {other.url} has most likely another data directory"
    assert cause in caught.value.detail
    assert caught.value.hint.startswith("set RANKADAPTOR_DATA_DIRECTORY to")
    assert "RANKADAPTOR_KEY_FILE" in caught.value.hint
    assert other.sent == []


def test_a_key_that_is_withheld_may_be_for_what_answers(home: Path, other: Stranger) -> None:
    with pytest.raises(Unauthenticated) as caught:
        Connection().admin_key(other.url)
    assert "a proxy of it, or has another data directory" in caught.value.detail
    assert f"RANKADAPTOR_KEY_FILE={home}/admin.key" in caught.value.hint
    assert "RANKADAPTOR_DATA_DIRECTORY" in caught.value.hint
    assert other.sent == []


def test_without_a_key_and_a_service_it_is_to_be_started(home: Path) -> None:
    with pytest.raises(Unauthenticated) as caught:
        Connection().admin_key("http://127.0.0.1:9")
    assert caught.value.hint.startswith("start `rankadaptor serve`")
    assert "another data directory" not in caught.value.detail


@pytest.mark.parametrize("has_one_here", [True, False])
def test_without_a_key_for_a_service_elsewhere_none_is_to_be_started_here(
    home: Path, has_one_here: bool
) -> None:
    if not has_one_here:
        (home / "admin.key").unlink()
    with pytest.raises(Unauthenticated) as caught:
        Connection().admin_key("https://lab.example")
    assert caught.value.hint.startswith("set RANKADAPTOR_KEY, or RANKADAPTOR_KEY_FILE")
    assert "rankadaptor serve" not in caught.value.hint


def test_a_worker_without_a_key_for_a_service_elsewhere_is_told_what_to_set(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.logs.configure", lambda *_: None)  # is for a process of its own
    command = ["worker", "--url", "https://lab.example", "--device", "cpu"]
    error = runner.invoke(cli.app, command).exception
    assert isinstance(error, InvalidInput)
    assert "RANKADAPTOR_KEY" in error.hint
    assert "rankadaptor serve" not in error.hint


def test_a_worker_without_a_key_is_told_the_likely_cause(
    home: Path, other: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.logs.configure", lambda *_: None)  # is for a process of its own
    (home / "worker.key").unlink()
    command = ["worker", "--url", other.url, "--device", "cpu", "--until-idle-seconds", "0.1"]
    error = runner.invoke(cli.app, command).exception
    assert isinstance(error, InvalidInput)
    assert "has most likely another data directory" in error.detail
    assert "RANKADAPTOR_DATA_DIRECTORY" in error.hint
    assert "RANKADAPTOR_JOIN_TOKEN" in error.hint


@pytest.mark.parametrize(
    ("given", "variables"),
    [
        ({}, ""),
        ({"data_directory": "/my data"}, "RANKADAPTOR_DATA_DIRECTORY='/my data'"),
        ({"port": 9000}, "RANKADAPTOR_URL=http://127.0.0.1:9000"),
        ({"host": "0.0.0.0", "port": 9000}, "RANKADAPTOR_URL=http://127.0.0.1:9000"),
        ({"host": "::1"}, "RANKADAPTOR_URL='http://[::1]:8731'"),
    ],
)
def test_a_service_says_what_other_commands_must_be_told(
    given: dict[str, Any], variables: str
) -> None:
    steps = _next_steps(Settings(**given))
    assert ("export" in steps) == bool(variables)
    assert variables in steps
