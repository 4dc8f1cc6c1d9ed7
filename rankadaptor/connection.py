"""Where the service is and which key opens it: environment first, then this machine's own."""

from pathlib import Path

import platformdirs
from pydantic_settings import BaseSettings, SettingsConfigDict

from rankadaptor.local_service import is_here, is_local, is_open, ports
from rankspace.errors import InvalidInput, Unauthenticated

_GIVE_ONE = "set RANKADAPTOR_KEY, or RANKADAPTOR_KEY_FILE to a file with a key of that service"
_START = "start `rankadaptor serve` on this machine"
_SAY_WHERE = (
    "set RANKADAPTOR_DATA_DIRECTORY to the directory it was started with (serve --data; its log "
    "begins with data_directory)"
)


class Connection(BaseSettings):
    """Read from ``RANKADAPTOR_URL``, ``_KEY``, ``_KEY_FILE`` and ``_DATA_DIRECTORY``.

    A key that was given goes to any address, the files of the data directory only to a service
    of that directory: addresses come from the web, from colleagues and from typing errors.
    """

    model_config = SettingsConfigDict(
        env_prefix="RANKADAPTOR_", env_ignore_empty=True, extra="ignore"
    )

    url: str = "http://127.0.0.1:8731"
    key: str | None = None
    key_file: Path | None = None
    data_directory: Path = Path(platformdirs.user_data_dir("rankadaptor", appauthor=False))

    def admin_key(self, url: str) -> str:
        """Return the key to send to ``url``.

        Raises:
            Unauthenticated: No key was given, and there is none for that address here.
            InvalidInput: It is no key, or its file cannot be read.
        """
        if self.key is not None:
            return _checked("RANKADAPTOR_KEY", self.key)
        file = self.key_file or self.local_file("admin.key", url)
        if file is None:
            why, hint = self.lacking("admin.key", url, _GIVE_ONE)
            raise Unauthenticated(f"no key was given, and {why}", hint=hint)
        try:
            return _checked(str(file), file.read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            raise InvalidInput(
                "key_file", str(file), f"cannot be read: {error.strerror}", fix=_GIVE_ONE
            ) from error

    def local_file(self, name: str, url: str) -> Path | None:
        """Return the file of a key that the service at ``url`` left here, if there is one."""
        file = self.data_directory / name
        return file if is_local(url, self.data_directory) and file.exists() else None

    def withheld(self, name: str, url: str) -> str:
        """Say why the file of a key is not for ``url``; nothing if it is, or is not there."""
        file = self.data_directory / name
        if is_local(url, self.data_directory) or not file.exists():
            return ""
        known = " and ".join(str(port) for port in sorted(ports(self.data_directory)))
        return f"{file} is for the service here (127.0.0.1, port {known}) and not sent to {url}"

    def lacking(self, name: str, url: str, give: str) -> tuple[str, str]:
        """Say why there is no such file for ``url``, and what to do about it.

        A service elsewhere wants a key, as ``give`` says. One that runs here was mostly given
        another data directory.
        """
        file, withheld = self.data_directory / name, self.withheld(name, url)
        why, fix = withheld or f"there is no {file}", _START
        if not is_here(url):
            return why, give
        if is_open(url) and withheld:
            why += ": what answers there is a proxy of it, or has another data directory"
            fix = f"if it leads there set RANKADAPTOR_KEY_FILE={file}; if not {_SAY_WHERE}"
        elif is_open(url):
            why += f": the service at {url} has most likely another data directory"
            fix = _SAY_WHERE
        return why, f"{fix}; for another service {give}"


def _checked(source: str, text: str) -> str:
    """Refuse what no header can carry: the client's own error would quote it."""
    key = text.strip()
    if not key or not key.isascii() or not key.isprintable():
        problem = "is empty or has characters that no key has"
        raise InvalidInput("key", source, problem, fix="copy the key again")
    return key
