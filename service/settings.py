"""Settings: everything an operator may change, from ``RANKADAPTOR_*`` variables or the caller."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

import platformdirs
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from rankspace.errors import InvalidInput

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
HEARTBEATS_PER_LEASE, LEAST_HEARTBEATS = 6, 3
_HOST = re.compile(r"[a-z0-9_.-]+|\[[0-9a-f:.]+\]", re.IGNORECASE)
_ROOT_PATH = re.compile(r"(/[a-z0-9_~-][a-z0-9._~-]*)+", re.IGNORECASE)
OWN_PATHS = ("v1", "studies", "static", "login", "logout", "livez", "readyz", "metrics")
LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]", "testserver")


def _data_directory() -> Path:
    return Path(platformdirs.user_data_dir("rankadaptor", appauthor=False))


class Settings(BaseSettings):
    """How the service runs.

    ``database_url``: ``sqlite:///FILE``, or ``postgresql://…`` for several services at once.
    ``redis_url``: where idle workers wait for work, ``rediss://`` for TLS; without one they wait at
    the service. ``allowed_hosts`` are further ``Host`` names beside the local ones, in the
    environment separated by commas. ``heartbeat_seconds`` follows the lease unless it is given.
    ``secure_cookies`` says that browsers come over https though the service does not: TLS ends in
    front of it. ``requests_per_second`` and ``request_burst`` are one key's share of each process;
    a worker key has ten times as much, all requests from one address without a valid key a tenth.
    ``trusted_proxies`` are addresses and networks whose ``X-Forwarded-For`` and ``-Proto`` are
    believed. ``root_path`` is what all addresses begin with at a proxy that others share, such as
    ``/rankadaptor``. ``connections`` may be open at a time, half of them by callers without a valid
    key, of whom one address may have ``connections_per_address``. ``header_seconds`` is how long
    the head of a request may take, ``body_seconds`` how long nothing may come of a body, and
    nothing of an answer be taken.
    ``looks_per_key`` dear answers, such as fronts and pages of trials, one key may wait for.
    ``metrics_open`` lets ``/metrics`` be read without a key, for networks where only the scraper
    reaches it. ``otel`` makes a span of every request; it needs the extra of that name.
    """

    model_config = SettingsConfigDict(
        env_prefix="RANKADAPTOR_", env_ignore_empty=True, frozen=True, extra="forbid"
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8731, ge=0, le=65535)
    data_directory: Path = Field(default_factory=_data_directory)
    database_url: str | None = None
    redis_url: str | None = None
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    secure_cookies: bool = False
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    root_path: str = ""
    lease_seconds: float = Field(default=120.0, gt=0)
    heartbeat_seconds: float = Field(
        default_factory=lambda given: given["lease_seconds"] / HEARTBEATS_PER_LEASE, gt=0
    )
    housekeeping_seconds: float = Field(default=1.0, gt=0)
    active_worker_seconds: float = Field(default=60.0, gt=0)
    poll_seconds: float = Field(default=0.5, gt=0)
    fresh_seconds: float = Field(default=0.05, gt=0)
    max_body_bytes: int = 256 * KIB
    max_model_bytes: int = 8 * MIB
    max_artifact_bytes: int = 4 * GIB
    requests_per_second: float = Field(default=50.0, gt=0)
    request_burst: float = Field(default=200.0, ge=1)
    polls_per_key: int = Field(default=256, ge=1)
    streams_per_key: int = Field(default=64, ge=1)
    streams: int = Field(default=500, ge=1)
    looks_per_key: int = Field(default=16, ge=1)
    stream_seconds: float = Field(default=3600.0, gt=0)
    connections: int = Field(default=4000, ge=16)
    connections_per_address: int = Field(default=500, ge=1)
    header_seconds: float = Field(default=10.0, gt=0)
    body_seconds: float = Field(default=60.0, gt=0)
    webhooks: bool = False
    webhook_url: str = ""
    webhook_secret_file: Path | None = None
    shutdown_seconds: int = Field(default=3, ge=0)
    threads: int = Field(default=40, ge=4)
    planning_mebibytes: int = Field(default=1024, ge=64)
    metrics_open: bool = False
    otel: bool = False
    log_format: Literal["auto", "json", "console"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("allowed_hosts", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return _names(value) if isinstance(value, str) else value

    @field_validator("root_path")
    @classmethod
    def _without_slash(cls, path: str) -> str:
        return path.rstrip("/")

    def url(self) -> str:
        """The database's address; by default a SQLite file in the data directory."""
        file = self.data_directory / "rankadaptor.sqlite"
        return self.database_url or f"sqlite:///{quote(str(file))}"

    def hosts(self) -> frozenset[str]:
        """``Host`` names that are answered, lower case, without a port."""
        return frozenset(name.lower() for name in (*LOCAL_HOSTS, *self.allowed_hosts))

    def is_proxy(self, address: str) -> bool:
        """Whether a connection from ``address`` speaks for others."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in ipaddress.ip_network(network) for network in self.trusted_proxies)

    def check(self) -> None:
        """Refuse what would work, but not well.

        Raises:
            InvalidInput: ``host`` is not a loopback address and ``allowed_hosts`` is empty, or has
                what no ``Host`` can be; ``trusted_proxies`` has what is no address, ``root_path``
                what nothing can be below; or a lease is over before two heartbeats have been lost.
        """
        self._check_exposure()
        self._check_names()
        self._check_proxies()
        self._check_root_path()
        most = self.lease_seconds / LEAST_HEARTBEATS
        if self.heartbeat_seconds > most:
            raise InvalidInput(
                "heartbeat_seconds",
                self.heartbeat_seconds,
                f"{LEAST_HEARTBEATS} of them do not fit a lease of {self.lease_seconds:g} seconds",
                fix=f"use at most {most:.1f}, or leave it out",
            )

    def _check_exposure(self) -> None:
        if not _is_loopback(self.host) and not self.allowed_hosts:
            raise InvalidInput(
                "host",
                self.host,
                "other machines could reach the service",
                fix="set RANKADAPTOR_ALLOWED_HOSTS to the names it is reached by, or 127.0.0.1",
            )

    def _check_names(self) -> None:
        wrong = next((name for name in self.allowed_hosts if not _HOST.fullmatch(name)), None)
        if wrong is not None:
            raise InvalidInput(
                "allowed_hosts",
                wrong,
                "never matches",
                fix="write the name alone, such as gpu.example or [fd00::1]: no scheme, no port",
            )

    def _check_proxies(self) -> None:
        wrong = next((name for name in self.trusted_proxies if not _is_network(name)), None)
        if wrong is not None:
            raise InvalidInput(
                "trusted_proxies",
                wrong,
                "is neither an address nor a network",
                fix="write the proxy's, such as 127.0.0.1 or 10.0.0.0/8",
            )

    def _check_root_path(self) -> None:
        path = self.root_path
        if path and not _ROOT_PATH.fullmatch(path):
            fix = "write it like /rankadaptor, or leave it out"
            raise InvalidInput("root_path", path, "is no path to be below", fix=fix)
        if path.partition("/")[2].partition("/")[0] in OWN_PATHS:
            problem = "begins like the service's own paths"
            raise InvalidInput("root_path", path, problem, fix="choose another, like /rankadaptor")


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
