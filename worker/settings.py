"""Settings: what an operator may change, from ``RANKADAPTOR_*`` variables or the caller."""

import os
import secrets
import socket
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from rankspace.errors import InvalidInput


def _name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


def _spool_directory() -> Path:
    return Path(platformdirs.user_state_dir("rankadaptor", appauthor=False)) / "spool"


def _token_directory() -> Path:
    return Path(platformdirs.user_cache_dir("rankadaptor", appauthor=False)) / "tokens"


class Settings(BaseSettings):
    """How a worker runs.

    Attributes:
        url: Address of the service.
        redis_url: Where to wait for work; without it, at the service. ``rediss://`` for TLS.
        key: A key of role worker; or ``key_file``, which holds one.
        join_token: What is exchanged for a key at the first start, if none is given; or
            ``join_token_file``, which holds it.
        worker: Name under which leases are held; must not be shared by two running workers. A
            worker that joins needs one that stays.
        device: ``auto`` takes a GPU where there is one.
        roots: Directories within which models and data lie; a list with colons between. Without
            any, whatever this user can read, but for keys, hidden files and the system's own.
        cpu_threads: Threads of one operation on the CPU; None leaves it to torch.
        spool_directory: Where undelivered reports wait, and the key of a worker that joined;
            workers may share it, and deliver what another one left behind.
        token_directory: Where tokenised data are kept, so that the next worker need not make them
            anew; workers of one user may share it.
        wait_seconds: How long one claim may wait for work.
        away_seconds: Pause after the service did not answer.
        max_trials: Leave after so many trials.
        until_idle_seconds: Leave when there was no work for so long.
        grace_seconds: Asked to leave, finish a trial whose training is over so soon; any other is
            given back, which costs it no attempt. Less than what sends SIGKILL after SIGTERM waits.
        checkpoint_minutes: How often a trial that takes longer is kept in the spool directory, so
            that it goes on from there when this worker is given it again; 0 for never.
        stuck_seconds: End the process when a trial has not moved for so long: longer than loading
            the model and than measuring it.
    """

    model_config = SettingsConfigDict(
        env_prefix="RANKADAPTOR_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    url: str = "http://127.0.0.1:8731"
    redis_url: SecretStr | None = None
    key: SecretStr | None = None
    key_file: Path | None = None
    join_token: SecretStr | None = None
    join_token_file: Path | None = None
    worker: str = Field(default_factory=_name, min_length=1, max_length=200)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    roots: Annotated[tuple[Path, ...], NoDecode] = ()
    cpu_threads: int | None = Field(default=None, ge=1)
    spool_directory: Path = Field(default_factory=_spool_directory)
    token_directory: Path = Field(default_factory=_token_directory)
    wait_seconds: float = Field(default=20.0, ge=0, le=30)
    away_seconds: float = Field(default=5.0, gt=0)
    max_trials: int | None = Field(default=None, ge=1)
    until_idle_seconds: float | None = Field(default=None, gt=0)
    grace_seconds: float = Field(default=15.0, ge=0)
    checkpoint_minutes: float = Field(default=5.0, ge=0, le=720)
    stuck_seconds: float = Field(default=3600.0, gt=0)
    log_format: Literal["auto", "json", "console"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("device", mode="before")
    @classmethod
    def _unnumbered(cls, given: Any) -> Any:
        if isinstance(given, str) and given.startswith("cuda:"):
            raise ValueError("a worker has one GPU: say cuda, and which in CUDA_VISIBLE_DEVICES")
        return given

    @field_validator("roots", mode="before")
    @classmethod
    def _listed(cls, given: Any) -> Any:
        return given.split(os.pathsep) if isinstance(given, str) else given

    @field_validator("roots")
    @classmethod
    def _absolute(cls, roots: tuple[Path, ...]) -> tuple[Path, ...]:
        if not all(root.is_absolute() for root in roots):
            raise ValueError("name every root by its absolute path")
        return roots

    def secret(self, local: Path | None = None) -> str:
        """The key itself; ``local`` is a file that has one if none is given.

        Raises:
            InvalidInput: There is none, it is none, or its file cannot be read.
        """
        if self.key is not None:
            return _checked("key", "RANKADAPTOR_KEY", self.key.get_secret_value())
        file = self.key_file or local
        if file is None:
            fix = "set RANKADAPTOR_KEY or _KEY_FILE, or RANKADAPTOR_JOIN_TOKEN or _JOIN_TOKEN_FILE"
            raise InvalidInput("key", None, "is missing", fix=fix)
        return _read("key_file", file)

    def token(self) -> str | None:
        """The join token itself, if there is one.

        Raises:
            InvalidInput: It is none, or its file cannot be read.
        """
        if self.join_token is not None:
            given = self.join_token.get_secret_value()
            return _checked("join_token", "RANKADAPTOR_JOIN_TOKEN", given)
        file = self.join_token_file
        return None if file is None else _read("join_token_file", file)


def _read(field: str, file: Path) -> str:
    try:
        return _checked(field, str(file), file.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise InvalidInput(field, str(file), problem, fix="create it") from error


def _checked(field: str, source: str, text: str) -> str:
    """Refuse what no header can carry, without quoting it: it would look like a service away."""
    secret = text.strip()
    if not secret or not secret.isascii() or not secret.isprintable():
        problem = "is empty or has characters that no key or token has"
        raise InvalidInput(field, source, problem, fix="copy it again")
    return secret
