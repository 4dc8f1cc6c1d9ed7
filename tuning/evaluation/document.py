"""Document: one question with its possible answers, as they are scored."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Document:
    """What is scored of one row: the likelihood of each ending after its context.

    All three tuples have one entry per choice. Where the choices are answers, the contexts are all
    alike; where they fill a blank, the endings are.

    Attributes:
        place: Where in the file the row stands.
        contexts: What is read.
        endings: What is predicted, the space in front of it included.
        choices: The texts by whose lengths scores are normalised.
        answer: Index of the right one.
    """

    place: str
    contexts: tuple[str, ...]
    endings: tuple[str, ...]
    choices: tuple[str, ...]
    answer: int

    @property
    def texts(self) -> tuple[str, ...]:
        """What is read and predicted, each text once."""
        return tuple(dict.fromkeys((*self.contexts, *self.endings)))


def answered(place: str, context: str, choices: tuple[str, ...], answer: int) -> Document:
    """Make the document of a question: every choice follows the same context after one space."""
    endings = tuple(f" {choice}" for choice in choices)
    return Document(place, (context,) * len(choices), endings, choices, answer)
