from pathlib import Path

import pytest

from rankadaptor.study_file import read_study
from rankspace.errors import InvalidInput, UnreadableInput

STUDY = """
name: tiny
model: model
recipe:
  data: {train: text.txt, format: text}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "text.txt").write_text("words")
    return tmp_path


def write(place: Path, text: str | bytes) -> Path:
    file = place / "study.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_paths_are_relative_to_the_file(place: Path) -> None:
    study = read_study(write(place, STUDY))
    assert study.model == str(place / "model")
    assert study.recipe.data.train == str(place / "text.txt")


@pytest.mark.parametrize(
    ("text", "field", "problem"),
    [
        (STUDY.replace("model: model", "model: modell"), "model", "no such directory"),
        (STUDY.replace("text.txt", "test.txt"), "recipe.data.train", "no such file"),
        (STUDY + "serach: {}", "serach", "unknown field"),
        ("name: [", "FILE", "while parsing"),
        (STUDY + "name: again", "FILE", "'name' is written twice"),
        (b"name: \xff", "FILE", "not UTF-8"),
        ("- a\n- b", "", "must be a group of fields"),
        ("", "", "must be a group of fields"),
        ("!!python/object/apply:os.system ['true']", "FILE", "could not determine a constructor"),
        ("x" * 300_000, "FILE", "too large"),
        (STUDY.replace("tiny", "2024-99-99"), "FILE", "month must be"),
        (STUDY.replace("tiny", "9" * 5000), "FILE", "limit"),
        (STUDY.replace("model: model", 'model: "a\\0b"'), "model", "null"),
        (STUDY.replace("model: model", "model: ~nosuchuser/x"), "model", "home"),
    ],
)
def test_a_bad_file_names_field_and_problem(
    place: Path, text: str | bytes, field: str, problem: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_study(write(place, text))
    assert caught.value.field == field
    assert problem in caught.value.detail
    assert caught.value.hint


def test_a_missing_file_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="No such file"):
        read_study(tmp_path / "none.yaml")
