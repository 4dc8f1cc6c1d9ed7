"""Self-Pruner: an evolutionary search whose every move a language model makes.

Source: Self-Pruner (arXiv 2502.14413). Population, prompts, and what becomes of an invalid reply
are not public: here the loop is that of ``pruning.search.evolution``, so that the plain genetic
algorithm is its control at equal evaluations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from pruning.search import prompts
from pruning.search.chat import Reply
from pruning.search.evaluation import Evaluation, Proposals
from pruning.search.evolution import GeneticMoves, Population, evolve
from pruning.search.reply import pair_in, rates_in, without_echo
from pruning.search.space import RateSpace, Vector

T = TypeVar("T")

ROUNDED = 0.0051
"""Moving a rate by less to get the mean right is rounding to the two digits that a question shows;
by more, the reply was mended."""


@dataclass(slots=True)
class Replies:
    """What became of a model's replies.

    Attributes:
        taken: Used as they were.
        mended: Rates whose mean was off, which were moved.
        repeated: Rates that only said again what the question showed; the genetic move instead.
        invalid: Not the list that was asked for; the genetic move instead.
        unanswered: No reply; the genetic move instead.
    """

    taken: int = 0
    mended: int = 0
    repeated: int = 0
    invalid: int = 0
    unanswered: int = 0

    @property
    def moves(self) -> int:
        return self.used + self.repeated + self.invalid + self.unanswered

    @property
    def used(self) -> int:
        """Moves that the model made."""
        return self.taken + self.mended

    @property
    def sentence(self) -> str:
        """Say how much of the search was the model's."""
        said = (
            f"{self.moves} questions: {self.taken} replies taken, {self.mended} mended to the "
            f"mean, {self.repeated} only repeated what they were shown, {self.invalid} were no "
            f"valid list, {self.unanswered} never came"
        )
        if not self.used:
            return f"{said}; the language model made no move: this was the genetic algorithm"
        return f"{said}; genetic moves stood in for the last {self.moves - self.used}"


@dataclass(slots=True)
class ChatMoves:
    """Asks for every move, and makes the genetic one where the reply cannot be used.

    Attributes:
        space: Of the vectors.
        ask: Whom; see ``Chat``.
        genetic: What stands in.
        replies: Counts of what became of them.
    """

    space: RateSpace
    ask: Callable[[str], Reply]
    genetic: GeneticMoves
    replies: Replies

    def newcomer(self, population: Population) -> Vector:
        shown = [member.vector for member in population]
        found = self._vector(prompts.newcomer(self.space, population), shown)
        return self.genetic.newcomer(population) if found is None else found

    def parents(self, population: Population) -> tuple[Evaluation, Evaluation]:
        prompt = prompts.parents(self.space, population)
        count = min(prompts.SHOWN, len(population))
        pair = self._reply(prompt, lambda text: pair_in(text, count))
        if pair is None:
            return self.genetic.parents(population)
        self.replies.taken += 1
        return population[pair[0]], population[pair[1]]

    def cross(self, one: Evaluation, other: Evaluation) -> Vector:
        shown = [one.vector, other.vector]
        found = self._vector(prompts.cross(self.space, one, other), shown)
        return self.genetic.cross(one, other) if found is None else found

    def mutate(self, child: Vector, population: Population) -> Vector:
        found = self._vector(prompts.mutate(self.space, child), [child])
        return self.genetic.mutate(child, population) if found is None else found

    def _vector(self, prompt: str, shown: Sequence[Vector]) -> Vector | None:
        """Return the rates of a reply, moved to the mean; None if they are of no use."""
        found = self._reply(prompt, lambda text: rates_in(text, len(self.space.blocks)))
        if found is None:
            return None
        if any(_farthest(found, one) <= ROUNDED for one in shown):
            self.replies.repeated += 1
            return None
        rates = tuple(self.space.project(found).values())
        if _farthest(rates, found) < ROUNDED:
            self.replies.taken += 1
        else:
            self.replies.mended += 1
        return rates

    def _reply(self, prompt: str, read: Callable[[str], T | None]) -> T | None:
        reply = self.ask(prompt)
        if reply.text is None:
            self.replies.unanswered += 1
            return None
        found = read(without_echo(reply.text, prompt))
        self.replies.invalid += found is None
        return found


@dataclass(frozen=True, slots=True)
class SelfPruner:
    """The search.

    Attributes:
        seed: Of the moves that stand in.
        ask: Whom; see ``Chat``.
        replies: Filled while it goes on.
    """

    seed: int
    ask: Callable[[str], Reply]
    replies: Replies = field(default_factory=Replies)

    def __call__(self, space: RateSpace, uniform: Evaluation, evaluations: int) -> Proposals:
        moves = GeneticMoves(space, Random(self.seed))
        return evolve(uniform, ChatMoves(space, self.ask, moves, self.replies))


def _farthest(one: Vector, other: Vector) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))
