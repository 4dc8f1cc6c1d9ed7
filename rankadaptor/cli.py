"""The command line: one table of commands, one place where errors become exit codes."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from rankadaptor.beginning.command import init
from rankadaptor.commands import again, db, insights, keys, meta, studies, trials, workers
from rankadaptor.commands.adopt import adopt
from rankadaptor.commands.compress import compress
from rankadaptor.commands.demo import demo
from rankadaptor.commands.evaluate import evaluate
from rankadaptor.commands.export import export
from rankadaptor.commands.profile import profile
from rankadaptor.commands.serve import serve
from rankadaptor.commands.submit import submit
from rankadaptor.commands.watch import watch
from rankadaptor.commands.worker import worker
from rankadaptor.doctor.command import doctor
from rankadaptor.exit_codes import ExitCode
from rankadaptor.invalid_setting import invalid_setting, unusable_path
from rankadaptor.rate_search.command import rates
from rankadaptor.reconstruction.command import reconstruct
from rankadaptor.screen import complain, write_in_any_encoding
from rankadaptor.shrinking.command import shrink
from rankspace.errors import RankspaceError

COMMANDS = (
    demo,
    shrink,
    rates,
    compress,
    adopt,
    reconstruct,
    profile,
    doctor,
    init,
    evaluate,
    serve,
    worker,
    submit,
    studies.status,
    watch,
    trials.trials,
    trials.try_,
    studies.verdict,
    insights.calibration,
    insights.front,
    insights.fidelity,
    export,
    studies.pause,
    studies.resume,
    studies.cancel,
    again.extend,
    again.clone,
    again.delete,
    studies.dashboard,
)

WAIT_POLICY = "PASSIVE"
"""Of OpenMP's threads, read once when torch is first imported: by default they spin for a partner
that a busy machine has not let run, and a step on a CPU takes many times as long
(``python -m bench.trials.spinning``)."""

OWN_WAYS_TO_END = {"serve", "worker"}
"""Commands with handlers of their own: one passes the signal on, for whoever manages it to see."""


def name_of(command: Callable[..., None]) -> str:
    """What a command is called; a word of Python's own has an underscore behind it there."""
    return command.__name__.removesuffix("_")


app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Find one LoRA rank per layer for a pruned language model.",
    epilog="Exit codes: "
    + ", ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in ExitCode),
)
for command in COMMANDS:
    app.command(name_of(command))(command)
app.add_typer(keys.app, name="keys")
app.add_typer(workers.app, name="workers")
app.add_typer(meta.app, name="meta")
app.add_typer(db.app, name="db")


def _print_version(is_asked: bool) -> None:
    if not is_asked:
        return
    try:
        typer.echo(f"rankadaptor {version('rankadaptor')}")
    except PackageNotFoundError:
        typer.echo("rankadaptor, from a checkout that is not installed")
    raise typer.Exit


@app.callback()
def _before_any_command(
    is_version_asked: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def _tidy_up_when_told_to_end() -> None:
    """Have SIGTERM end as Ctrl-C does, so that temporary files of gigabytes do not stay."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def main() -> None:
    """Run the command line; errors of our own end in a message and an exit code, not a trace."""
    write_in_any_encoding()
    os.environ.setdefault("OMP_WAIT_POLICY", WAIT_POLICY)
    if not OWN_WAYS_TO_END.intersection(sys.argv[1:2]):
        _tidy_up_when_told_to_end()
    try:
        app()
    except RankspaceError as error:
        sys.exit(complain(error, as_json="--json" in sys.argv))
    except (ValidationError, SettingsError) as error:
        sys.exit(complain(invalid_setting(error), as_json="--json" in sys.argv))
    except OSError as error:
        if error.filename is None:  # no file's fault
            raise
        sys.exit(complain(unusable_path(error), as_json="--json" in sys.argv))


if __name__ == "__main__":
    main()
