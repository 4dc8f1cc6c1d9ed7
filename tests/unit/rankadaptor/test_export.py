"""A service that means harm: what it lists and sends never lands anywhere but under our names."""

import gzip
import hashlib
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rankadaptor.adapter_download import ListedFile, receive
from rankadaptor.rest.client import RestClient
from rankspace import RankVector
from rankspace.errors import InvalidInput, RankspaceError, Unreachable, UnsupportedVersion
from rankspace.lease import ADAPTER_FILES, CONFIG, NOTE, WEIGHTS
from tests.unit.rankadaptor.listener import Stranger, in_json

STUDY = "st_aaaaaaaaaa"
ROUTE = f"/v1/studies/{STUDY}/export"
CONTENT = {WEIGHTS: bytes(range(256)) * 1000, CONFIG: b"{}\n", NOTE: b""}


@pytest.fixture
def client(other: Stranger) -> Iterator[RestClient]:
    """Of a service that exports ``CONTENT``."""
    listing(other, *(entry(name, content) for name, content in CONTENT.items()))
    for name, content in CONTENT.items():
        serve(other, name, content)
    with RestClient(other.url, "rka_secret") as client:
        yield client


def entry(name: Any, content: bytes) -> dict[str, Any]:
    sha256 = hashlib.sha256(content).hexdigest()
    return {"name": name, "bytes": len(content), "sha256": sha256}


def listing(other: Stranger, *entries: Any) -> None:
    other.answers[ROUTE] = in_json({"files": entries})


def serve(other: Stranger, name: str, content: bytes, **headers: str) -> None:
    other.answers[f"{ROUTE}/{name}"] = 200, headers, content


