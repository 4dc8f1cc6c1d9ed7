"""The pages as a site: all are listed, and every link and anchor leads somewhere."""

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
CONFIG = "zensical.toml"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(ROOT / CONFIG, tmp_path)
    unwanted = shutil.ignore_patterns("generate", "__pycache__")
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=unwanted)
    return tmp_path


def built(where: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("zensical")
    return subprocess.run(
        [program, "build", "--strict"], cwd=where, text=True, capture_output=True, check=False
    )


def listed(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for entry in nav.values() if isinstance(nav, dict) else nav:
            yield from listed(entry)


@pytest.mark.slow
def test_every_link_and_anchor_leads_somewhere(copy: Path) -> None:
    done = built(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (copy / "site" / "tutorial" / "index.html").is_file()
    with (copy / "docs" / "verdict.md").open("a") as page:
        page.write("\n[a page](nowhere.md), [an anchor](rest.md#nowhere)\n")
    done = built(copy)
    assert done.returncode != 0
    assert "2 issues found" in done.stdout + done.stderr


def test_every_page_is_listed_once() -> None:
    with (ROOT / CONFIG).open("rb") as file:
        pages = sorted(listed(tomllib.load(file)["project"]["nav"]))
    assert pages == sorted(str(p.relative_to(ROOT / "docs")) for p in ROOT.glob("docs/**/*.md"))
