"""How long the pages of a large study take, and how much they weigh.

    python -m bench.pages [--trials 10000] [--layers 224] [--strategy random]

A history is written through the service's own tables; a server starts on it, and a browser's
session asks for each page: the first time with nothing made yet, then, after an event, for what is
new of it, then while nothing has changed. ``first`` is the first answer in whole, ``again`` the
median of what is made anew, ``same`` of a 304; milliseconds at the client. Bytes are of the whole
page, plain and as gzip would send it (the service itself does not compress). The last line has the
slowest and the heaviest.
"""

import argparse
import gzip
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from bench.latency.rest import key_of, server, submit, write_history
from service.web.pages.study.page import PART

TIMES = 5
KIB = 1024
PAGES = (
    "/",
    "/fleet",
    "/studies/{study}",
    "/studies/{study}/ranks",
    "/studies/{study}/trials",
    "/studies/{study}/trials?order=best&page=100",
    "/studies/{study}/trials/5",
    "/studies/{study}/compare?trial=5&trial=6",
    "/studies/{study}/model",
    "/studies/{study}/budget",
    "/studies/{study}/events",
)


@dataclass(frozen=True)
class Weighed:
    """A page: milliseconds and bytes."""

    path: str
    first: float
    again: float
    same: float
    plain: int
    zipped: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.pages")
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--layers", type=int, default=224)
    parser.add_argument("--strategy", default="random", help="additive learns it all first")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rankadaptor-pages-") as folder:
        home = Path(folder)
        with server(home) as url:
            planned = asked.trials + 100
            study = submit(url, key_of(home, "admin"), planned, asked.strategy, asked.layers)
        write_history(home, study, asked.trials)
        with server(home) as url, httpx.Client(base_url=url, timeout=60) as browser:
            key = key_of(home, "admin")
            code = browser.post("/v1/login-codes", headers=key).raise_for_status().json()["code"]
            browser.post("/login", data={"code": code})
            found = [_weigh(browser, path.format(study=study), study, key) for path in PAGES]
    _show(found, study, f"{asked.trials:,} trials of {asked.layers} layers")


def _weigh(browser: httpx.Client, path: str, study: str, key: dict[str, str]) -> Weighed:
    first, page = _timed(browser, path)
    again, same = [], []
    for turn in range(TIMES):
        change = ("pause", "resume")[turn % 2]  # an event, so that it is made anew
        browser.post(f"/v1/studies/{study}/{change}", headers=key).raise_for_status()
        seconds, part = _timed(browser, path, {PART: "main"})
        again.append(seconds)
        tag = part.headers["ETag"]
        same.append(_timed(browser, path, {PART: "main", "If-None-Match": tag})[0])
    browser.post(f"/v1/studies/{study}/resume", headers=key).raise_for_status()
    zipped = len(gzip.compress(page.content, 6))
    times = statistics.median(again), statistics.median(same)
    return Weighed(path, first, *times, len(page.content), zipped)


def _timed(
    browser: httpx.Client, path: str, headers: dict[str, str] | None = None
) -> tuple[float, httpx.Response]:
    """Milliseconds until the whole answer is here."""
    begin = time.perf_counter()
    answer = browser.get(path, headers=headers)
    took = 1e3 * (time.perf_counter() - begin)
    if answer.status_code not in (200, 304):
        raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:200]}")
    return took, answer


def _show(found: Sequence[Weighed], study: str, title: str) -> None:
    table = Table("page", "first ms", "again ms", "same ms", "KiB", "KiB gzip", title=title)
    for one in found:
        times = (f"{ms:.0f}" for ms in (one.first, one.again, one.same))
        sizes = (f"{size / KIB:.1f}" for size in (one.plain, one.zipped))
        table.add_row(one.path.replace(study, "ID"), *times, *sizes)
    Console(width=110).print(table)
    slowest, heaviest = max(one.first for one in found), max(one.zipped for one in found)
    anew = max(one.again for one in found)
    print(f"first_ms={slowest:.0f} again_ms={anew:.0f} gzip_kib={heaviest / KIB:.1f}")


if __name__ == "__main__":
    main()
