"""Every file the tokenizer is made of is inside the directory and vouched for."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pruning.container import container
from pruning.container.contents import TOKENIZER_FILES
from pruning.container.description import describe
from rankspace.errors import InvalidContainer

OPTIONAL = sorted(set(TOKENIZER_FILES) - {"tokenizer.json", "tokenizer_config.json"})


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def make_tokenizer(size: int) -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({f"word{i}": i for i in range(size)}, "word0"))
    make: Any = PreTrainedTokenizerFast
    made: PreTrainedTokenizerFast = make(tokenizer_object=words)
    return made


@pytest.fixture
def directory(llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Path:
    container.write(llama, tokenizer, tmp_path / "c", provenance={})
    return tmp_path / "c"


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_file_the_container_does_not_list_is_refused(name: str, directory: Path) -> None:
    (directory / name).write_text("{}")
    for read in (describe, container.load):
        with pytest.raises(InvalidContainer, match="is not listed") as caught:
            read(directory)
        assert caught.value.value == name


@pytest.mark.parametrize("name", [*OPTIONAL, "tokenizer.json", "tokenizer_config.json"])
def test_a_link_out_of_the_directory_is_refused(name: str, plain: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("{}")
    (plain / name).unlink(missing_ok=True)
    (plain / name).symlink_to(outside)
    for read in (describe, container.load):
        with pytest.raises(InvalidContainer, match="leads outside") as caught:
            read(plain)
        assert caught.value.field == name


def test_files_of_other_names_are_never_read(plain: Path) -> None:
    templates = plain / "additional_chat_templates"
    templates.mkdir()
    (templates / "rag.jinja").write_text("a template nobody vouched for")
    assert container.load(plain).tokenizer.chat_template is None
    edit(plain / "tokenizer_config.json", fast_tokenizer_files=["tokenizer.4.0.0.json"])
    with pytest.raises(InvalidContainer, match="names other files"):
        container.load(plain)


def test_chat_templates_survive_writing(llama: PreTrainedModel, tmp_path: Path) -> None:
    tokenizer = make_tokenizer(256)
    tokenizer.chat_template = {"default": "A {{ messages }}", "rag": "B"}
    container.write(llama, tokenizer, tmp_path / "c", provenance={})
    loaded = container.load(tmp_path / "c").tokenizer
    assert loaded.chat_template == tokenizer.chat_template
    assert loaded.name_or_path == str(tmp_path / "c")


def test_a_template_of_an_ordinary_directory_is_read_and_vouched_for(plain: Path) -> None:
    (plain / "chat_template.jinja").write_text("{{ messages }}")
    assert container.load(plain).tokenizer.chat_template == "{{ messages }}"
    container.write_profiles(plain, [])
    (plain / "chat_template.jinja").write_text("changed")
    with pytest.raises(InvalidContainer, match="SHA-256"):
        container.load(plain)


def test_a_token_without_a_row_of_the_embedding_is_refused(
    llama: PreTrainedModel, plain: Path, tmp_path: Path
) -> None:
    larger = make_tokenizer(261)
    with pytest.raises(InvalidContainer, match="260 rows") as caught:
        container.write(llama, larger, tmp_path / "c", provenance={})
    assert caught.value.value == "word260"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain"]
    larger.save_pretrained(plain)
    with pytest.raises(InvalidContainer, match="260 rows"):
        container.load(plain)


def test_an_added_token_without_a_row_is_refused(plain: Path) -> None:
    edit(
        plain / "tokenizer_config.json",
        added_tokens_decoder={i: {"content": f"<extra{i}>"} for i in range(256, 261)},
    )
    with pytest.raises(InvalidContainer, match="260 rows"):
        container.load(plain)
