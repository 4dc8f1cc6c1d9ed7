"""The generated pages are the code's, and say something about every field."""

from pathlib import Path

from docs.generate.class_table import BEGIN, with_classes
from docs.generate.study_page import study_page

DOCS = Path(__file__).parents[3] / "docs"
PAGE, GLOSSARY = DOCS / "reference" / "study.md", DOCS / "glossary.md"


def test_the_study_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == study_page(), "run `make docs`"


def test_every_field_has_a_meaning() -> None:
    rows = [line for line in study_page().splitlines() if line.startswith("| `")]
    assert len(rows) > 25
    assert [row for row in rows if row.endswith("|  |")] == []


def test_the_glossary_holds_every_class_and_says_what_it_is() -> None:
    page = GLOSSARY.read_text(encoding="utf-8")
    assert page == with_classes(page), "run `make docs`"
    rows = page.partition(BEGIN)[2].splitlines()[2:]
    assert len(rows) > 250
    assert [row for row in rows if row.endswith("|  |")] == []
