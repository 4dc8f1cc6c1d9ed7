"""Webhooks go to a public address over https, once checked, signed, and nowhere else."""

import hashlib
import hmac
import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from rankspace.errors import Forbidden, InvalidInput, Unreachable
from rankspace.study import StudyState
from service.runtime import assemble
from service.settings import Settings
from service.signals.addresses import is_public
from service.signals.announcer import Announcer, announcer
from service.signals.delivery import SIGNATURE, Delivery, check_url
from tests.unit.service.driver import settings, start
from tests.waiting import wait_for

HOST, SECRET = "hooks.example", b"a secret of sixteen or more"

ADDRESSES = [
    ("93.184.216.34", True),
    ("2606:4700:4700::1111", True),
    ("10.0.0.1", False),
    ("172.16.0.1", False),
    ("192.168.1.1", False),
    ("127.0.0.1", False),
    ("127.8.9.1", False),
    ("0.0.0.0", False),
    ("255.255.255.255", False),
    ("240.0.0.1", False),
    ("224.0.0.1", False),
    ("169.254.169.254", False),  # metadata of most clouds
    ("168.63.129.16", False),  # of one, at a public address
    ("192.0.0.192", False),  # of another
    ("100.64.0.1", False),  # CGNAT
    ("100.100.100.200", False),  # in it, a cloud's metadata
    ("198.18.0.1", False),
    ("192.0.2.1", False),
    ("203.0.113.9", False),
    ("192.88.99.1", False),
    ("::", False),
    ("::1", False),
    ("fe80::1", False),
    ("fe80::1%eth0", False),
    ("2606:4700:4700::1111%eth0", False),
    ("fc00::1", False),
    ("fd00:ec2::254", False),  # metadata over IPv6
    ("fec0::1", False),
    ("ff02::1", False),
    ("::ffff:10.0.0.1", False),
    ("::ffff:93.184.216.34", False),  # mapped: write it as IPv4
    ("::10.0.0.1", False),
    ("64:ff9b::a00:1", False),  # NAT64 of 10.0.0.1
    ("64:ff9b::808:808", False),
    ("64:ff9b:1::1", False),
    ("2002:a00:1::1", False),  # 6to4 of 10.0.0.1
    ("2001:0:a00:1::1", False),  # Teredo
    ("2001:db8::1", False),
    ("3fff::1", False),
    ("4000::1", False),
    ("10.1", False),
    ("2130706433", False),
    ("hooks.example", False),
    ("", False),
]


@pytest.mark.parametrize(("address", "public"), ADDRESSES)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/x",
        "ftp://hooks.example/x",
        "https://",
        "https://user:pass@hooks.example/x",
        "https://hooks.example:port/x",
        "//hooks.example/x",
        "https://[::1",
        "",
    ],
)
def test_other_addresses_are_refused_at_the_start(url: str) -> None:
    with pytest.raises(InvalidInput, match="webhook_url") as refused:
        check_url(url)
    assert "pass" not in refused.value.detail


