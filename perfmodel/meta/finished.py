"""FinishedStudy: what meta-learning keeps of a study that is over."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rankspace import Context, Observation, SearchSpace
from rankspace.errors import InvalidInput, UnreadableInput
from rankspace.wire import pack, unpack


@dataclass(frozen=True)
class FinishedStudy:
    """One study's search, without its model files.

    Attributes:
        name: For people, and for the prior's provenance.
        space: What could be proposed.
        context: What it held fixed, layer profiles included.
        observations: In the order they were made.
        model: Fingerprint of the pruned model; studies of one model are held out together. Empty:
            it stands alone.
        family: The base model the pruned one was cut from, as far as it is known. Empty: its own.
    """

    name: str
    space: SearchSpace
    context: Context
    observations: tuple[Observation, ...]
    model: str = ""
    family: str = ""

    def __post_init__(self) -> None:
        layers, profiles = len(self.space.layers), len(self.context.profiles)
        if profiles not in (0, layers):
            raise InvalidInput(
                "context.profiles",
                profiles,
                f"there are {layers} layers",
                fix="give one profile per layer, or none",
            )
        for index, seen in enumerate(self.observations):
            if len(seen.rank_vector) != layers:
                raise InvalidInput(
                    f"observations[{index}].rank_vector",
                    list(seen.rank_vector.ranks),
                    f"has {len(seen.rank_vector)} ranks for {layers} layers",
                    fix=f"give {layers} ranks, in the order of the study's layers",
                )


def write_studies(studies: Iterable[FinishedStudy]) -> str:
    """One line of JSON per study; ``read_studies`` reads them back equal."""
    lines = (json.dumps(pack(study), separators=(",", ":")) for study in studies)
    return "".join(f"{line}\n" for line in lines)


def read_studies(text: str) -> tuple[FinishedStudy, ...]:
    """Read what ``write_studies`` wrote.

    Raises:
        UnreadableInput: A line is not JSON.
        UnsupportedVersion: Another version of the program wrote it.
        InvalidInput: A study's numbers do not fit each other; the field begins with its line.
    """
    return tuple(_studies(text))


def _studies(text: str) -> Iterator[FinishedStudy]:
    # Only this ends a line: JSON texts may hold what else ends one for Python, like U+2028.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UnreadableInput(
                f"line {number}",
                f"{len(line):,} characters",
                f"is not JSON: {error}",
                fix="export the studies anew with rankadaptor meta export",
            ) from None
        try:
            yield unpack(FinishedStudy, document)
        except InvalidInput as error:
            raise error.under(f"line {number}") from None
