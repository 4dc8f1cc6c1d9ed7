"""The generated pages are the code's, and say something about every field."""

from pathlib import Path

from rankadaptor.reference import study_page

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "study.md"


def test_the_study_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == study_page(), "run `make docs`"


def test_every_field_has_a_meaning() -> None:
    rows = [line for line in study_page().splitlines() if line.startswith("| `")]
    assert len(rows) > 25
    assert [row for row in rows if row.endswith("|  |")] == []
