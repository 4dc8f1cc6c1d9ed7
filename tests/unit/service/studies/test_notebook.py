"""``rankadaptor.Client`` against a real service over HTTP: what a study answers and shows."""

import signal
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from rankadaptor import Client
from rankadaptor.notebook.study_handle import StudyHandle
from rankspace import RankVector, TrialState
from rankspace.errors import Conflict, InvalidInput, NotFound, NotOver, Unauthenticated
from rankspace.study import StudyState
from rankspace.verdict import Answer
from tests.unit.service.beginnings import DONE
from tests.unit.service.driver import ON_SQLITE, Service, listening, start

pytestmark = [pytest.mark.slow, ON_SQLITE]

HOSTILE = "</title><script>alert(1)</script> \"'&<!-- ]]>"


@pytest.fixture
def service(directory: Path) -> Iterator[Service]:
    """One that listens, so that whoever is beside it talks to it as they would to any."""
    app = start(directory).app
    with listening(app) as url, httpx.Client(base_url=url, timeout=60) as http:
        yield Service(app, http, directory)


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with _client(service) as found:
        yield found


def _client(service: Service) -> Client:
    return Client(str(service.client.base_url), (service.directory / "admin.key").read_text())


@pytest.fixture
def done(service: Service, client: Client) -> StudyHandle:
    return client.study(service.only_study())


def _card(study: StudyHandle) -> str:
    return study._repr_html_()


@DONE
def test_a_study_answers_with_the_classes_of_the_service(done: StudyHandle) -> None:
    verdict, best, search = done.verdict, done.best, done.progress["search"]
    assert verdict is not None
    assert best is not None
    assert (done.state, done.name) == (StudyState.DONE, "tiny")
    assert (search.planned, search.over) == (7, 7)
    assert isinstance(verdict.answer, Answer)
    assert len(best.rank_vector) == len(done.space.layers)
    assert done.recovered.metrics == ()
    scores = {trial["id"]: trial["score"] for trial in done.trials()}
    assert scores[best.trial] == best.score


@DONE
def test_a_finished_study_is_waited_for_no_longer(done: StudyHandle) -> None:
    said: list[str] = []
    assert done.wait(timeout=0, tell=said.append) == done.verdict
    assert [line.partition(",")[0] for line in said] == ["done"]


@DONE
def test_the_card_says_the_verdict_and_shows_the_winner(done: StudyHandle) -> None:
    card, verdict = _card(done), done.verdict
    assert verdict is not None
    found = verdict.versus_uniform
    assert verdict.sentence in card
    assert f"{found.gain:+.4f} nats, 95 % interval {found.ci_low:+.4f} to" in card
    assert "the winner, ranks by block" in card
    drawn = done.plot_ranks()
    ranks = sorted(int(text) for text in _numbers(drawn.svg))
    assert ranks == sorted(verdict.best_rank_vector.ranks)


def _numbers(svg: str) -> Iterator[str]:
    """What is written in the cells."""
    space = {"svg": "http://www.w3.org/2000/svg"}
    for cell in ET.fromstring(svg).findall("svg:g", space):
        if cell.find("svg:rect", space) is not None:
            yield cell.findtext("svg:text", "", space)


@DONE
def test_any_vector_is_drawn(done: StudyHandle) -> None:
    count = len(done.space.layers)
    assert set(_numbers(done.plot_ranks([4] * count).svg)) == {"4"}
    assert set(_numbers(done.plot_ranks(RankVector((0,) * count)).svg)) == {"0"}
    with pytest.raises(InvalidInput, match=f"has 1 ranks for {count} layers"):
        done.plot_ranks([4])
    with pytest.raises(InvalidInput, match="a rank is no whole number"):
        done.plot_ranks([1.5] * count)  # type: ignore[list-item]


@DONE
def test_a_row_of_a_table_is_a_vector(service: Service, done: StudyHandle) -> None:
    row: Any = np.ones(len(done.space.layers), dtype=np.int32)
    assert set(_numbers(done.plot_ranks(row).svg)) == {"1"}
    before = len(list(done.trials()))
    done.extend(1, candidates=[row])
    service.work(1)
    assert list(done.trials())[before]["rank_vector"] == row.tolist()


@DONE
def test_the_adapter_comes_with_its_verdict(done: StudyHandle, tmp_path: Path) -> None:
    adapter = done.download(tmp_path / "adapter")
    assert adapter.paths
    assert all(path.is_file() for path in adapter.paths)
    assert "Verdict of study tiny" in (tmp_path / "adapter" / "VERDICT.md").read_text()


@DONE
def test_an_extended_study_says_that_its_answer_is_of_before(done: StudyHandle) -> None:
    assert done.extend(2, seeds=3, candidates=[[1] * len(done.space.layers)]) is done
    assert (done.state, done.now().is_of_before) == (StudyState.SEARCHING, True)
    assert "Extended since this answer" in _card(done)


@DONE
def test_every_trial_is_a_row(done: StudyHandle) -> None:
    pytest.importorskip("pandas", reason="pip install '.[notebook]'")
    frame, trials = done.trials_frame(), list(done.trials())
    layers = [layer.name for layer in done.space.layers]
    assert list(frame.index) == [trial["id"] for trial in trials]
    assert frame[layers].to_numpy().tolist() == [trial["rank_vector"] for trial in trials]
    assert {str(kind) for kind in frame[layers].dtypes} == {"int32"}
    finished = frame[frame.state == TrialState.DONE]
    assert set(finished[finished.purpose == "search"].steps) == {10}
    assert (finished.finished_at >= finished.created_at).all()
    assert frame.parameters.tolist() == [trial["parameters"] for trial in trials]


