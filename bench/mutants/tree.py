"""A copy of the tree, and whether a test fails there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = (
    "rankspace",
    "tuning",
    "pruning",
    "perfmodel",
    "worker",
    "service",
    "rankadaptor",
    "tests",
    "pyproject.toml",
)
SECONDS = 300
"""A test file takes seconds; one that runs this long hangs."""


def failed_test(tree: Path, *tests: str) -> str:
    """Run ``tests`` in ``tree``; return the name of the first test that failed, "" if none did.

    Raises:
        RuntimeError: The tests could not run.
    """
    # Two versions of a file within one second look alike to Python's cache of compiled files.
    settings = {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment = {**os.environ, **settings, "PYTHONPATH": str(tree)}
    plugins = ["-p", "pytest_timeout", "-p", "no:cacheprovider"]
    program = [sys.executable, "-m", "pytest", "-x", "-q", *plugins, *tests]
    ended = subprocess.run(
        program,
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    found = re.search(r"^(?:FAILED|ERROR) \S+::(\S+)", ended.stdout, re.MULTILINE)
    if ended.returncode == 0:
        return ""
    if ended.returncode != 1 or not found:
        raise RuntimeError(f"{' '.join(tests)} did not run:\n{ended.stdout}{ended.stderr}")
    return found[1]


def copy_tree(tree: Path) -> None:
    """Copy what the tests need into ``tree``."""
    for name in COPIED:
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, tree / name)
        else:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, tree / name, ignore=ignored)
