"""docs/python.md: its code is run as it stands, against a real service."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from rankspace import Verdict
from rankspace.recipe import Inputs
from rankspace.wire import decode
from tests.unit.service.driver import MODULES, Service, listening, measurement, score, start
from tests.unit.tiny_llama import (  # noqa: F401  # fixtures
    imported_for_good,
    model_directory,
    one_thread,
    text_file,
)

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[3] / "docs" / "python.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
STUDY = """
name: tiny
model: {model}
recipe:
  data: {{train: {text}, format: text, held_out: 20}}
  sequence_length: 32
  modules: {modules}
search:
  ranks: [0, 1, 2, 4]
  budget: {{parameters: "uniform:2", trials: 7}}
  trial: {{steps: 10}}
verify: {{candidates: 1, seeds: 3, max_trials: 16}}
recover: {{steps: 20}}
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service with a worker that takes what there is."""
    home = tmp_path / "data"
    app, stopped = start(home).app, Event()
    with listening(app) as url, httpx.Client(base_url=url, timeout=60) as http:
        found = Service(app, http, home)
        worker = Thread(target=_work, args=(found, stopped))
        worker.start()
        yield found
        stopped.set()
        worker.join()


def _work(service: Service, stopped: Event) -> None:
    """Score what there is on the data and the tokenizer that its study states."""
    while not stopped.wait(0.05):
        while (lease := service.claim()) is not None:
            inputs = service.get(f"/v1/studies/{lease['study_id']}")["study"]["inputs"]
            stated = decode(Inputs, inputs).stated()
            measured = {**measurement(score(lease), lease), "versions": stated}
            answer = service.report(lease, score(lease), measurement=measured)
            assert answer.json() == {"status": "accepted"}, answer.text


@pytest.mark.usefixtures("imported_for_good", "one_thread")
def test_the_code_of_the_page_runs(
    service: Service,
    model_directory: Path,  # noqa: F811
    text_file: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANKADAPTOR_URL", str(service.client.base_url))
    monkeypatch.setenv("RANKADAPTOR_KEY", (service.directory / "admin.key").read_text())
    text = STUDY.format(model=model_directory, text=text_file, modules=list(MODULES))
    Path("study.yaml").write_text(text)
    monkeypatch.setattr("rankadaptor.notebook.waiting.LONGEST_SECONDS", 0.1)
    names: dict[str, Any] = {}
    try:
        skipped = _run(BLOCKS, names)
        _check(names, capsys.readouterr().out)
    finally:
        names["client"].close()
    if skipped:
        pytest.skip(f"{skipped} of the page's blocks needs pandas: pip install '.[notebook]'")
    assert len(names["frame"]) > 7


def _check(names: dict[str, Any], said: str) -> None:
    verdict = names["verdict"]
    assert isinstance(verdict, Verdict)
    assert f"{verdict.answer} {verdict.sentence}" in said
    assert verdict.sentence in names["study"]._repr_html_()
    assert "<svg" in Path("ranks.svg").read_text()
    assert Path("adapter/VERDICT.md").is_file()


def _run(blocks: list[str], names: dict[str, Any]) -> int:
    """Run one after the other; return how many are left out where there is no pandas."""
    has_pandas = find_spec("pandas") is not None
    chosen = [block for block in blocks if has_pandas or "frame" not in block]
    for block in chosen:
        exec(block, names)
    return len(blocks) - len(chosen)
