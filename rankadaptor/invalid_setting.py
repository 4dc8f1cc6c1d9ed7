"""A setting that pydantic refuses, in the words of our own errors."""

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
