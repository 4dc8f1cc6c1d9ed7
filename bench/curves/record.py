"""Record the training losses of whole searches, step by step, by really fine-tuning.

    python -m bench.curves.record STORIES_DIRECTORY [--only NAME] [--minutes N]

Each sequence is one search: the strategy proposes, the vector is fine-tuned, the strategy learns.
So the curves come in the order and with the drift that racing meets. ``data/NAME.jsonl`` holds
them; a killed recording goes on where it was.
"""

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from bench.surfaces.catalogue import CATALOGUE
from bench.surfaces.record import prepare
from bench.trial_runner import TrialRunner, text_recipe
from perfmodel import ModelState, learn, propose, start
from rankspace import Observation, RankVector
from rankspace.granularity import search_space
from rankspace.recipe import LINEAR_MODULES
from rankspace.study import Budget, Search
from rankspace.trial import Split
from rankspace.wire import encode

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Sequence:
    """One search to record.

    Attributes:
        name: Of its file.
        surface: The model, its pruning and the recipe, a name of ``bench.surfaces.catalogue``.
        strategy: Who proposes.
        trials: How many.
        steps: Optimiser steps of a trial.
    """

    name: str
    surface: str
    strategy: str
    trials: int = 48
    steps: int = 80


SEQUENCES = (
    Sequence("stories-half-additive", "stories-half-1to3", "additive"),
    Sequence("stories-half-random", "stories-half-1to3", "random"),
    Sequence("stories-global-additive", "stories-global-0to3", "additive"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stories", type=Path)
    parser.add_argument("--only")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    deadline = time.monotonic() + 60 * options.minutes
    ran = 0
    for sequence in SEQUENCES:
        if options.only in (None, sequence.name):
            with TemporaryDirectory() as folder:
                ran += record(sequence, options.stories, Path(folder), deadline)
    print(f"sequences={len(SEQUENCES)} new_trials={ran}")


def record(sequence: Sequence, stories: Path, place: Path, deadline: float) -> int:
    """Run the trials of ``sequence`` that its file does not have yet; return how many."""
    (surface,) = [one for one in CATALOGUE if one.name == sequence.surface]
    model, text = prepare(surface, stories, place)
    search = Search(
        ranks=surface.ranks, granularity=surface.granularity, budget=Budget(surface.budget)
    )
    space = search_space(model, LINEAR_MODULES, search)
    recipe = text_recipe(text, surface.rate)
    runner = TrialRunner(model, recipe, space, steps=sequence.steps, split=Split.SELECTION)
    file = DATA / f"{sequence.name}.jsonl"
    if not file.exists():
        head = {"sequence": encode(sequence), "fingerprint": model.fingerprint}
        _append(file, {**head, "torch": torch.__version__, "space": encode(space)})
    state = _resume(start(space, strategy=sequence.strategy, trials=sequence.trials), file)
    ran = 0
    while len(state.observations) < sequence.trials and time.monotonic() < deadline:
        state, (proposal,) = propose(state)
        run = runner.run(proposal.rank_vector, 0)
        row = {"ranks": proposal.rank_vector.ranks, "loss": run.loss}
        _append(file, {**row, "steps": [round(loss, 5) for loss in run.steps]})
        state = learn(state, [Observation(proposal.rank_vector, -run.loss)])
        ran += 1
    print(f"{sequence.name}: {len(state.observations)} trials", flush=True)
    return ran


def _resume(state: ModelState, file: Path) -> ModelState:
    rows = [json.loads(line) for line in file.read_text().splitlines()[1:]]
    seen = [Observation(RankVector(tuple(row["ranks"])), -row["loss"]) for row in rows]
    return replace(learn(state, seen), draws=len(seen)) if seen else state


def _append(file: Path, row: object) -> None:
    file.parent.mkdir(exist_ok=True)
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
