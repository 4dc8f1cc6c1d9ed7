"""Who imports rankadaptor pays for the client when it is asked for, and never for torch."""

import subprocess
import sys

import pytest

import rankadaptor

HEAVY = ("torch", "transformers", "numpy", "pandas", "sklearn", "fastapi", "sqlalchemy")


def _imported(statement: str, names: tuple[str, ...]) -> str:
    code = f"import sys\n{statement}\nprint(*sorted({set(names)!r} & set(sys.modules)))"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_package_alone_imports_next_to_nothing() -> None:
    assert _imported("import rankadaptor", ("httpx", "typer", "rich", *HEAVY)) == ""


def test_the_client_imports_nothing_heavy() -> None:
    assert _imported("from rankadaptor import Client", ("httpx", *HEAVY)) == "httpx"


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Klient'"):
        _ = rankadaptor.Klient
