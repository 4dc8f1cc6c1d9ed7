"""A prior of one's own: asked here, and what it says is what the shipped one says there."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import perfmodel
from perfmodel import random_vectors
from perfmodel.meta.finished import FinishedStudy, write_studies
from perfmodel.meta.shipped import shipped_prior
from rankadaptor.meta import opinion
from rankadaptor.meta.opinion import with_opinion
from rankspace import Context, LayerProfile, Observation, PrunedModel, SearchSpace, Study
from rankspace.context import context_of
from rankspace.errors import InvalidInput
from rankspace.granularity import search_space
from rankspace.study import MAX_WORTH, Opinion, StrategyName
from rankspace.wire import decode
from tests.unit.service.driver import model, study


def _profile(index: int, name: str) -> LayerProfile:
    return LayerProfile(name, index / 12, 0.5, 1.0, 1.0 + index % 3, 0.1 * (index + 1), 0.5, 0.2)


def _given(prior: str, *, is_profiled: bool = True) -> tuple[Study, SearchSpace, Context]:
    described = decode(PrunedModel, model())
    wanted = decode(Study, study(search={**study()["search"], "prior": prior}))
    space = search_space(described, wanted.recipe.modules, wanted.search)
    profiles = tuple(_profile(i, m.name) for i, m in enumerate(described.matrices))
    context = context_of(described, wanted, space)
    if is_profiled:
        context = replace(context, profiles=profiles)
    return wanted, space, context


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.json"
    path.write_bytes(shipped_prior() or b"")
    return path


def test_a_file_says_what_the_prior_in_it_says(file: Path) -> None:
    wanted, space, context = _given(str(file))
    said = with_opinion(wanted, space, context).search.prior
    belief = perfmodel.start(space, context=context, prior=shipped_prior()).belief
    assert isinstance(said, Opinion)
    assert belief is not None
    assert (said.version, said.log_worth) == (belief.prior, belief.log_worth)
    assert len(set(said.log_worth)) > 3


def _exported(tmp_path: Path, *spaces: SearchSpace) -> Path:
    file = tmp_path / "studies.jsonl"
    studies = [
        FinishedStudy(
            f"study {index}",
            space,
            Context(),
            tuple(Observation(v, float(sum(v.ranks[:3]))) for v in random_vectors(space, 20, 0)),
        )
        for index, space in enumerate(spaces)
    ]
    file.write_text(write_studies(studies))
    return file


def _with_strategy(prior: Path, strategy: str) -> tuple[Study, SearchSpace, Context]:
    wanted, space, context = _given(str(prior), is_profiled=False)
    search = replace(wanted.search, strategy=StrategyName(strategy))
    return replace(wanted, search=search), space, context


def _shorter(space: SearchSpace) -> SearchSpace:
    return replace(space, layers=space.layers[:-1])


def test_an_export_says_what_other_studies_measured_on_these_layers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, space, _ = _given("none")
    given = _with_strategy(_exported(tmp_path, space, _shorter(space)), "rankadaptor")
    said = with_opinion(*given).search.prior
    assert isinstance(said, Opinion)
    assert said.taught is not None
    assert len(said.taught.vectors) == 20
    assert said.log_worth == ()
    assert said.version.startswith("rows-")
    told = " ".join(capsys.readouterr().err.split())
    assert "by 20 trials of 1 other studies" in told
    assert "study 1 has 11 layers, here are 12" in told


def test_an_export_of_other_layers_alone_is_refused(tmp_path: Path) -> None:
    _, space, _ = _given("none")
    given = _with_strategy(_exported(tmp_path, *[_shorter(space)] * 5), "rankadaptor")
    with pytest.raises(InvalidInput, match="study 0 has 11 layers, here are 12") as refused:
        with_opinion(*given)
    assert refused.value.field == "search.prior"
    assert refused.value.detail.endswith("and 2 more")
    assert "search.granularity" in refused.value.hint


def test_only_the_paper_s_strategy_learns_from_trials_of_other_studies(tmp_path: Path) -> None:
    _, space, _ = _given("none")
    with pytest.raises(InvalidInput, match="strategy additive does not learn") as refused:
        with_opinion(*_with_strategy(_exported(tmp_path, space), "additive"))
    assert "rankadaptor meta train" in refused.value.hint


@pytest.mark.parametrize(
    ("damage", "line", "problem"),
    [
        (lambda one, two: one + b"\n" + two[:-30], 2, "is not JSON"),
        (lambda one, two: one[:-30] + b"\n" + two, 1, "is not JSON"),
        (lambda one, two: one[30:] + b"\n" + two, 1, "is not JSON"),
        (lambda one, two: one[:-30], 1, "is not JSON"),
        (lambda one, two: b"\n" + one[:-30], 2, "is not JSON"),
        (lambda one, two: b"\xef\xbb\xbf" + one[:-30], 1, "is not JSON"),
        (lambda one, two: one + b"\n\xff", 2, "is not UTF-8"),
        (lambda one, two: one[:-30] + b"\xff\n" + two, 1, "is not UTF-8"),
        (lambda one, two: b"\xef\xbb\xbf\n" + one + b"\xff\n" + two, 2, "is not UTF-8"),
    ],
)
@pytest.mark.parametrize("is_windows", [False, True])
def test_a_damaged_export_is_named_with_its_line_and_its_command(
    tmp_path: Path,
    damage: Callable[[bytes, bytes], bytes],
    line: int,
    problem: str,
    is_windows: bool,
) -> None:
    _, space, _ = _given("none")
    file = _exported(tmp_path, space, space)
    content = damage(*file.read_bytes().split(b"\n")[:2])
    file.write_bytes(content.replace(b"\n", b"\r\n") if is_windows else content)
    with pytest.raises(InvalidInput, match=problem) as refused:
        with_opinion(*_with_strategy(file, "rankadaptor"))
    assert refused.value.field == f"search.prior.line {line}"
    assert "rankadaptor meta export" in refused.value.hint


def test_an_export_may_begin_with_blank_lines(tmp_path: Path) -> None:
    _, space, _ = _given("none")
    file = _exported(tmp_path, space, space)
    file.write_bytes(b"\n \n" + file.read_bytes())
    said = with_opinion(*_with_strategy(file, "rankadaptor")).search.prior
    assert isinstance(said, Opinion)
    assert said.taught is not None


def test_a_file_of_which_nobody_can_say_what_it_was_is_told_both_commands(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(InvalidInput, match="is not JSON") as refused:
        with_opinion(*_with_strategy(file, "rankadaptor"))
    assert refused.value.field == "search.prior"
    assert "rankadaptor meta train" in refused.value.hint
    assert "rankadaptor meta export" in refused.value.hint


@pytest.mark.parametrize("prior", ["shipped", "none"])
def test_a_name_is_left_to_the_service(prior: str) -> None:
    wanted, space, context = _given(prior)
    assert with_opinion(wanted, space, context) is wanted


def test_a_model_without_profiles_is_refused(file: Path) -> None:
    wanted, space, context = _given(str(file), is_profiled=False)
    with pytest.raises(InvalidInput, match=r"search\.prior = .*without profiles") as refused:
        with_opinion(wanted, space, context)
    assert "rankadaptor profile" in refused.value.hint


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xff\x00secret", "is not JSON"),
        (b"secret: of somebody", "is not JSON"),
        (b'{"format": "other"}', "is not 'rankadaptor-meta-prior'"),
        (b"[" * 100_000, "is not JSON"),
        (b" " * 2_000, "has more than"),
    ],
)
def test_what_is_no_prior_is_refused_without_quoting_it(
    file: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, problem: str
) -> None:
    file.write_bytes(content)
    monkeypatch.setattr(opinion, "MAX_BYTES", 1_000 if content.isspace() else 1 << 20)
    with pytest.raises(InvalidInput) as refused:
        with_opinion(*_given(str(file)))
    assert refused.value.field.startswith("search.prior")
    assert problem in refused.value.detail
    assert "secret" not in refused.value.detail


@pytest.mark.parametrize(
    ("version", "worth"),
    [("", 0.0), ("shipped", 0.0), ("none", 0.0), ("x" * 101, 0.0), ("x", 2 * MAX_WORTH)],
)
def test_an_opinion_has_a_version_and_logarithms(version: str, worth: float) -> None:
    with pytest.raises(InvalidInput):
        Opinion(version, (0.0, worth))
