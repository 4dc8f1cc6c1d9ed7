"""Record the training losses of whole searches, step by step, by really fine-tuning.

    python -m bench.curves.record STORIES_DIRECTORY [--only NAME] [--minutes N]

Each sequence is one search: the strategy proposes, the vector is fine-tuned, the strategy learns.
So the curves come in the order and with the drift that racing meets. ``data/NAME.jsonl`` holds
them; a killed recording goes on where it was.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from bench.recording import Recording, Row, Sources, command
from bench.surfaces.catalogue import CATALOGUE
from bench.surfaces.record import prepare
from perfmodel import ModelState, learn, propose, start
from rankspace import Observation, RankVector
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
    ran = command(__doc__, SEQUENCES, _recording)
    print(f"sequences={len(SEQUENCES)} new_trials={ran}")


def _recording(sequence: Sequence, sources: Sources, place: Path) -> Recording:
    (surface,) = [one for one in CATALOGUE if one.name == sequence.surface]
    prepared = prepare(surface, sources, place)
    head = {
        "sequence": encode(sequence),
        "fingerprint": prepared.model.fingerprint,
        "torch": torch.__version__,
        "space": encode(prepared.space),
    }
    runner = prepared.runner(sequence.steps)

    def trials(seen: Iterable[Row]) -> Iterator[Row]:
        state = _resumed(
            start(prepared.space, strategy=sequence.strategy, trials=sequence.trials), seen
        )
        while len(state.observations) < sequence.trials:
            state, (proposal,) = propose(state)
            run = runner.run(proposal.rank_vector, 0)
            steps = [round(loss, 5) for loss in run.steps]
            yield {"ranks": proposal.rank_vector.ranks, "loss": run.loss, "steps": steps}
            state = learn(state, [Observation(proposal.rank_vector, -run.loss)])

    return Recording(DATA / f"{sequence.name}.jsonl", head, trials)


def _resumed(state: ModelState, seen: Iterable[Row]) -> ModelState:
    known = [Observation(RankVector(tuple(row["ranks"])), -row["loss"]) for row in seen]
    return replace(learn(state, known), draws=len(known)) if known else state


if __name__ == "__main__":
    main()
