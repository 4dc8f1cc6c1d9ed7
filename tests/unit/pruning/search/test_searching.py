"""From a model's directory to rates: what is refused, what is confirmed, what is written down."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pruning.container import container
from pruning.container.contents import survey
from pruning.methods.settings import PrunerName, PruningSettings
from pruning.profiling.calibration_text import CalibrationText, draw_windows
from pruning.rates.document import given_from
from pruning.rates.rates import overall
from pruning.search.about import SearchName
from pruning.search.confirmation import confirmed
from pruning.search.scorer import Scorer
from pruning.search.searches import SEARCHES
from pruning.search.searching import Question, Searched, search_memory, search_rates
from rankspace.errors import InvalidInput

BLOCKS = (0, 1, 2)


@pytest.fixture
def question(text: Path, tmp_path: Path) -> Question:
    held_out = tmp_path / "held-out.txt"
    held_out.write_text("".join(f"{i} and {i + 3} are {2 * i + 3}.\n" for i in range(400)))
    return Question(
        SearchName.GENETIC,
        PruningSettings(BLOCKS, 0.5, PrunerName.MAGNITUDE, "local", 5),
        CalibrationText(text, 4, 16),
        CalibrationText(held_out, 12, 24),
        9,
    )


def searched(plain: Path, question: Question, record: Path | None = None) -> Searched:
    search = SEARCHES[question.search](question.settings.seed)
    return search_rates(survey(plain), question, search, record=record)


def test_the_best_is_confirmed_on_windows_that_the_search_never_saw(
    plain: Path, question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    losses = Scorer.losses

    def watched(self: Scorer, rates: dict[int, float], windows: torch.Tensor) -> object:
        seen.append(windows)
        return losses(self, rates, windows)

    monkeypatch.setattr(Scorer, "losses", watched)
    done = searched(plain, question)
    tokenizer = container.load(plain).tokenizer
    drawn = draw_windows(question.held_out, tokenizer)
    assert len(seen) == 9 + 2
    assert all(torch.equal(windows, drawn[:6]) for windows in seen[:9])
    assert all(torch.equal(windows, drawn[6:]) for windows in seen[9:])
    assert done.confirmation is not None
    assert done.confirmation.windows == 6
    assert done.found.best.loss < done.found.uniform.loss


def test_what_is_written_is_read_again_and_says_where_it_comes_from(
    plain: Path, question: Question, tmp_path: Path
) -> None:
    record = tmp_path / "r.jsonl"
    done = searched(plain, question, record)
    again = searched(plain, question, record)
    assert again == done
    given = given_from(json.loads(json.dumps(done.document)))
    assert given.given == done.found.best.rates
    assert overall(given.given, {0: 1, 1: 1, 2: 1}) == pytest.approx(0.5)
    origin = given.origin
    assert (origin["search"], origin["method"], origin["ratio"]) == ("genetic", "magnitude", 0.5)
    assert origin["model"] == container.load(plain).description.fingerprint
    assert origin["loss"] == done.found.best.loss
    lines = record.read_text().splitlines()
    assert len(lines) == 1 + 9
    assert json.loads(lines[0])["question"] == done.question
    with pytest.raises(InvalidInput, match="is of a search with evaluations 9, not 10"):
        searched(plain, replace(question, evaluations=10), record)


def test_text_that_the_method_looked_at_is_not_held_out(
    plain: Path, question: Question, tmp_path: Path
) -> None:
    copied = tmp_path / "copy.txt"
    copied.write_bytes(question.calibration.text.read_bytes())
    with pytest.raises(InvalidInput, match="is the calibration text, too"):
        searched(plain, replace(question, held_out=CalibrationText(copied, 12, 24)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (PruningSettings(BLOCKS, 0.5, PrunerName.DEPTH_TAYLOR), "has no rates by block"),
        (PruningSettings(BLOCKS, 0.5, PrunerName.LORAP), "has no rates by block"),
        (PruningSettings(BLOCKS, 0.5, PrunerName.LORAPRUNE), "trains for each vector"),
        (PruningSettings((1, 3), 0.5, PrunerName.MAGNITUDE), "names a block the model lacks"),
        (PruningSettings(BLOCKS, 0.001, PrunerName.MAGNITUDE), "removes nothing"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_weights_are_read(
    settings: PruningSettings, said: str, plain: Path, question: Question
) -> None:
    weights = plain / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-400] + b"\xff" * 400)  # no numbers
    with pytest.raises(InvalidInput, match=said):
        searched(plain, replace(question, settings=settings))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"evaluations": 1}, "evaluations = 1: is too few"),
        ({"settings": PruningSettings((1,))}, "blocks = 1: is too few"),
    ],
)
def test_too_little_to_search_is_refused(
    changed: dict[str, object], said: str, question: Question
) -> None:
    with pytest.raises(InvalidInput, match=said):
        replace(question, **changed)  # type: ignore[arg-type]


def test_memory_is_of_what_is_left_and_of_the_logits(plain: Path, question: Question) -> None:
    """In float32."""
    loaded = container.load(plain)
    blocks = sum(p.numel() for name, p in loaded.model.named_parameters() if "proj" in name)
    need = search_memory(survey(plain), question)
    logits = 2048 * loaded.model.config.vocab_size * (4 + 8)
    assert need.beside == blocks // 2 * 4 + logits
    assert need.weights == 4 * sum(p.numel() for p in loaded.model.parameters())


def test_a_difference_is_in_pairs_of_windows() -> None:
    found = confirmed([1.0, 2.0, 3.0], [1.5, 2.6, 3.4])
    assert found.difference == pytest.approx(-0.5)
    assert found.error == pytest.approx(0.1 / 3**0.5)
    assert found.is_better
    assert not found.is_worse
    assert confirmed([2.0, 2.0], [1.0, 1.1]).is_worse
    unclear = confirmed([1.0, 2.0], [1.5, 1.0])
    assert not unclear.is_better
    assert not unclear.is_worse
