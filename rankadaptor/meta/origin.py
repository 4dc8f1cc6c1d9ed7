"""What a trained prior records of the run that made it."""

import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def command_line() -> str:
    """The command as it was typed, its program without the folder."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def today() -> str:
    """The day in UTC, as YYYY-MM-DD."""
    return datetime.now(UTC).date().isoformat()


def versions() -> dict[str, str]:
    """Of what the numbers depend on."""
    from perfmodel.meta.boosting import library_version  # noqa: PLC0415

    return {
        "python": platform.python_version(),
        "rankadaptor": version("rankadaptor"),
        "numpy": version("numpy"),
        "xgboost": library_version(),
    }
