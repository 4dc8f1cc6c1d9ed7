"""What the planning process is started with."""

import os

import pytest

from service.planning.apart import life

ENDS_WITH = "import os, sys; sys.exit(int(os.environ['OPENBLAS_NUM_THREADS']))"


@pytest.mark.parametrize(("set_by_the_operator", "threads"), [(None, 1), ("3", 3)])
def test_it_computes_on_one_core_unless_the_operator_says_more(
    set_by_the_operator: str | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if set_by_the_operator is not None:
        monkeypatch.setitem(os.environ, "OPENBLAS_NUM_THREADS", set_by_the_operator)
    monkeypatch.setattr(life, "PROGRAM", ("-c", ENDS_WITH))
    code, _ = life.Life().ended()
    assert code == threads
