"""The exact allocation of a parameter budget: a multiple-choice knapsack.

Method: the Lagrangian dual gives a price per parameter and, for every choice of every layer, how
much it *loses* against the best choice at that price. A vector's distance from the upper bound
is the sum of its losses plus the price of what it leaves unspent, so only vectors whose losses
stay below a limit can be optimal. They are enumerated, layer by layer, with equal weights merged
(dynamic programming by lists, Kellerer, Pferschy & Pisinger 2004, section 11.5), and the limit is
raised until the best vector found lies below it, which proves it optimal. No concavity is needed.
"""

from dataclasses import dataclass

import numpy as np

from perfmodel.arrays import Flags, Floats, Integers
from rankspace import RankVector, SearchSpace
from rankspace.errors import InvalidInput

PRECISION = 1e-12
"""Relative difference in total utility below which two vectors count as equally good; of the
largest utility one layer can gain, if that is more than the total."""

COUNTABLE = 2**62
"""Parameters of the dearest vector from which sums in 64 bits are not safe."""

RAISE = 2.0
"""Growth of the limit when no vector below it was found; small, as states grow exponentially."""

MAX_STATES = 50_000
"""Partial vectors kept per layer. Only adversarial tables (utility proportional to cost, coprime
costs, and no exact fill) reach it; the answer is then feasible and near-optimal but unproved."""


def allocate(space: SearchSpace, utilities: Floats) -> RankVector:
    """Return the vector of ``space`` with the largest sum of utilities within the budget.

    Args:
        space: Layers, costs, ranks, budget; fixed layers keep their rank and their cost.
        utilities: ``(layers, ranks)``, any finite numbers; rows of fixed layers are ignored, and
            columns beyond the ranks that a layer may take.
    """
    return Allocator(space).best(utilities)


def check_countable(space: SearchSpace) -> None:
    """Raise InvalidInput if parameters of ``space`` overflow 64 bits."""
    most = sum(space.choices(i)[-1] * cost for i, cost in enumerate(space.costs))
    if most >= COUNTABLE:
        raise InvalidInput(
            "layers",
            most,
            "the dearest vector has more parameters than can be counted",
            fix="give each layer d_in + d_out as its parameters per rank",
        )


class Allocator:
    """``allocate`` for many utilities on one space.

    Raises:
        InvalidInput: The dearest vector has 2**62 parameters or more.
    """

    def __init__(self, space: SearchSpace) -> None:
        check_countable(space)
        self._space = space
        self._free = space.free_layers
        self._weights = np.array([_prices(space, i) for i in self._free], dtype=np.int64)
        columns = np.arange(len(space.ranks))
        counts = np.array([len(space.choices(i)) for i in self._free], dtype=np.int64)
        self._closed = columns >= counts[:, None]
        self._base = list(space.cheapest().ranks)
        paid = sum(space.price(i, self._base[i]) for i in self._fixed())
        self.capacity = space.max_parameters - paid

    def best(self, utilities: Floats, *, spare: int = 0, tolerance: float = 0.0) -> RankVector:
        """Return the optimum that leaves at least ``spare`` parameters of the budget unused.

        Args:
            utilities: As of ``allocate``.
            spare: Parameters, at least 0.
            tolerance: What the sum of utilities may fall short of the optimum, in units of the
                largest utility one layer can gain; proving the last bit takes longest.
        """
        values = np.where(self._closed, -np.inf, utilities[self._free])
        chosen = solve(values, self._weights, self.capacity - spare, tolerance)
        ranks = list(self._base)
        for layer, choice in zip(self._free, chosen, strict=True):
            ranks[layer] = self._space.table[layer][choice]
        return RankVector(tuple(ranks))

    def _fixed(self) -> list[int]:
        return sorted(set(range(len(self._base))) - set(self._free))


def _prices(space: SearchSpace, layer: int) -> list[int]:
    """Parameters of a layer at each column of the space's ranks."""
    return [space.price(layer, rank) for rank in space.table[layer]]


