"""What others refuse, in the words of our own errors: a setting, a file that cannot be used."""

from pydantic import ValidationError
from pydantic_settings import SettingsError

from rankspace.errors import InvalidInput


def invalid_setting(error: ValidationError | SettingsError) -> InvalidInput:
    """Name the first bad setting, its value and where it can come from."""
    if isinstance(error, SettingsError):
        return InvalidInput("settings", str(error), "cannot be read", fix="correct the variable")
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"]))
    fix = f"correct --{name.replace('_', '-')} or RANKADAPTOR_{name.upper()}"
    return InvalidInput(name, first["input"], first["msg"], fix=fix)


def unusable_path(error: OSError) -> InvalidInput:
    """Name the file or directory that the system refuses, and why."""
    problem = f"cannot be used: {error.strerror or error}"
    fix = "see that it is there, or can be made there, and that you may use it"
    return InvalidInput("path", str(error.filename), problem, fix=fix)
