"""Record surveys: what elastic trainings say of the vectors that a surface was recorded at.

    python -m bench.survey.record STORIES_DIRECTORY [--only NAME] [--minutes N]

One file per surface in ``bench/survey/data``: its provenance, then one line per elastic training,
with the loss of every vector that the surface has on its first seed, in that order. A killed
recording goes on where it was. STORIES_DIRECTORY: see ``bench.surfaces.record``.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.recording import Recording, Row, Sources, command
from bench.surfaces.catalogue import CATALOGUE, Surface
from bench.surfaces.record import DATA as SURFACES
from bench.surfaces.record import prepare
from bench.survey.elastic import ElasticBench
from bench.survey.plan import RUNS
from rankspace import RankVector

DATA = Path(__file__).parent / "data"


def main() -> None:
    recorded = [one for one in CATALOGUE if (SURFACES / f"{one.name}.jsonl").exists()]
    ran = command(__doc__, recorded, _recording)
    print(f"surfaces={len(recorded)} new_surveys={ran}")


def vectors_of(surface: str) -> list[RankVector]:
    """What the surface has on its first seed, in the order of its file."""
    rows = map(json.loads, (SURFACES / f"{surface}.jsonl").read_text().splitlines()[1:])
    return [RankVector(tuple(row["ranks"])) for row in rows if row["seed"] == 0]


def _recording(surface: Surface, sources: Sources, place: Path) -> Recording:
    prepared = prepare(surface, sources, place)
    bench = ElasticBench(prepared)
    vectors = vectors_of(surface.name)

    def surveys(seen: Sequence[Row]) -> Iterator[Row]:
        done = {(row["scheme"], row["steps"], row["seed"]) for row in seen}
        for run in RUNS:
            if (run.scheme.value, run.steps, run.seed) not in done:
                yield {
                    **asdict(run),
                    "trial_seconds": bench.trial_seconds(surface.steps),
                    **asdict(bench.survey(run, vectors)),
                }

    head = {"surface": surface.name, "fingerprint": prepared.model.fingerprint}
    return Recording(DATA / f"{surface.name}.jsonl", head, surveys)


if __name__ == "__main__":
    main()