def solve(values: Floats, weights: Integers, capacity: int, tolerance: float = 0.0) -> Integers:
    """Choose one column per row: largest sum of ``values`` with sum of ``weights <= capacity``.

    Args:
        values: ``(n, choices)``; minus infinity where a row has no such choice, never in the first
            column.
        weights: ``(n, choices)``, strictly increasing along each row as far as there are choices.
        capacity: At least the sum of the first column.
        tolerance: Loss that counts as none, in units of the largest difference within a row.

    Returns:
        Column of each row, ``(n,)``.
    """
    if not len(values):
        return np.zeros(0, dtype=np.int64)
    values = values - values[:, :1]
    values = values / (float(np.abs(values[np.isfinite(values)]).max()) or 1.0)
    price, start = _price(values, weights, capacity)
    if price == 0.0:
        worthless = values >= values.max(axis=1, keepdims=True) - PRECISION
        return _fill(start, worthless, weights, capacity)
    core = _Core.around(values, weights, price, start, capacity)
    limit = core.first_limit()
    while True:
        distance, chosen = core.search(limit, tolerance)
        if distance <= max(limit, tolerance):
            return chosen
        limit = min(RAISE * limit, distance)


def _price(values: Floats, weights: Integers, capacity: int) -> tuple[float, Integers]:
    """Minimise the dual over the price; return it with a feasible choice optimal at it.

    Each step moves to the price where the best known too-heavy and the best known feasible choice
    tie; the dual is piecewise linear and convex, so this ends at its exact minimum.
    """
    rows = np.arange(len(values))

    def totals(chosen: Integers) -> tuple[float, int]:
        return float(values[rows, chosen].sum()), int(weights[rows, chosen].sum())

    heavy = np.argmax(values, axis=1)
    light = np.zeros(len(values), dtype=np.int64)
    if totals(heavy)[1] <= capacity:
        return 0.0, heavy
    while True:
        (heavy_value, heavy_weight), (light_value, light_weight) = totals(heavy), totals(light)
        price = (heavy_value - light_value) / (heavy_weight - light_weight)
        chosen = np.argmax(values - price * weights, axis=1)
        value, weight = totals(chosen)
        gained = (value - price * weight) - (light_value - price * light_weight)
        if gained <= PRECISION * max(1.0, abs(value)) or weight in (light_weight, heavy_weight):
            return max(price, np.finfo(float).tiny), light
        if weight > capacity:
            heavy = chosen
        else:
            light = chosen


def _fill(base: Integers, tied: Flags, weights: Integers, capacity: int) -> Integers:
    """Use up capacity with choices as good as ``base`` at the price, evenly: pooled layers tie.

    This alone keeps layers that the utilities do not tell apart from being told apart by their
    order, and buys worthless ranks too, as far as the budget goes.
    """
    filled, taken = base.copy(), weights[np.arange(len(base)), base].tolist()
    slack = capacity - sum(taken)
    further = tied & (np.arange(weights.shape[1]) > base[:, None])
    columns = {row: np.flatnonzero(further[row]) for row in np.flatnonzero(further.any(axis=1))}
    for turn in range(weights.shape[1] - 1):
        for row, better in columns.items():
            if turn < len(better):
                more = int(weights[row, better[turn]]) - taken[row]
                if more <= slack:
                    slack -= more
                    taken[row] += more
                    filled[row] = better[turn]
    return filled