class Hook:
    """A real https server that answers with ``statuses`` in turn and remembers what it was sent."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.statuses: list[int] = [200]
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.names: list[str | None] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.seen.append((self.path, dict(self.headers), body))
                status = hook.statuses.pop(0) if len(hook.statuses) > 1 else hook.statuses[0]
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://{HOST}:{self.server.server_address[1]}/hook"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of the host's name, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not there to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    command += ["-out", str(certificate), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def hook(certificate: tuple[Path, Path]) -> Iterator[Hook]:
    started = Hook(*certificate)
    yield started
    started.close()


Deliver = Callable[..., Delivery]


@pytest.fixture
def delivery(hook: Hook, certificate: tuple[Path, Path]) -> Deliver:
    """A delivery to the hook: its name leads to this machine, which is admitted here only."""

    def make(**changes: Any) -> Delivery:
        given = {"url": hook.url, "resolve": lambda host, port: ["127.0.0.1"]}
        tls = ssl.create_default_context(cafile=str(certificate[0]))
        usual = {"admits": lambda address: address == "127.0.0.1", "tls": tls}
        return Delivery(**{"secret": SECRET, **given, **usual, **changes})

    return make


def test_a_message_is_signed_and_sent_to_the_name(hook: Hook, delivery: Deliver) -> None:
    delivery().send(b"{}")
    ((path, headers, body),) = hook.seen
    assert (path, body) == ("/hook", b"{}")
    assert headers["Host"] == hook.url.split("/")[2]
    expected = hmac.new(SECRET, b"{}", hashlib.sha256).hexdigest()
    assert headers[SIGNATURE] == f"sha256={expected}"
    assert hook.names == [HOST]


@pytest.mark.parametrize(
    "addresses", [["10.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["169.254.169.254"], []]
)
def test_no_connection_is_made_unless_every_address_is_admitted(
    hook: Hook, delivery: Deliver, addresses: Sequence[str]
) -> None:
    with pytest.raises(Forbidden, match=HOST):
        delivery(resolve=lambda host, port: addresses).send(b"{}")
    assert hook.names == []


def test_by_default_this_machine_is_not_admitted(hook: Hook) -> None:
    url = hook.url.replace(HOST, "localhost")
    with pytest.raises(Forbidden, match="localhost"):
        Delivery(url, SECRET).send(b"{}")
    assert hook.names == []


def test_a_second_look_up_cannot_lead_elsewhere(hook: Hook, delivery: Deliver) -> None:
    """DNS rebinding: the name is looked up once, and its answer is where the message goes."""
    answers = iter([["127.0.0.1"]])
    delivery(resolve=lambda host, port: next(answers)).send(b"{}")
    assert len(hook.seen) == 1


def test_another_s_certificate_is_not_believed(hook: Hook, delivery: Deliver) -> None:
    with pytest.raises(Unreachable, match=r"other\.example"):
        delivery(url=hook.url.replace(HOST, "other.example")).send(b"{}")
    assert hook.seen == []


@pytest.mark.parametrize("status", [301, 307, 404, 500])
def test_redirects_and_refusals_are_errors(hook: Hook, delivery: Deliver, status: int) -> None:
    hook.statuses = [status]
    with pytest.raises(Unreachable, match=str(status)):
        delivery().send(b"{}")
    assert [path for path, *_ in hook.seen] == ["/hook"]


def test_a_name_nobody_knows_is_unreachable() -> None:
    with pytest.raises(Unreachable, match=r"name\.invalid"):
        Delivery("https://name.invalid/x", SECRET).send(b"{}")


def test_the_third_attempt_may_succeed(hook: Hook, delivery: Deliver) -> None:
    hook.statuses = [503, 503, 200]
    told = Announcer(delivery(), first_wait_seconds=0.01)
    with capture_logs() as logs:
        told.announce("st_a", StudyState.DONE)
        wait_for(lambda: len(logs) > 0)
    told.close()
    assert [entry["event"] for entry in logs] == ["webhook delivered"]
    assert len(hook.seen) == 3
    message = json.loads(hook.seen[0][2])
    assert (message["study"], message["state"], set(message)) == (
        "st_a",
        "done",
        {"study", "state", "at"},
    )


def test_what_cannot_be_delivered_is_logged_and_lost(hook: Hook, delivery: Deliver) -> None:
    hook.statuses = [500]
    told = Announcer(delivery(), first_wait_seconds=0.01)
    with capture_logs() as logs:
        told.announce("st_a", StudyState.FAILED)
        wait_for(lambda: len(logs) > 0)
    told.close()
    assert (logs[0]["event"], logs[0]["study"]) == ("webhook not delivered", "st_a")
    assert len(hook.seen) == 3


def test_closing_waits_for_one_attempt_more_at_most(hook: Hook, delivery: Deliver) -> None:
    """One that was decided on before; but for closing it would come in an hour."""
    hook.statuses = [500]
    told = Announcer(delivery(), first_wait_seconds=3600.0)
    told.announce("st_a", StudyState.FAILED)
    told.announce("st_b", StudyState.FAILED)
    wait_for(lambda: len(hook.seen) == 1)
    told.close()
    assert {json.loads(body)["study"] for *_, body in hook.seen} == {"st_a"}
    assert len(hook.seen) <= 2


def test_only_ends_are_announced(hook: Hook, delivery: Deliver) -> None:
    told = Announcer(delivery())
    for state in (StudyState.VERIFYING, StudyState.RECOVERING, StudyState.DONE):
        told.announce("st_a", state)
    wait_for(lambda: len(hook.seen) == 1)
    told.close()
    assert json.loads(hook.seen[0][2])["state"] == "done"


@pytest.mark.parametrize(("works", "end"), [(True, "done"), (False, "failed")])
def test_a_study_s_end_is_announced_once(
    directory: Path, monkeypatch: pytest.MonkeyPatch, works: bool, end: str
) -> None:
    heard: list[tuple[str, str]] = []
    monkeypatch.setattr(Announcer, "announce", lambda _, study, state: heard.append((study, state)))
    service = start(directory)
    with service.client:
        identity = service.submit()
        service.work() if works else service.work(measure=lambda _: None)
        service.sweep()
    assert heard.count((identity, end)) == 1


def _hooked(directory: Path, **changes: Any) -> Settings:
    file = directory / "secret"
    file.write_bytes(SECRET)
    given = {"webhooks": True, "webhook_url": "https://hooks.example/x"}
    return settings(directory, webhook_secret_file=file, **{**given, **changes})


def test_webhooks_are_off_unless_asked_for(tmp_path: Path) -> None:
    told = announcer(settings(tmp_path, webhook_url="http://never.looked.at"))
    told.announce("st_a", StudyState.DONE)
    told.close()
    assert not Settings().webhooks


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"webhook_url": "http://hooks.example"}, "webhook_url"),
        ({"webhook_url": ""}, "webhook_url"),
        ({"webhook_secret_file": None}, "webhook_secret_file"),
        ({"webhook_secret_file": Path("/nonexistent")}, "webhook_secret_file"),
        ({"webhook_secret_file": Path("/dev/null")}, "webhook_secret_file"),
    ],
)
def test_the_service_does_not_start_with_a_half_set_webhook(
    tmp_path: Path, changes: dict[str, Any], field: str
) -> None:
    hooked = _hooked(tmp_path).model_copy(update=changes)
    with pytest.raises(InvalidInput, match=field):
        assemble(hooked)


def test_the_secret_shows_nowhere(tmp_path: Path) -> None:
    assert SECRET.decode() not in repr(Delivery("https://x", SECRET)) + repr(_hooked(tmp_path))
