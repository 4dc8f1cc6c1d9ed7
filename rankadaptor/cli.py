"""The command line: one table of commands, one place where errors become exit codes."""

import sys

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from rankadaptor.commands import db, insights, keys, meta, studies, workers
from rankadaptor.commands.compress import compress
from rankadaptor.commands.demo import demo
from rankadaptor.commands.profile import profile
from rankadaptor.commands.serve import serve
from rankadaptor.commands.submit import submit
from rankadaptor.commands.watch import watch
from rankadaptor.commands.worker import worker
from rankadaptor.exit_codes import ExitCode
from rankadaptor.invalid_setting import invalid_setting
from rankadaptor.screen import complain
from rankspace.errors import RankspaceError

COMMANDS = (
    demo,
    compress,
    profile,
    serve,
    worker,
    submit,
    studies.status,
    watch,
    studies.verdict,
    insights.calibration,
    insights.front,
    studies.export,
    studies.pause,
    studies.resume,
    studies.cancel,
    studies.dashboard,
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Find one LoRA rank per layer for a pruned language model.",
    epilog="Exit codes: "
    + ", ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in ExitCode),
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(keys.app, name="keys")
app.add_typer(workers.app, name="workers")
app.add_typer(meta.app, name="meta")
app.add_typer(db.app, name="db")


def main() -> None:
    """Run the command line; errors of our own end in a message and an exit code, not a trace."""
    try:
        app()
    except RankspaceError as error:
        sys.exit(complain(error, as_json="--json" in sys.argv))
    except (ValidationError, SettingsError) as error:
        sys.exit(complain(invalid_setting(error), as_json="--json" in sys.argv))


if __name__ == "__main__":
    main()
