"""run: serve until a signal."""

import errno
import ipaddress
import os
import socket
import sys
import threading
from pathlib import Path
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError

from rankspace.errors import InvalidInput, Unreachable
from service.allocation import use_few_arenas
from service.app import create_app, prepare
from service.descriptors import ask_for, connections_within, needed
from service.runtime import Runtime
from service.settings import Settings
from service.storage.private_files import owner_only
from service.telemetry import logs
from service.web.connection import kind_of
from service.web.connections import Connections, Patience, Room

log = structlog.get_logger(__name__)

PORTS = "ports"  # beside the keys; rankadaptor/local_service.py reads it

BACKLOG = 2048
"""Callers that may wait to be accepted."""

AT_ONCE = 64
"""Accepted in one turn of the event loop: each takes a descriptor before it can be turned away."""

SWEEP_SECONDS = 1

SWITCH_SECONDS = 0.0005
"""After so long a thread that computes lets another one compute: a heartbeat changes threads some
twenty times, and beside a model that learns each time waited Python's usual 5 ms (`bench.harm`)."""

LAST_SECONDS = 10
"""What the parts may take to stop, after the requests had their time: then the process ends."""


def run(settings: Settings) -> None:
    """Serve in this process until SIGINT or SIGTERM.

    Raises:
        InvalidInput: The settings cannot be used, the address is taken, or the data directory has
            keys of another database.
        UnsupportedVersion: The database has another schema than this program's.
        Conflict: Another service has the same SQLite file.
        Unreachable: The database does not answer, or is damaged.
    """
    settings.check()
    with listen(settings.host, settings.port) as listening, owner_only():
        logs.configure(settings)
        sys.setswitchinterval(SWITCH_SECONDS)
        use_few_arenas()
        app = create_app(settings, plans_apart=os.name == "posix")
        runtime: Runtime = app.state.runtime
        host, port = listening.getsockname()[:2]
        with runtime.database.served_alone(f"http://{settings.host}:{port}"):
            if _is_reached_here(host):
                note_port(settings.data_directory, port)
            log.info(
                "starting",
                address=f"http://{settings.host}:{port}",
                data_directory=str(settings.data_directory.absolute()),
            )
            _prepare(runtime)
            Server(configuration(app, settings), runtime).run(sockets=[listening])


def _prepare(runtime: Runtime) -> None:
    """Find out before the application starts, where an error of ours would be a trace."""
    try:
        prepare(runtime)
    except DBAPIError as error:
        problem = str(error.orig).partition("\n")[0]
        hint = "see that it runs, and that its address, its disk and its rights are right"
        raise Unreachable(f"the database cannot be used: {problem}", hint=hint) from error


def listen(host: str, port: int) -> socket.socket:
    """Take the address before anything else is done.

    What is accepted inherits TCP_NODELAY, which asyncio leaves out on such a socket: an answer's
    second packet would wait 40 ms for the receipt of its first.

    Raises:
        InvalidInput: The port is taken or not allowed, or this machine has no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            fix = "use 127.0.0.1, or an address of this machine"
            raise InvalidInput("host", host, f"cannot be listened on: {error}", fix=fix) from None
        problem = "is taken" if error.errno == errno.EADDRINUSE else "needs more rights"
        fix = "stop the program that listens there, or choose another port (0: any that is free)"
        raise InvalidInput("port", port, problem, fix=fix) from None
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def note_port(directory: Path, port: int) -> None:
    """Write the port beside the keys, for clients on this machine; they do without, if need be."""
    file = directory / PORTS
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with file.open("a+", encoding="ascii", errors="replace") as noted:
            noted.seek(0)
            if str(port) not in noted.read().split():
                noted.write(f"{port}\n")
    except OSError as error:
        log.warning("the port could not be noted", file=str(file), error=str(error))


def _is_reached_here(host: str) -> bool:
    address = ipaddress.ip_address(host)
    return address.is_loopback or address.is_unspecified


def configuration(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves ``app``: what it would read from variables of its own is set here."""
    connections = _connections(app.state.runtime, settings)
    return uvicorn.Config(
        app,
        http=kind_of(connections),
        ws="none",
        backlog=AT_ONCE,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=settings.shutdown_seconds,
        callback_notify=connections.sweep,
        timeout_notify=SWEEP_SECONDS,
    )


def _connections(runtime: Runtime, settings: Settings) -> Connections:
    wanted, threads = settings.connections, settings.threads
    total = connections_within(ask_for(needed(wanted, threads)), wanted, threads)
    if total < wanted:
        log.warning("fewer connections than allowed: too few file descriptors", connections=total)
    connections = Connections(
        Room(total, settings.connections_per_address),
        Patience(settings.header_seconds, settings.body_seconds),
        settings.is_proxy,
        lambda reason: runtime.metrics.cut_connections.labels(reason).inc(),
    )
    runtime.metrics.open_connections.set_function(lambda: len(connections))
    return connections


class Server(uvicorn.Server):
    """Ends the long-polls at the first signal, so that stopping does not wait for them."""

    def __init__(self, config: uvicorn.Config, runtime: Runtime) -> None:
        super().__init__(config)
        self._runtime = runtime

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen as long a queue as before: uvicorn takes how many it accepts at once for it."""
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(BACKLOG)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        log.info("stopping", signal=sig)
        if not self.should_exit:
            _end_after(self._runtime.settings.shutdown_seconds + LAST_SECONDS)
        self._runtime.doorbell.close()
        super().handle_exit(sig, frame)


def _end_after(seconds: float) -> None:
    """End the process then, whatever computes: a thread cannot be stopped, and may be waited for.

    Every write is a transaction, and planning goes on at the next start: nothing is lost.
    """
    timer = threading.Timer(seconds, _end)
    timer.daemon = True
    timer.start()


def _end() -> None:
    log.warning("stopped in the middle of what would not end")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
