"""ATP's search: the step of an arithmetic progression of rates.

Source: ATP (arXiv 2502.14770), whose code tries the steps .002, .004, ... up to the end of the
legal range, and takes the one with the least perplexity on the test text.
"""

from pruning.rates.progression import arithmetic, steepest
from pruning.search.evaluation import Evaluation, Proposals
from pruning.search.space import RateSpace

PUBLISHED = 0.002
"""The step between steps of its authors' script."""


def published_steps(limit: float) -> tuple[float, ...]:
    """Return .002, .004, ... up to ``limit``: nine of 32 blocks at a ratio of 0.7."""
    return tuple(PUBLISHED * i for i in range(1, int(limit / PUBLISHED + 1e-9) + 1))


def even_steps(limit: float, count: int) -> tuple[float, ...]:
    """Return ``count`` steps evenly spaced over (0, ``limit``], the last of them the limit."""
    return tuple(limit * i / count for i in range(1, count + 1))


def search_steps(space: RateSpace, uniform: Evaluation, evaluations: int) -> Proposals:
    """Propose the published steps where the evaluations suffice for all, else even ones."""
    limit = steepest(space.ratio, space.sizes)
    steps = published_steps(limit)
    for step in steps if 0 < len(steps) <= evaluations else even_steps(limit, evaluations):
        yield tuple(arithmetic(space.ratio, space.sizes, step).values())
