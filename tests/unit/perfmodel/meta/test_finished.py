import json
from dataclasses import replace

import pytest

from perfmodel.meta.finished import read_studies, write_studies
from rankspace.errors import InvalidInput, UnreadableInput, UnsupportedVersion
from tests.unit.perfmodel.meta.worlds import world


def test_studies_survive_their_file() -> None:
    studies = (world(0, blocks=2, trials=5).study, world(1, blocks=3, trials=4).study)
    text = write_studies(studies)
    assert text.count("\n") == 2
    assert read_studies(text + "\n") == studies


def test_a_damaged_line_is_named() -> None:
    text = write_studies([world(0, blocks=2, trials=5).study])
    with pytest.raises(UnreadableInput, match="line 2"):
        read_studies(text + text[:50])


def test_a_wrong_number_is_named_with_its_line_and_field() -> None:
    document = json.loads(write_studies([world(0, blocks=2, trials=5).study]))
    document["value"]["observations"][3]["rank_vector"]["ranks"] = [1]
    with pytest.raises(InvalidInput, match=r"line 1\.observations\[3\]\.rank_vector"):
        read_studies(json.dumps(document))


def test_another_version_is_refused() -> None:
    with pytest.raises(UnsupportedVersion):
        read_studies('{"wire": 99, "value": {}}')


def test_profiles_are_one_per_layer_or_none() -> None:
    study = world(0, blocks=2, trials=5).study
    short = replace(study.context, profiles=study.context.profiles[:3])
    with pytest.raises(InvalidInput, match=r"context\.profiles = 3"):
        replace(study, context=short)


def test_only_a_newline_ends_a_study() -> None:
    """Others may write the file with what a JSON text may hold unescaped."""
    study = replace(world(0, blocks=2, trials=5).study, name="a\u2028b\u2029c\x85d")
    text = write_studies([study])
    raw = json.dumps(json.loads(text), ensure_ascii=False)
    assert read_studies(f"{raw}\n \n{text}") == (study, study)


def test_a_damaged_line_is_not_quoted() -> None:
    with pytest.raises(UnreadableInput) as caught:
        read_studies('{"secret": ')
    assert "secret" not in caught.value.detail
