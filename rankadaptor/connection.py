"""Where the service is and which key opens it: environment first, then this machine's own."""

from pathlib import Path

import platformdirs
from pydantic_settings import BaseSettings, SettingsConfigDict

from rankadaptor.local_service import is_local, ports
from rankspace.errors import InvalidInput, Unauthenticated

_HINT = (
    "set RANKADAPTOR_KEY, or RANKADAPTOR_KEY_FILE to a file with a key of that service; "
    "for one on this machine start `rankadaptor serve`"
)


class Connection(BaseSettings):
    """Read from ``RANKADAPTOR_URL``, ``_KEY``, ``_KEY_FILE`` and ``_DATA_DIRECTORY``.

    A key that was given goes to any address, the files of the data directory only to a service
    of that directory: addresses come from the web, from colleagues and from typing errors.
    """

    model_config = SettingsConfigDict(env_prefix="RANKADAPTOR_", extra="ignore")

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
        if self.key:
            return _checked("RANKADAPTOR_KEY", self.key)
        file = self.key_file or self.local_file("admin.key", url)
        if file is None:
            why = self.withheld("admin.key", url) or f"there is no {self.data_directory}/admin.key"
            raise Unauthenticated(f"no key was given, and {why}", hint=_HINT)
        try:
            return _checked(str(file), file.read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            raise InvalidInput(
                "key_file", str(file), f"cannot be read: {error.strerror}", fix=_HINT
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


def _checked(source: str, text: str) -> str:
    """Refuse what no header can carry: the client's own error would quote it."""
    key = text.strip()
    if not key or not key.isascii() or not key.isprintable():
        problem = "is empty or has characters that no key has"
        raise InvalidInput("key", source, problem, fix="copy the key again")
    return key
