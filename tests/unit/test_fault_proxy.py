"""The proxy does what its faults are called."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.fault_proxy import FaultProxy
from tests.services import free_port


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that sends back what it gets."""
    listening = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1000):
                    connection.sendall(data)
            except OSError:
                return

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listening.getsockname()
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


@pytest.fixture
def proxy(echo: tuple[str, int]) -> Iterator[FaultProxy]:
    with FaultProxy([("127.0.0.1", free_port()), echo]) as proxy:  # the first one never answers
        yield proxy


def _open(proxy: FaultProxy) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", proxy.port), 2)
    connection.settimeout(0.3)
    return connection


def _says(connection: socket.socket, word: bytes) -> bool:
    connection.sendall(word)
    return connection.recv(100) == word


def _is_over(connection: socket.socket) -> bool:
    try:
        return connection.recv(100) == b""
    except ConnectionResetError:
        return True


def test_it_forwards_to_whoever_answers(proxy: FaultProxy) -> None:
    with _open(proxy) as connection:
        assert _says(connection, b"hello")


def test_cut_ends_connections_and_refuses_new_ones(proxy: FaultProxy) -> None:
    with _open(proxy) as connection:
        assert _says(connection, b"hello")
        proxy.begin("cut")
        assert _is_over(connection)
    with pytest.raises(ConnectionRefusedError):
        _open(proxy)
    proxy.end()
    with _open(proxy) as connection:
        assert _says(connection, b"again")


def test_half_open_answers_nothing_and_ends_nothing(proxy: FaultProxy) -> None:
    with _open(proxy) as old:
        assert _says(old, b"hello")
        proxy.begin("half-open")
        with _open(proxy) as new:
            for connection in (old, new):
                with pytest.raises(TimeoutError):
                    _says(connection, b"anybody?")
            proxy.end()
            assert _is_over(old)
    with _open(proxy) as connection:
        assert _says(connection, b"again")


def test_reset_ends_what_is_open_and_serves_what_comes(proxy: FaultProxy) -> None:
    with _open(proxy) as connection:
        assert _says(connection, b"hello")
        proxy.begin("reset")
        with pytest.raises(ConnectionResetError):
            connection.recv(100)
    with _open(proxy) as connection:
        assert _says(connection, b"again")


def test_delay_is_slow_and_complete(proxy: FaultProxy) -> None:
    proxy.begin("delay")
    with _open(proxy) as connection:
        connection.settimeout(5)
        began = time.monotonic()
        assert _says(connection, b"hello")
        assert time.monotonic() - began >= proxy.DELAY_SECONDS
