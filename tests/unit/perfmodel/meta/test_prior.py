import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

import perfmodel
from perfmodel.meta.features import FEATURES
from perfmodel.meta.lesson import Lesson
from perfmodel.meta.prior import FORMAT, MetaPrior, read_prior
from perfmodel.meta.shipped import shipped_prior
from rankspace import Context
from rankspace.errors import InvalidInput, UnreadableInput, UnsupportedVersion
from tests.unit.perfmodel.meta.worlds import world


def edited(prior: MetaPrior, **changes: object) -> bytes:
    return json.dumps({**json.loads(prior.to_bytes()), **changes}).encode()


def test_a_prior_survives_its_file(prior: MetaPrior) -> None:
    blob = prior.to_bytes()
    again = read_prior(blob)
    study = world(50).study
    assert again == prior
    assert again.to_bytes() == blob
    assert again.belief(study.space, study.context) == prior.belief(study.space, study.context)


def test_the_same_file_is_read_once(prior: MetaPrior) -> None:
    blob = prior.to_bytes()
    assert read_prior(blob) is read_prior(bytes(bytearray(blob)))


def test_a_belief_is_about_every_layer_and_centred(prior: MetaPrior) -> None:
    study = world(50).study
    belief = prior.belief(study.space, study.context)
    assert belief is not None
    assert len(belief.log_worth) == len(study.space.layers)
    assert np.mean(belief.log_worth) == pytest.approx(0.0, abs=1e-9)
    assert np.std(belief.log_worth) > 0.3
    assert belief.prior == prior.version
    assert belief.prior.startswith("2026-01-31-")


def test_without_profiles_there_is_no_belief(prior: MetaPrior) -> None:
    study = world(50).study
    assert prior.belief(study.space, Context()) is None
    assert prior.belief(study.space, replace(study.context, profiles=())) is None


def test_nothing_is_believed_of_fixed_layers(prior: MetaPrior) -> None:
    study = world(50).study
    all_names = [layer.name for layer in study.space.layers]
    one = prior.belief(replace(study.space, fixed={all_names[4]: 1}), study.context)
    assert one is not None
    assert one.log_worth[4] == 0.0
    assert np.mean(one.log_worth) == pytest.approx(0.0, abs=1e-9)
    assert (
        prior.belief(replace(study.space, fixed=dict.fromkeys(all_names, 1)), study.context) is None
    )


def test_a_study_starts_with_the_belief_and_keeps_it(prior: MetaPrior) -> None:
    study = world(50).study
    state = perfmodel.start(study.space, prior=prior.to_bytes(), context=study.context)
    assert state.belief == prior.belief(study.space, study.context)
    assert perfmodel.ModelState.from_bytes(state.to_bytes()) == state
    assert perfmodel.start(study.space, context=study.context).belief is None


def test_a_changed_number_is_noticed(prior: MetaPrior) -> None:
    content = json.loads(prior.to_bytes())["content"]
    content["spread"] *= 2
    with pytest.raises(InvalidInput, match=r"prior\.sha256") as error:
        read_prior(edited(prior, content=content))
    assert "meta train" in error.value.hint


@pytest.mark.parametrize(
    ("blob", "field"),
    [
        (b"PK\x03\x04 not json", "prior = "),
        (b"[" * 100_000, "is not JSON: maximum recursion"),
        (b"[1, 2]", r"prior\.format = 'list'"),
        (b'{"format": "something else"}', r"prior\.format = 'something else'"),
        (json.dumps({"format": FORMAT, "version": 1}).encode(), r"prior\.content = None"),
    ],
)
def test_a_foreign_document_is_named(blob: bytes, field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        read_prior(blob)


def test_half_a_file_is_unreadable(prior: MetaPrior) -> None:
    blob = prior.to_bytes()
    with pytest.raises(UnreadableInput):
        read_prior(blob[: len(blob) // 2])


def test_another_version_is_refused(prior: MetaPrior) -> None:
    with pytest.raises(UnsupportedVersion, match=r"prior\.version = 2"):
        read_prior(edited(prior, version=2))


def test_other_features_are_refused(prior: MetaPrior) -> None:
    document = json.loads(prior.to_bytes())
    content = {**document["content"], "features": ["colour"]}
    with pytest.raises(InvalidInput, match=r"prior\.features"):
        read_prior(_signed(document, content))


def test_trees_that_are_none_are_noticed_when_asked(prior: MetaPrior) -> None:
    document = json.loads(prior.to_bytes())
    content = {**document["content"], "worth": {"learner": {}}}
    study = world(50).study
    with pytest.raises(InvalidInput, match="trees"):
        read_prior(_signed(document, content)).belief(study.space, study.context)


def test_the_shipped_prior_is_readable_small_and_says_where_it_is_from() -> None:
    blob = shipped_prior()
    assert blob is not None
    assert len(blob) < 300_000
    prior = read_prior(blob)
    assert len({teacher.family for teacher in prior.provenance.teachers}) >= 3
    assert len(prior.provenance.teachers) >= 8
    assert prior.provenance.command.startswith("rankadaptor meta train")


def test_a_prior_knows_kinds_it_was_taught(lessons: tuple[Lesson, ...], prior: MetaPrior) -> None:
    assert {"query", "key", "gradient norm"} <= set(prior.worth.gains(FEATURES))
    assert len(prior.provenance.teachers) == len(lessons)


def _signed(document: dict[str, object], content: dict[str, object]) -> bytes:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    checksum = hashlib.sha256(canonical.encode()).hexdigest()
    return json.dumps({**document, "content": content, "sha256": checksum}).encode()