def test_before_any_result_there_is_nothing_to_show_and_it_says_so(
    service: Service, client: Client
) -> None:
    study = client.study(service.submit())
    assert (study.best, study.verdict) == (None, None)
    with pytest.raises(Conflict, match="no trial with a score yet"):
        study.plot_ranks()
    assert "No verdict yet." in _card(study)
    assert "no active worker" in _card(study)


def test_the_best_so_far_is_shown_while_it_searches(service: Service, client: Client) -> None:
    study = client.study(service.submit())
    service.work(3)
    best = study.best
    assert best is not None
    assert sorted(map(int, _numbers(study.plot_ranks().svg))) == sorted(best.rank_vector)
    assert f"the best so far, trial {best.trial}" in _card(study)


def test_waiting_ends_by_its_timeout_and_the_study_goes_on(
    service: Service, client: Client
) -> None:
    study = client.study(service.submit())
    with pytest.raises(NotOver, match=f"{study.id} is not over after 0 s .searching: 0 of 7"):
        study.wait(timeout=0)
    assert study.state is StudyState.SEARCHING


@pytest.fixture
def _heeds_ctrl_c() -> Iterator[None]:
    """A shell has what it starts in the background ignore it, and so all that this starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heeds_ctrl_c")
def test_ctrl_c_ends_the_waiting_and_not_the_study(service: Service, client: Client) -> None:
    study = client.study(service.submit())
    with pytest.raises(KeyboardInterrupt):
        study.wait(tell=lambda _: signal.raise_signal(signal.SIGINT))
    assert study.state is StudyState.SEARCHING
    assert service.claim()["study_id"] == study.id


def test_a_study_is_waited_for_until_its_verdict(
    service: Service, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rankadaptor.notebook.waiting.FIRST_SECONDS", 0.01)
    study, said = client.study(service.submit()), list[str]()

    def work(line: str) -> None:
        said.append(line)
        service.work(6)

    assert study.wait(tell=work) == study.verdict
    stages = list(dict.fromkeys(line.partition(":")[0].partition(",")[0] for line in said))
    assert stages[0] == "searching"
    assert stages[-1] == "done"


def test_pausing_and_going_on(service: Service, client: Client) -> None:
    study = client.study(service.submit())
    assert study.pause() is study
    assert study.state is StudyState.PAUSED
    assert "paused: resume() goes on" in _card(study)
    assert study.resume().state is StudyState.SEARCHING


def test_a_cancelled_study_is_no_verdict(service: Service, client: Client) -> None:
    study = client.study(service.submit()).cancel()
    with pytest.raises(Conflict, match="is cancelled, and not done"):
        study.wait()
    assert "cancelled" in _card(study)


def test_a_failed_study_says_why(service: Service, client: Client) -> None:
    study = client.study(service.submit())
    service.work(measure=lambda _: None)
    why = study.now().error
    assert why
    with pytest.raises(Conflict) as raised:
        study.wait()
    assert why in raised.value.detail
    assert "resume()" in raised.value.hint
    assert f'<p class="worse">{why}' in _card(study)


def test_a_hostile_name_is_text_everywhere(service: Service, client: Client) -> None:
    study = client.study(service.submit(name=HOSTILE))
    service.work(1)
    svg, card = study.plot_ranks().svg, _card(study)
    for shown in (svg, card):
        assert "<script" not in shown
    assert (ET.fromstring(svg).get("aria-label") or "").startswith(f"{HOSTILE}: the best so far")
    assert "&lt;script&gt;alert(1)" in card


def test_a_name_with_dollar_signs_is_no_formula(service: Service, client: Client) -> None:
    """What Jupyter's MathJax leaves alone, by the classes with which pandas says it, too."""
    known, unknown = client.study(service.submit(name=r"$\\alpha$")), client.study("st_none")
    for card in map(_card, (known, unknown)):
        kinds = ET.fromstring(card).get("class") or ""
        assert {"tex2jax_ignore", "mathjax_ignore"} <= set(kinds.split())


def test_all_studies_newest_first(service: Service, client: Client) -> None:
    first, second = service.submit(), service.submit()
    assert [study.id for study in client.studies()] == [second, first]


def test_who_is_refused_hears_it_and_sees_it(service: Service, client: Client) -> None:
    with pytest.raises(NotFound):
        _ = client.study("st_none").state
    with Client(client.rest.url, "rka_nobody") as stranger:
        study = stranger.study(service.submit())
        with pytest.raises(Unauthenticated):
            study.wait()
        assert "Unauthenticated" in _card(study)


def test_a_service_that_has_gone_is_said_on_the_card(directory: Path) -> None:
    app = start(directory).app
    with listening(app) as url, httpx.Client(base_url=url) as http:
        service = Service(app, http, directory)
        client = _client(service)
        study = client.study(service.submit())
    with client:
        assert "Unreachable: no answer from" in _card(study)
        assert repr(study) == f"StudyHandle({study.id!r}, {url!r})"


def test_without_arguments_it_goes_where_commands_go(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKADAPTOR_URL", str(service.client.base_url))
    monkeypatch.setenv("RANKADAPTOR_KEY_FILE", str(service.directory / "viewer.key"))
    (service.directory / "viewer.key").write_text(_secret(service.issue("viewer")))
    with Client() as viewer:
        assert list(viewer.studies()) == []


def _secret(header: Any) -> str:
    return str(header["Authorization"]).removeprefix("Bearer ")