@dataclass(frozen=True)
class _Core:
    """The knapsack seen from its Lagrangian optimum; rows ordered by their cheapest deviation.

    Attributes:
        order: Original row of each row here, ``(n,)``.
        base: Column the Lagrangian optimum takes in each original row, ``(n,)``.
        losses: Utility lost at ``price`` by each choice, ``(n, choices)``, 0 at ``base``.
        moves: Weight of each choice minus that of ``base``, ``(n, choices)``.
        cheapest: Smallest loss of leaving ``base`` in each row, ``(n,)``, ascending.
        slack: Capacity the Lagrangian optimum leaves that some set of moves could fill.
        price: Utility per unit of weight.
        done: Distance from the bound that counts as none.
    """

    order: Integers
    base: Integers
    losses: Floats
    moves: Integers
    cheapest: Floats
    slack: int
    price: float
    done: float

    @classmethod
    def around(
        cls, values: Floats, weights: Integers, price: float, base: Integers, capacity: int
    ) -> "_Core":
        rows = np.arange(len(values))
        done = PRECISION * float(np.abs(values[rows, base]).sum())
        reduced = values - price * weights
        losses = np.maximum(reduced[rows, base][:, None] - reduced, 0.0)
        base = _fill(base, losses <= done, weights, capacity)
        away = losses.copy()
        away[rows, base] = np.inf
        order = np.argsort(away.min(axis=1), kind="stable")
        moves = weights - weights[rows, base][:, None]
        slack = capacity - int(weights[rows, base].sum())
        slack -= slack % max(1, int(np.gcd.reduce(moves, axis=None)))
        cheapest = away.min(axis=1)[order]
        return cls(order, base, losses[order], moves[order], cheapest, slack, price, done)

    def first_limit(self) -> float:
        """Guess how far from the bound the optimum is: a sliver of what one step is worth."""
        step = float(np.abs(self.moves[self.moves != 0]).min(initial=COUNTABLE))
        return min(self.price * self.slack, 0.002 * self.price * step) + self.done

    def search(self, limit: float, tolerance: float) -> tuple[float, Integers]:
        """Return the best choice found and its distance from the bound.

        It is the optimum if that distance is at most ``limit``; the search ends as soon as one is
        within ``tolerance``.
        """
        trail = [_Frontier.start()]
        best, best_at = self.price * self.slack, (0, 0)
        rows = int(np.searchsorted(self.cheapest, limit, side="right"))
        reach = self._reach(rows, limit)
        for row in range(rows):
            if best <= max(self.done, tolerance) or not len(trail[-1].moved):
                break
            bound = min(limit, best)
            columns = np.flatnonzero(self.losses[row] <= bound)
            frontier = trail[-1].extend(self.losses[row], self.moves[row], columns, bound)
            trail.append(frontier.within(self.slack, reach[row + 1], bound, self.price))
            distance, at = trail[-1].nearest(self.slack, self.price)
            if distance < best:
                best, best_at = distance, (row + 1, at)
        return best, self._unwind(trail, best_at)

    def _reach(self, rows: int, limit: float) -> Integers:
        """Smallest and largest move that is left after each of ``rows`` rows, ``(rows + 1, 2)``."""
        moves = np.where(self.losses[:rows] <= limit, self.moves[:rows], 0)
        ends = np.zeros((rows + 1, 2), dtype=np.int64)
        ends[:-1, 0] = np.cumsum(moves.min(axis=1)[::-1])[::-1]
        ends[:-1, 1] = np.cumsum(moves.max(axis=1)[::-1])[::-1]
        return ends

    def _unwind(self, trail: "list[_Frontier]", at: tuple[int, int]) -> Integers:
        chosen = self.base.copy()
        stage, state = at
        for row in range(stage - 1, -1, -1):
            frontier = trail[row + 1]
            chosen[self.order[row]] = frontier.columns[state]
            state = int(frontier.parents[state])
        return chosen


@dataclass(frozen=True)
class _Frontier:
    """Partial vectors worth keeping: net move, loss, the last column taken, the state before."""

    moved: Integers
    lost: Floats
    columns: Integers
    parents: Integers

    @classmethod
    def start(cls) -> "_Frontier":
        zero = np.zeros(1, dtype=np.int64)
        return cls(zero, np.zeros(1), zero, zero)

    def extend(
        self, losses: Floats, moves: Integers, columns: Integers, limit: float
    ) -> "_Frontier":
        """Take each of ``columns`` from each state; of equal weights keep the least lossy."""
        moved = (self.moved[:, None] + moves[columns]).ravel()
        lost = (self.lost[:, None] + losses[columns]).ravel()
        kept = np.flatnonzero(lost <= limit)
        kept = kept[np.lexsort((lost[kept], moved[kept]))]
        first = np.ones(len(kept), dtype=np.bool_)
        first[1:] = moved[kept[1:]] != moved[kept[:-1]]
        kept = kept[first]
        return _Frontier(
            moved[kept], lost[kept], columns[kept % len(columns)], kept // len(columns)
        )

    def within(self, slack: int, reach: Integers, limit: float, price: float) -> "_Frontier":
        """Drop states that can no longer end inside the budget and close enough to it."""
        fits = self.moved + reach[0] <= slack
        fills = price * (slack - self.moved - reach[1]) + self.lost <= limit
        kept = np.flatnonzero(fits & fills)
        if len(kept) > MAX_STATES:
            kept = np.sort(kept[np.argsort(self.lost[kept], kind="stable")[:MAX_STATES]])
        return _Frontier(self.moved[kept], self.lost[kept], self.columns[kept], self.parents[kept])

    def nearest(self, slack: int, price: float) -> tuple[float, int]:
        """Return the distance from the bound, and the state, best if all further rows stay."""
        if not len(self.moved):
            return np.inf, 0
        gap = np.where(self.moved <= slack, self.lost + price * (slack - self.moved), np.inf)
        at = int(np.argmin(gap))
        return float(gap[at]), at
