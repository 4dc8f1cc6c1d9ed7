"""Exit codes: what a script may tell apart."""

from enum import IntEnum

from rankspace import errors


class ExitCode(IntEnum):
    """The codes of every command; ``rankadaptor --help`` prints them."""

    OK = 0
    FAILURE = 1  # something broke that is not the caller's doing
    INVALID_INPUT = 2
    NOT_FOUND = 3
    CONFLICT = 4
    REFUSED = 5  # key missing, unknown or not allowed
    UNREACHABLE = 6
    STUDY_FAILED = 7
    NOT_BETTER = 10  # verdict --require-better


_BY_ERROR: tuple[tuple[type[errors.RankspaceError], ExitCode], ...] = (
    (errors.InvalidInput, ExitCode.INVALID_INPUT),
    (errors.TooLarge, ExitCode.INVALID_INPUT),
    (errors.NotFound, ExitCode.NOT_FOUND),
    (errors.Conflict, ExitCode.CONFLICT),
    (errors.Unauthenticated, ExitCode.REFUSED),
    (errors.Forbidden, ExitCode.REFUSED),
    (errors.TooManyRequests, ExitCode.UNREACHABLE),
    (errors.Unreachable, ExitCode.UNREACHABLE),
)


def exit_code(error: errors.RankspaceError) -> ExitCode:
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), ExitCode.FAILURE)
