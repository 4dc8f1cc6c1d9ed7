"""docs/tutorial.md, typed as it stands: every command of the page, on a real pretrained model."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import STORIES
from tests.services import free_port

pytestmark = [pytest.mark.integration, pytest.mark.soak]

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
WORDS = PAGE.read_text(encoding="utf-8")
SHELL = re.findall(r"^```bash\n(.*?)^```$", WORDS, re.M | re.S)
PYTHON = re.findall(r"^```python\n(.*?)^```$", WORDS, re.M | re.S)
OTHER = STORIES.parent / "text" / "ptb-valid.txt"
CHARACTERS = 40_000
"""Of the other text, as much as a command needs to work."""
SECONDS = 1_500.0
"""Within which all of it is done, however busy the machine is."""


def environment(home: Path) -> dict[str, str]:
    """A reader's terminal, whose service nobody else's commands find."""
    port, programs = str(free_port()), str(Path(sys.executable).parent)
    bare = {name: v for name, v in os.environ.items() if not name.startswith("RANKADAPTOR_")}
    return bare | {
        "PATH": f"{programs}:{bare['PATH']}",
        "PYTHONPATH": str(PAGE.parents[1]),
        "RANKADAPTOR_DATA_DIRECTORY": str(home / "service"),
        "RANKADAPTOR_PORT": port,
        "RANKADAPTOR_URL": f"http://127.0.0.1:{port}",
        "RANKADAPTOR_SPOOL_DIRECTORY": str(home / "spool"),
        "RANKADAPTOR_TOKEN_DIRECTORY": str(home / "tokens"),
    }


def typed(home: Path) -> str:
    """Every block but the installation, and this machine's model and texts for the reader's."""
    other = home / "other.txt"
    other.write_text(OTHER.read_text(encoding="utf-8")[:CHARACTERS], encoding="utf-8")
    ours = f"export MODEL={STORIES} TEXT={STORIES / 'sample.txt'} OTHER={other}\n"
    assert "make install" in SHELL[0]
    return "\n".join(["set -eu", "trap 'kill %1 %2 2> /dev/null || true' EXIT", ours, *SHELL[1:]])


def tails(home: Path) -> str:
    return "\n".join(file.read_text()[-2_000:] for file in sorted(home.glob("*.log")))


@pytest.mark.skipif(not STORIES.is_dir(), reason=f"the pretrained model is not there: {STORIES}")
@pytest.mark.timeout(SECONDS)
def test_every_command_of_the_tutorial_works(tmp_path: Path) -> None:
    with (tmp_path / "printed").open("w+") as printed:
        done = subprocess.run(
            ["bash", "-c", typed(tmp_path)],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=printed,
            stderr=subprocess.STDOUT,
            check=False,
        )
        printed.seek(0)
        said = printed.read()
    assert done.returncode == 0, said[-4_000:] + tails(tmp_path)
    answers = re.findall(r"^(better|no difference shown|worse)\. ", said, re.M)
    assert len(answers) >= 2, said  # one, and one after the extension
    with (tmp_path / "trials.csv").open() as file:
        assert len([row for row in csv.DictReader(file) if row["state"] == "done"]) >= 20
    (code,) = PYTHON
    check = f"{code}\nprint(sum('lora_A' in name for name, _ in model.named_parameters()))"
    shown = subprocess.check_output(
        [sys.executable, "-c", check], cwd=tmp_path, env=environment(tmp_path), text=True
    )
    assert int(shown.split()[-1]) > 0
