"""Endpoint: a real server that speaks the protocol, and servers that mean harm."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rankadaptor.rate_search.endpoint import MAX_BYTES, Endpoint
from rankspace.errors import InvalidInput

KEY = "sk-a-secret"
SECONDS = 20.0
Handle = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]


@contextmanager
def server(handle: Handle) -> Iterator[tuple[str, list[tuple[str, str | None, Any]]]]:
    """Yield the address of a server, and what it was sent: path, Authorization, body."""
    sent: list[tuple[str, str | None, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            sent.append((self.path, self.headers.get("Authorization"), body))
            try:
                handle(self, body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # nobody waits for the rest

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    with Quiet(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_address[1]}/v1", sent
        finally:
            listening.shutdown()
            thread.join()


def answer(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def completion(text: Any, **more: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}}], **more}).encode()


def endpoint(url: str, *, key: str = KEY, seconds: float = SECONDS) -> Endpoint:
    return Endpoint(url, "a-model", key, seconds=seconds)


def test_it_speaks_the_protocol() -> None:
    def handle(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        said = body["messages"][0]["content"].upper()
        usage = {"prompt_tokens": 7, "completion_tokens": 3}
        answer(handler, completion(said, usage=usage))

    with server(handle) as (url, sent):
        asked = endpoint(url + "/")
        reply = asked("a list, please")
        assert (reply.text, reply.problem) == ("A LIST, PLEASE", "")
        assert (reply.prompt_tokens, reply.reply_tokens) == (7, 3)
        assert 0 < reply.seconds < SECONDS
        ((path, authorization, body),) = sent
        assert (path, authorization) == ("/v1/chat/completions", f"Bearer {KEY}")
        assert body["model"] == "a-model"
        assert body["messages"] == [{"role": "user", "content": "a list, please"}]
        assert body["max_tokens"] > 0
        assert asked.name == f"a-model at {url}/chat/completions"
        assert endpoint(url, key="")("b").text == "B"
        assert sent[-1][1] is None


def test_a_key_that_comes_back_is_blanked() -> None:
    def handle(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        answer(handler, completion(f"you sent {handler.headers['Authorization']}"))

    with server(handle) as (url, _):
        reply = endpoint(url)("a")
    assert reply.text == "you sent Bearer [redacted]"


def refused(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    handler.send_response(401, f"no {KEY}\x1b[2J")
    handler.end_headers()


def elsewhere(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    port = handler.connection.getsockname()[1]
    answer(handler, b"", 307, Location=f"http://localhost:{port}/stolen")


def huge(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _part in range(64 << 10):  # 4 GiB
        handler.wfile.write(b"a" * (64 << 10))


def packed(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    answer(handler, b"\x1f\x8b not unpacked", Content_Encoding="gzip")


def cut_short(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"{")
    handler.connection.shutdown(socket.SHUT_RDWR)


ANSWERS: dict[str, tuple[Handle, str]] = {
    "refused": (refused, "it answers 401"),
    "redirected": (elsewhere, "it answers 307"),
    "huge": (huge, f"is larger than {MAX_BYTES:,} bytes"),
    "packed": (packed, "is no chat completion"),
    "cut short": (cut_short, "without sending complete message body"),
    "no JSON": (lambda h, _: answer(h, b"<html>"), "is no chat completion"),
    "deep": (lambda h, _: answer(h, b"[" * 100_000), "is no chat completion"),
    "a number": (lambda h, _: answer(h, b"7"), "is no chat completion"),
    "nothing chosen": (lambda h, _: answer(h, b'{"choices": []}'), "is no chat completion"),
    "no message": (lambda h, _: answer(h, b'{"choices": [7]}'), "is no chat completion"),
    "null": (lambda h, _: answer(h, completion(None)), "holds no text"),
    "a list": (lambda h, _: answer(h, completion([0.5])), "holds no text"),
}


@pytest.mark.parametrize(("handle", "problem"), ANSWERS.values(), ids=ANSWERS)
def test_what_is_no_answer_is_a_reply_without_a_text(handle: Handle, problem: str) -> None:
    with server(handle) as (url, sent):
        reply = endpoint(url)("a")
        assert reply.text is None
        assert problem in reply.problem
        assert KEY not in reply.problem
        assert reply.problem.isprintable()
        assert len(sent) == 1  # no redirect was followed


def drip(handler: BaseHTTPRequestHandler, part: bytes) -> None:
    for _ in range(600):
        handler.wfile.write(part)
        time.sleep(0.05)


def slow_body(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    handler.send_response(200)
    handler.end_headers()
    drip(handler, b" ")


def slow_headers(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    drip(handler, b"a")


@pytest.mark.parametrize("handle", [slow_body, slow_headers])
def test_one_that_drips_is_left_when_its_time_is_up(handle: Handle) -> None:
    """Every byte comes in time; the whole does not."""
    with server(handle) as (url, _):
        reply = endpoint(url, seconds=0.5)("a")
    assert reply.text is None
    assert reply.problem == "no whole answer within 0.5 seconds"
    assert 0.5 <= reply.seconds < 15  # of the 30 it would have dripped


def test_nobody_there_is_a_problem_and_no_exception() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    reply = endpoint(f"http://127.0.0.1:{port}/v1")("a")
    assert reply.text is None
    assert reply.problem


def test_counts_that_are_none_are_left_out_and_half_letters_are_written() -> None:
    def handle(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        answer(
            handler, completion("\ud800a", usage={"prompt_tokens": "7", "completion_tokens": -1})
        )

    with server(handle) as (url, _):
        reply = endpoint(url)("a")
    assert reply.text == "?a"
    assert (reply.prompt_tokens, reply.reply_tokens) == (None, None)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://host/v1", "is no http or https address"),
        ("http:///v1", "is no http or https address"),
        ("http://host/v1?api_key=a", "is no http or https address"),
        ("http://host:port/v1", "Invalid port"),
        ("http://me:password@host/v1", "holds a name or a password"),
    ],
)
def test_addresses_that_are_none_are_refused_without_their_password(url: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        endpoint(url)
    assert "password@" not in str(caught.value)


def test_a_key_that_is_no_header_is_refused_without_being_shown() -> None:
    with pytest.raises(InvalidInput) as caught:
        endpoint("http://host/v1", key="secret\r\nX: y")
    assert "secret" not in str(caught.value)
