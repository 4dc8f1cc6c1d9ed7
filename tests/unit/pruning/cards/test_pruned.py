"""What is made of a model carries its licence on, from step to step."""

from pathlib import Path

import pytest
import yaml
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pruning.cards.licence import Licence, licence_of
from pruning.cards.pruned import UNSTATED, pruned_card
from pruning.importing.adoption import adopt
from pruning.methods.compression import compress
from pruning.methods.settings import PrunerName, PruningSettings
from pruning.profiling.calibration_text import CalibrationText
from tests.unit.pruning.conftest import MODELS

LICENCE = Licence(("other",), "llama | community", "https://example.org/LICENSE")
CARD = """---
license: other
license_name: llama | community
license_link: https://example.org/LICENSE
---
# Somebody's model
"""


@pytest.fixture
def dense(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Path:
    model: PreTrainedModel = MODELS["llama"]()
    model.save_pretrained(tmp_path / "dense")
    tokenizer.save_pretrained(tmp_path / "dense")
    return tmp_path / "dense"


def _compressed(source: Path, target: Path, tmp_path: Path) -> Path:
    text = tmp_path / "text.txt"
    text.write_text("once upon a time there was a little text. " * 50)
    settings = PruningSettings((1,), 0.625, PrunerName.MAGNITUDE)
    compress(source, target, settings, CalibrationText(text, samples=2, length=16))
    return target


def test_the_licence_goes_from_step_to_step(dense: Path, tmp_path: Path) -> None:
    (dense / "README.md").write_text(CARD)
    adopt(dense, tmp_path / "adopted")
    pruned = _compressed(tmp_path / "adopted", tmp_path / "pruned", tmp_path)
    assert licence_of(tmp_path / "adopted") == licence_of(pruned) == LICENCE
    written = (pruned / "README.md").read_text()
    assert "| how | magnitude: 62.5% of heads and channels of blocks 1 |" in written
    assert "Somebody" not in written


def test_where_none_is_stated_the_card_says_so(dense: Path, tmp_path: Path) -> None:
    pruned = _compressed(dense, tmp_path / "pruned", tmp_path)
    written = (pruned / "README.md").read_text()
    assert f"| licence | {UNSTATED} |" in written
    assert "license" not in yaml.safe_load(written.split("---\n")[1])
    assert licence_of(pruned) is None


def test_a_name_shows_as_it_is(tmp_path: Path) -> None:
    made = pruned_card(tmp_path / "a | b\n---\nlicense: mit", "taylor")
    assert "license" not in yaml.safe_load(made.split("---\n")[1])
    assert "| made of | a \\| b" in made


def test_a_licence_in_a_file_says_whose_file(tmp_path: Path) -> None:
    """It is not copied, so a reader of the card has to know where to look."""
    head = "license: other\nlicense_name: mine\nlicense_link: LICENSE.txt"
    (tmp_path / "README.md").write_text(f"---\n{head}\n---\n")
    made = pruned_card(tmp_path, "taylor")
    assert "| other (mine, LICENSE.txt, a file of the model that this was made of) |" in made
    assert yaml.safe_load(made.split("---\n")[1])["license_link"] == "LICENSE.txt"
    assert "a file of" not in LICENCE.markdown


@pytest.mark.parametrize("before", ["\ufeff", "\n", " \n\n"])
def test_a_head_after_empty_lines_is_read(before: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"{before}{CARD}", encoding="utf-8")
    assert licence_of(tmp_path) == LICENCE
