"""What searching the rates of blocks brings, at equal evaluations, before any recovery.

    python -m bench.methods.searches MODEL_DIRECTORY TEXT [--quick] [--evaluations 20] [--seeds 5]

At 20 % and 50 % of all blocks by ``taylor``: equal rates beside what ATP's step, random draws and a
genetic algorithm find on held-out windows, scored on windows that nobody searched on. A seed draws
calibration windows of the first half of TEXT, held-out ones of the second, and the search; an
interval is of 95 % (Student's t over seeds), of these draws alone: it knows nothing of other models
or texts. ``flattery`` is what the best gains where it was chosen beyond what it gains unseen.
``self-pruner`` is not run: without a language model of use it is the genetic algorithm.
The last line repeats the gains for a machine. Set OMP_NUM_THREADS=1 for small models.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.methods.measuring import RATIOS, percent
from bench.proposers.intervals import Mean, mean_of
from bench.pruners import halves
from pruning.container.contents import Contents, survey
from pruning.methods.settings import PrunerName, PruningSettings
from pruning.search.about import SearchName
from pruning.search.searches import SEARCHES
from pruning.search.searching import Question, search_rates
from rankspace.errors import RankspaceError

METHOD = PrunerName.TAYLOR


@dataclass(frozen=True)
class Gain:
    """Of one search on one seed, in nats against equal rates; negative is better.

    Attributes:
        chosen: On the windows that were searched on.
        unseen: On the others.
        removed: What the best removes beyond what equal rates do, in points of the blocks.
        uniform: Loss of equal rates on the others.
        scored: Evaluations that the search found use for.
    """

    chosen: float
    unseen: float
    removed: float
    uniform: float
    scored: int


def gain(contents: Contents, question: Question) -> Gain:
    """Run one search; one that finds nothing better has gained nothing."""
    search = SEARCHES[question.search](question.settings.seed)
    done = search_rates(contents, question, search)
    found, seen = done.found, done.confirmation
    return Gain(
        found.best.loss - found.uniform.loss,
        seen.difference if seen else 0.0,
        100 * (done.removed - done.removed_uniform),
        seen.uniform if seen else found.uniform.loss,
        found.scored,
    )


def measure(
    contents: Contents, text: Path, folder: Path, options: argparse.Namespace
) -> Mapping[tuple[float, SearchName], Sequence[Gain]]:
    calibration, held_out = halves(text, folder)
    blocks = tuple(range(len(contents.structure.blocks)))
    found: dict[tuple[float, SearchName], list[Gain]] = {}
    for ratio in RATIOS:
        for seed in range(options.seeds):
            texts = (
                replace(calibration, samples=32, seed=seed),
                replace(held_out, samples=options.windows, seed=seed),
            )
            for name in SEARCHES:
                settings = PruningSettings(blocks, ratio, METHOD, "local", seed)
                question = Question(name, settings, *texts, options.evaluations)
                found.setdefault((ratio, name), []).append(gain(contents, question))
    return found


def show(found: Mapping[tuple[float, SearchName], Sequence[Gain]]) -> None:
    table = Table(title="Loss against equal rates in nats; negative is better")
    for column in ("at", "search", "equal rates", "unseen", "flattery", "removed", "scored"):
        table.add_column(column)
    for (ratio, name), gains in found.items():
        table.add_row(
            f"{percent(ratio)} %",
            name,
            f"{mean_of([one.uniform for one in gains]).value:.3f}",
            written(mean_of([one.unseen for one in gains])),
            written(mean_of([one.chosen - one.unseen for one in gains])),
            f"{mean_of([one.removed for one in gains]).value:+.2f}",
            f"{mean_of([one.scored for one in gains]).value:.1f}",
        )
    Console(width=120).print(table)
    pairs = Table("difference, unseen", *(f"at {percent(ratio)} %" for ratio in RATIOS))
    for one, other in (
        (SearchName.ATP, SearchName.RANDOM),
        (SearchName.GENETIC, SearchName.RANDOM),
        (SearchName.GENETIC, SearchName.ATP),
    ):
        cells = [_difference(found[ratio, one], found[ratio, other]) for ratio in RATIOS]
        pairs.add_row(f"{one} - {other}", *map(written, cells))
    Console(width=120).print(pairs)


def _difference(one: Sequence[Gain], other: Sequence[Gain]) -> Mean:
    return mean_of([a.unseen - b.unseen for a, b in zip(one, other, strict=True)])


def written(mean: Mean) -> str:
    word = "" if mean.excludes_zero else " (open)"
    return f"{mean.value:+.3f} ± {mean.margin:.3f}{word}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("model", type=Path, help="a Hugging Face directory or a container")
    parser.add_argument("text", type=Path, help="UTF-8; half to calibrate on, half held out")
    parser.add_argument("--evaluations", type=int, default=20, help="of each search [20]")
    parser.add_argument("--seeds", type=int, default=5, help="[5]")
    parser.add_argument(
        "--windows", type=int, default=64, help="half searched on, half unseen [64]"
    )
    parser.add_argument("--quick", action="store_true", help="two seeds, five evaluations")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.evaluations, options.windows = 2, 5, 16
    began = time.process_time()
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(survey(options.model), options.text, Path(folder), options)
    except RankspaceError as error:
        parser.error(f"{error.detail}; {error.hint}")
    show(found)
    figures = (
        f"{name}@{percent(ratio)}={mean_of([one.unseen for one in gains]).value:.3f}"
        for (ratio, name), gains in found.items()
    )
    print(f"seconds={time.process_time() - began:.0f}", *figures)


if __name__ == "__main__":
    main()
