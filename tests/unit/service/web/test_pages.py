"""The status page: says what happened, in words, and runs nobody's markup."""

import re
from pathlib import Path
from typing import Any

from rankspace import Layer, RankVector, SearchSpace
from rankspace.verdict import SENTENCES, Answer
from service.web.pages.charts.matrix import Grid, grid
from tests.unit.service.beginnings import DONE
from tests.unit.service.driver import Service, start

NASTY = '<script>alert("x")</script>'


def _log_in(service: Service, headers: Any = None) -> None:
    admin = service.key("admin")
    made = service.client.post("/v1/login-codes", headers=headers or admin)
    service.client.post("/login", data={"code": made.json()["code"]})


@DONE
def test_a_finished_study_shows_its_verdict_and_trials(service: Service) -> None:
    identity = service.only_study()
    _log_in(service)
    page = service.client.get(f"/studies/{identity}").text
    assert SENTENCES[Answer.BETTER] in page
    assert "95 % interval" in page
    assert '<polyline class="best"' in page
    assert service.client.get(f"/studies/{identity}/trials").text.count('class="strip"') > 15
    assert f"studies/{identity}" in service.client.get("/").text


def test_a_fresh_study_and_an_empty_list_have_pages_too(service: Service) -> None:
    _log_in(service)
    assert "No study yet" in service.client.get("/").text
    identity = service.submit()
    page = service.client.get(f"/studies/{identity}").text
    assert "not known yet" in page
    assert "base weights" not in page
    service.claim()
    assert "base weights in float32" in service.client.get(f"/studies/{identity}").text


def test_lists_of_projects_with_odd_names_are_kept_apart(directory: Path) -> None:
    """What is kept for one caller and route must never be another's."""
    service = start(directory, fresh_seconds=1e-9)
    with service.client:
        study = service.submit("50")
        viewer = service.issue("viewer", "page")
        assert service.client.get("/v1/studies", headers=viewer).json()["items"] == []
        _log_in(service, service.issue("viewer", "50"))
        page = service.client.get("/")
        assert (page.status_code, study in page.text) == (200, True)


def test_markup_in_names_and_errors_is_only_text(service: Service) -> None:
    identity = service.submit(name=NASTY)
    worker = NASTY.replace("/", "")  # no name has a slash
    lease = service.claim(worker)
    service.report(lease, None, worker=worker, error=NASTY)
    _log_in(service)
    mine = f"/studies/{identity}"
    tabs = [f"{mine}/{tab}" for tab in ("ranks", "trials", "model", "budget", "events")]
    for path in ("/", mine, *tabs, f"/login?code={NASTY}"):
        page = service.client.get(path).text
        assert NASTY not in page
        assert worker not in page
        assert "&lt;script&gt;" in page


def test_pages_hold_no_inline_script_or_style(service: Service) -> None:
    identity = service.submit()
    service.work(4)
    _log_in(service)
    for path in ("/", f"/studies/{identity}", "/login"):
        page = service.client.get(path).text
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", page)


def test_a_vector_is_laid_out_by_kind_and_block() -> None:
    layers = (Layer("a", 1, 0, "q_proj"), Layer("b", 1, 0, "o_proj"), Layer("c", 1, 2, "o_proj"))
    space = SearchSpace(layers, (0, 1, 9), max_parameters=99)
    assert grid(RankVector((0, 1, 9)), space) == Grid(
        blocks=(0, 2),
        rows=(("q_proj", ((0, 0), None)), ("o_proj", ((1, 1), (9, 9)))),
    )
    assert grid(RankVector((1,)), SearchSpace((Layer("a", 1),), (1,), 1)) is None
