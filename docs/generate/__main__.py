"""``python -m docs.generate``: write the pages anew."""

from pathlib import Path

from docs.generate.class_table import with_classes
from docs.generate.study_page import study_page

DOCS = Path(__file__).parents[1]


def main() -> None:
    (DOCS / "reference" / "study.md").write_text(study_page(), encoding="utf-8")
    glossary = DOCS / "glossary.md"
    written = glossary.read_text(encoding="utf-8")
    glossary.write_text(with_classes(written), encoding="utf-8")


if __name__ == "__main__":
    main()
