"""A prior of one's own: asked here, and what it says is what the shipped one says there."""

from dataclasses import replace
from pathlib import Path

import pytest

import perfmodel
from perfmodel.meta.shipped import shipped_prior
from rankadaptor.meta import opinion
from rankadaptor.meta.opinion import with_opinion
from rankspace import Context, LayerProfile, PrunedModel, SearchSpace, Study
from rankspace.context import context_of
from rankspace.errors import InvalidInput
from rankspace.granularity import search_space
from rankspace.study import MAX_WORTH, Opinion
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
