"""Processes forked from one that has imported torch and the service: they start in no time.

Otherwise as a person would start them: a process each, its environment, its output in a file.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path

from rankadaptor import cli

_FORKS = multiprocessing.get_context("forkserver")


def import_once() -> None:
    """Start what all are forked from; who comes later cannot tell it to import less."""
    _FORKS.set_forkserver_preload(["tests.integration.preloaded"])
    forkserver.ensure_running()


def start(work: Callable[[], None], environment: Mapping[str, str], log: Path) -> BaseProcess:
    """Have a process of its own do ``work``, in an unrelated directory."""
    process = _FORKS.Process(target=_begin, args=(work, dict(environment), log), daemon=True)
    process.start()
    return process


def command(arguments: Sequence[str]) -> None:
    """What ``rankadaptor`` does at a shell."""
    sys.argv = ["rankadaptor", *arguments]
    cli.main()


def program(text: str) -> None:
    """What ``python -c`` does with ``text``."""
    exec(text, {"__name__": "__main__"})


def _begin(work: Callable[[], None], environment: Mapping[str, str], log: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    os.chdir("/")
    work()
