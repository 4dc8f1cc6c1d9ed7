"""What base models are trained on: both halves apart, and only from a folder that was named."""

import json
from pathlib import Path

import pytest

from bench.recording import Sources
from bench.surfaces.catalogue import CATALOGUE, STORIES, TRAINED
from bench.surfaces.corpora import CorpusName, halves
from bench.surfaces.record import _material
from rankspace.errors import InvalidInput

ROWS = [
    {"instruction": f"say {at}", "input": "please" * (at % 2), "output": f"word {at}"}
    for at in range(6)
]


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    for folder in ("text", "instructions"):
        (tmp_path / folder).mkdir()
    for split in ("valid", "test"):
        for name in ("wikitext2", "ptb"):
            (tmp_path / f"text/{name}-{split}.txt").write_text(f"{name} {split}\n")
    lines = "\n".join(map(json.dumps, ROWS))
    (tmp_path / "instructions/gpteacher-roleplay.jsonl").write_text(lines)
    return Sources(tmp_path / "stories", tmp_path)


@pytest.mark.parametrize("name", [CorpusName.WIKITEXT, CorpusName.PTB])
def test_a_text_is_trained_on_its_validation_split_and_recovered_on_its_test_split(
    name: CorpusName, sources: Sources, tmp_path: Path
) -> None:
    found = halves(name, sources)
    assert "valid" in found.corpus.pretraining
    assert "test" in found.corpus.recovery
    text, train = found.write(tmp_path)
    assert text == train
    assert train.read_text() == found.corpus.recovery
    assert found.format == "text"


def test_instructions_are_rows_to_train_on_and_text_to_prune_by(
    sources: Sources, tmp_path: Path
) -> None:
    found = halves(CorpusName.ROLEPLAY, sources)
    text, train = found.write(tmp_path)
    assert [json.loads(line) for line in train.read_text().splitlines()] == ROWS[1::2]
    assert text.read_text().startswith("say 1\nplease\nword 1\n\nsay 3")
    assert found.corpus.pretraining.startswith("say 0\nword 0\n\nsay 2")
    assert found.format == "instruction"


def test_the_folder_must_be_named_and_have_the_text(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="needed for the corpus ptb") as refused:
        halves(CorpusName.PTB, Sources(tmp_path))
    assert "--data" in refused.value.hint
    with pytest.raises(InvalidInput, match="--data = ") as refused:
        halves(CorpusName.PTB, Sources(tmp_path, tmp_path / "elsewhere"))
    assert halves(CorpusName.STDLIB, Sources(tmp_path)).corpus.pretraining


def test_every_surface_has_a_base_model_and_no_two_one_name() -> None:
    assert len({surface.name for surface in CATALOGUE}) == len(CATALOGUE)
    assert {surface.base for surface in CATALOGUE} <= {STORIES, *TRAINED}
    corpora = {TRAINED[s.base].corpus for s in CATALOGUE if s.base != STORIES}
    assert corpora == set(CorpusName)
    assert sum(surface.steps == 200 for surface in CATALOGUE) >= 2


def test_the_stories_are_their_own_corpus(sources: Sources, tmp_path: Path) -> None:
    material = _material(CATALOGUE[0], sources, tmp_path)
    assert (material.base, material.train) == (sources.stories, sources.stories / "sample.txt")
