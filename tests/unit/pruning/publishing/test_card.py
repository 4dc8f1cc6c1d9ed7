import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from pruning.cards.licence import Licence, licence_of
from pruning.publishing.card import Origin, card_of
from pruning.publishing.form import Form


def card(**changes: Any) -> str:
    told = {
        "title": "tiny",
        "base": "/home/me/secret/pruned",
        "fingerprint": "ab" * 32,
        "adapter": "",
        "recipe": {},
        "verdict": "## Verdict",
        "licence": None,
        **changes,
    }
    return card_of(Origin(**told), Form.MERGED, parameters=7, dtype="float32", differs="")


@pytest.mark.parametrize("field", ["title", "base"])
def test_a_name_stays_one_line_that_shows_itself(field: str) -> None:
    made = card(**{field: "x\n\n# Gone <img src=t.png> `a` | \x1b[2J \u202e \ud800 "})
    assert made.encode()
    assert "\n# Gone" not in made
    assert "\\<img src=t.png\\> \\`a\\` \\|" in made
    assert "\x1b" not in made
    assert "\u202e" not in made


def test_texts_of_the_service_bring_no_controls() -> None:
    made = card(verdict="## V\n\nok \x1b[2J", recipe={"a": "\u202e\ud800"})
    assert made.encode()
    assert "\x1b" not in made
    assert "\u202e" not in made
    assert "## V\n\nok" in made


def test_a_card_has_no_path_of_this_machine() -> None:
    assert "secret" not in card()
    assert "| pruned model | pruned |" in card()


@pytest.mark.parametrize(
    ("head", "licence"),
    [
        ("license: mit", Licence(("mit",))),
        ("license: mit\ndate: 2024-02-30", Licence(("mit",))),
        ("license: [mit, apache-2.0]", Licence(("mit", "apache-2.0"))),
        (
            "license: other\nlicense_name: qwen-research\nlicense_link: LICENSE",
            Licence(("other",), "qwen-research", "LICENSE"),
        ),
        ("license: null", None),
        ("license: {a: b}", None),
        ("[" * 20_000, None),
        ("license: [mit", None),
        ("title: none", None),
    ],
)
def test_a_licence_is_read_off_the_card(head: str, licence: Licence | None, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"---\n{head}\n---\nmore")
    assert licence_of(tmp_path) == licence


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "README.md")
    assert licence_of(tmp_path) is None


def test_a_licence_with_a_name_is_carried_whole() -> None:
    made = card(licence=Licence(("other",), "qwen | research", "LICENSE"))
    head = yaml.safe_load(made.split("---\n")[1])
    assert head["license"] == "other"
    assert (head["license_name"], head["license_link"]) == ("qwen | research", "LICENSE")
    of_another = "LICENSE, a file of the model that this was made of"
    assert f"| licence | other (qwen \\| research, {of_another}) |" in made


def test_two_licences_stay_two() -> None:
    made = card(licence=Licence(("mit", "apache-2.0")))
    assert yaml.safe_load(made.split("---\n")[1])["license"] == ["mit", "apache-2.0"]
    assert "| licence | mit, apache-2.0 |" in made
