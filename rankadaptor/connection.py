"""Where the service is and which key opens it: environment first, then this machine's own."""

from pathlib import Path

import platformdirs
from pydantic_settings import BaseSettings, SettingsConfigDict

from rankspace.errors import Unauthenticated


class Connection(BaseSettings):
    """Read from ``RANKADAPTOR_URL``, ``RANKADAPTOR_KEY``, ``RANKADAPTOR_DATA_DIRECTORY``."""

    model_config = SettingsConfigDict(env_prefix="RANKADAPTOR_", extra="ignore")

    url: str = "http://127.0.0.1:8731"
    key: str | None = None
    data_directory: Path = Path(platformdirs.user_data_dir("rankadaptor", appauthor=False))

    def admin_key(self) -> str:
        """Return the key to send.

        Raises:
            Unauthenticated: No key was given and the service did not leave one on this machine.
        """
        if self.key:
            return self.key
        file = self.data_directory / "admin.key"
        try:
            return file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise Unauthenticated(
                f"no key: RANKADAPTOR_KEY is not set and {file} cannot be read",
                hint="start `rankadaptor serve` on this machine, or set RANKADAPTOR_KEY",
            ) from error