def everything(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


def test_an_adapter_arrives_whole(client: RestClient, tmp_path: Path) -> None:
    adapter = client.export(STUDY, tmp_path / "deep" / "adapter")
    assert {file.name: file.read_bytes() for file in adapter.paths} == CONTENT
    assert adapter.rank_vector is None  # an older service
    assert everything(tmp_path / "deep" / "adapter") == set(ADAPTER_FILES)


@pytest.mark.parametrize(
    "name",
    [
        "../../escaped",
        "/tmp/escaped",
        "..",
        "",
        ".bashrc",
        "a/b",
        "adapter_config.json/../x",
        "adapter_config.json\x00",
        "adapter_config.json\n",
        "\x1b[2J",
        "n" * 5000,
        "ADAPTER_CONFIG.JSON",
        ["adapter_config.json"],
        None,
        7,
    ],
)
def test_no_other_name_is_taken(
    client: RestClient, other: Stranger, tmp_path: Path, name: Any
) -> None:
    target = tmp_path / "deep" / "adapter"
    listing(other, entry(CONFIG, CONTENT[CONFIG]), entry(name, b"owned"))
    with pytest.raises(UnsupportedVersion, match=r"files\[1\].name") as caught:
        client.export(STUDY, target)
    assert len(caught.value.detail) < 300
    assert other.sent == [(ROUTE, "Bearer rka_secret")]
    assert everything(tmp_path) == set()


@pytest.mark.parametrize(
    "changed",
    [
        {"bytes": -1},
        {"bytes": True},
        {"bytes": "3"},
        {"bytes": 1.5},
        {"sha256": "0" * 63},
        {"sha256": "G" * 64},
        {"sha256": None},
    ],
)
def test_no_other_size_or_hash_is_taken(
    client: RestClient, other: Stranger, tmp_path: Path, changed: dict[str, Any]
) -> None:
    listing(other, {**entry(CONFIG, CONTENT[CONFIG]), **changed})
    with pytest.raises(UnsupportedVersion, match=r"files\[0\]"):
        client.export(STUDY, tmp_path)


@pytest.mark.parametrize("files", [None, "x", {"a": 1}, [1], [[]], [entry(NOTE, b"")] * 2, [{}]])
def test_what_is_no_list_of_files_is_said(
    client: RestClient, other: Stranger, tmp_path: Path, files: Any
) -> None:
    other.answers[ROUTE] = in_json({"files": files})
    with pytest.raises(UnsupportedVersion):
        client.export(STUDY, tmp_path)


def test_a_later_service_may_say_more_of_a_file(
    client: RestClient, other: Stranger, tmp_path: Path
) -> None:
    listing(other, {**entry(CONFIG, CONTENT[CONFIG]), "made_at": "today"})
    assert client.export(STUDY, tmp_path).paths == (tmp_path / CONFIG,)


def test_the_ranks_of_the_adapter_are_read_from_the_same_answer(
    client: RestClient, other: Stranger, tmp_path: Path
) -> None:
    ranks = {"files": [entry(CONFIG, CONTENT[CONFIG])], "rank_vector": {"ranks": [2, 0]}}
    other.answers[ROUTE] = in_json(ranks)
    assert client.export(STUDY, tmp_path).rank_vector == RankVector((2, 0))
    other.answers[ROUTE] = in_json(ranks | {"rank_vector": {"ranks": [-1]}})
    with pytest.raises(UnsupportedVersion, match="rank_vector"):
        client.export(STUDY, tmp_path)


@pytest.mark.parametrize(
    "sent", [b"", CONTENT[WEIGHTS][:-1], CONTENT[WEIGHTS] + b"x", b"y" * len(CONTENT[WEIGHTS])]
)
def test_a_file_that_is_not_what_was_announced_leaves_nothing(
    client: RestClient, other: Stranger, tmp_path: Path, sent: bytes
) -> None:
    (tmp_path / WEIGHTS).write_bytes(b"of before")
    serve(other, WEIGHTS, sent)
    with pytest.raises(Unreachable, match="announced"):
        client.export(STUDY, tmp_path)
    assert everything(tmp_path) == {WEIGHTS}
    assert (tmp_path / WEIGHTS).read_bytes() == b"of before"


def test_a_connection_that_breaks_leaves_nothing(
    client: RestClient, other: Stranger, tmp_path: Path
) -> None:
    serve(other, NOTE, b"", **{"Content-Length": "5", "Connection": "close"})
    with pytest.raises(Unreachable, match="no answer"):
        client.export(STUDY, tmp_path)
    assert everything(tmp_path) == set()


def test_more_than_announced_is_not_read_on(tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        yield from [b"x" * 1000] * 5
        pytest.fail("read on")

    with pytest.raises(Unreachable, match="announced"):
        receive(ListedFile(NOTE, 3500, "0" * 64), endless(), tmp_path / NOTE)


@pytest.mark.parametrize("path", [ROUTE, f"{ROUTE}/{NOTE}"])
def test_what_is_packed_is_not_unpacked(
    client: RestClient, other: Stranger, tmp_path: Path, path: str
) -> None:
    """Sixteen megabytes, packed twice, are a few hundred bytes on the way."""
    bomb = gzip.compress(gzip.compress(bytes(16 << 20)))
    other.answers[path] = 200, {"Content-Encoding": "gzip, gzip"}, bomb
    tracemalloc.start()
    try:
        with pytest.raises(Unreachable):
            client.export(STUDY, tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20
    assert everything(tmp_path) == set()


def test_a_link_in_its_place_is_replaced_and_not_followed(
    client: RestClient, tmp_path: Path
) -> None:
    victim, target = tmp_path / "victim", tmp_path / "adapter"
    victim.write_bytes(b"mine")
    target.mkdir()
    (target / CONFIG).symlink_to(victim)
    (target / NOTE).symlink_to(tmp_path / "new")
    client.export(STUDY, target)
    assert victim.read_bytes() == b"mine"
    assert not (target / CONFIG).is_symlink()
    assert everything(tmp_path) == {"victim", "adapter", *(f"adapter/{n}" for n in ADAPTER_FILES)}


def test_a_place_that_cannot_be_written_is_named(client: RestClient, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "taken" / CONFIG).mkdir(parents=True)
    for directory in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "taken"):
        with pytest.raises(InvalidInput, match="to = "):
            client.export(STUDY, directory)
    assert not [path for path in everything(tmp_path) if ".export" in path]


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"[]", b"[" * 100_000, b"\xff", b"{}", b'{"items": 1, "next": null}', b"9" * 5000],
)
def test_an_answer_of_another_program_is_an_error_of_ours(
    client: RestClient, other: Stranger, body: bytes
) -> None:
    other.answers["/v1/studies"] = 200, {}, body
    with pytest.raises(Unreachable, match="answered"):
        list(client.studies())


def test_pages_without_an_end_end(client: RestClient, other: Stranger) -> None:
    page = in_json({"items": [], "next": "x"})
    other.answers |= {"/v1/studies": page, "/v1/studies?after=x": page}
    with pytest.raises(Unreachable, match="no page"):
        list(client.studies())


@pytest.mark.parametrize("status", [200, 404])
def test_an_answer_without_an_end_is_not_read_on(
    client: RestClient, other: Stranger, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr("rankadaptor.rest.client.MAX_BYTES", 1000)
    body = in_json({"error": "NotFound", "detail": "x" * 2000, "hint": "", "items": []}, status)
    other.answers["/v1/studies"] = body
    with pytest.raises(Unreachable, match=f"answered {status}"):
        list(client.studies())


@pytest.mark.parametrize("detail", [1, ["x"], {"a": "b"}, None])
def test_an_error_in_another_form_is_not_believed(
    client: RestClient, other: Stranger, detail: Any
) -> None:
    body = {"error": "NotFound", "detail": detail, "hint": ""}
    other.answers["/v1/studies"] = in_json(body, 404)
    with pytest.raises(RankspaceError) as caught:
        list(client.studies())
    assert isinstance(caught.value, Unreachable)


def test_a_login_code_is_no_more_than_a_code(client: RestClient, other: Stranger) -> None:
    other.answers["/v1/login-codes"] = in_json({"code": "x\x1b]0;\n&next=http://elsewhere/#"})
    assert (
        client.login_url()
        == f"{other.url}/login?code=x%1B%5D0%3B%0A%26next%3Dhttp%3A%2F%2Felsewhere%2F%23"
    )
