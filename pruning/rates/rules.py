"""RateRule: how the overall ratio is shared out among the blocks."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

from pruning.rates.exponent_mapping import by_exponent
from pruning.rates.importance_mapping import by_importance
from pruning.rates.progression import arithmetic, linear
from pruning.rates.rates import TOLERANCE, Rates, Sizes, overall
from pruning.rates.redundancy_mapping import by_redundancy, published_delta
from rankspace.errors import InvalidInput

SPREAD = 0.3
"""AlphaPruning's epsilon in its authors' example."""

SLOPE = 1.0
"""CFSP's ``a`` in its authors' code."""
MOST_SLOPE = 50.0
"""Exponents beyond some hundred are no numbers; at this one shares are 0 and 1 long since."""


@dataclass(frozen=True, slots=True)
class Uniform:
    """Every block loses the same share."""

    @property
    def label(self) -> str:
        return "uniform"

    def rates(self, ratio: float, sizes: Sizes) -> Rates:
        return dict.fromkeys(sorted(sizes), ratio)


UNIFORM = Uniform()


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """ATP: each block loses ``step`` more than the one before."""

    step: float

    @property
    def label(self) -> str:
        return f"atp:{self.step:g}"

    def rates(self, ratio: float, sizes: Sizes) -> Rates:
        return arithmetic(ratio, sizes, self.step)


@dataclass(frozen=True, slots=True)
class DepthLinear:
    """A line in depth from ``first``, the rate of the first block that is cut."""

    first: float

    @property
    def label(self) -> str:
        return f"depth-linear:{self.first:g}"

    def rates(self, ratio: float, sizes: Sizes) -> Rates:
        return linear(ratio, sizes, self.first)


@dataclass(frozen=True, slots=True)
class AlphaPruning:
    """By the exponents of the blocks' spectra; their rates differ by ``spread`` up and down."""

    spread: float = SPREAD

    def __post_init__(self) -> None:
        if not 0.0 < self.spread < 1.0:
            problem, fix = "must lie between 0 and 1", f"use {SPREAD:g}, as its authors do"
            raise InvalidInput("rates", self.label, problem, fix=fix)

    @property
    def label(self) -> str:
        return f"alpha-pruning:{self.spread:g}"

    def rates(self, ratio: float, sizes: Sizes, exponents: Mapping[int, float]) -> Rates:
        return by_exponent(ratio, sizes, exponents, self.spread)


@dataclass(frozen=True, slots=True)
class Rmi:
    """LoSA: more of the blocks that are most like the others, by ``delta`` up and down.

    Attributes:
        delta: How far a rate is from the ratio; None for what its authors take at the ratio.
    """

    delta: float | None = None

    def __post_init__(self) -> None:
        if self.delta is not None and not 0.0 < self.delta < 1.0:
            problem, fix = "must lie between 0 and 1", "leave the number out, as its authors do"
            raise InvalidInput("rates", self.label, problem, fix=fix)

    @property
    def label(self) -> str:
        return "rmi" if self.delta is None else f"rmi:{self.delta:g}"

    def rates(self, ratio: float, sizes: Sizes, redundancies: Mapping[int, float]) -> Rates:
        delta = published_delta(ratio) if self.delta is None else self.delta
        return by_redundancy(ratio, sizes, redundancies, delta)


@dataclass(frozen=True, slots=True)
class Cfsp:
    """CFSP: less of the blocks that turn most what they are fed.

    Attributes:
        slope: Of its sigmoid: the larger, the farther apart are the rates.
    """

    slope: float = SLOPE

    def __post_init__(self) -> None:
        if not 0.0 < self.slope <= MOST_SLOPE:
            problem = f"must lie between 0 and {MOST_SLOPE:g}"
            fix = f"use {SLOPE:g}, as its authors do"
            raise InvalidInput("rates", self.label, problem, fix=fix)

    @property
    def label(self) -> str:
        return f"cfsp:{self.slope:g}"

    def rates(self, ratio: float, sizes: Sizes, distances: Mapping[int, float]) -> Rates:
        return by_importance(ratio, sizes, distances, self.slope)


@dataclass(frozen=True, slots=True)
class Given:
    """Rates from a file, or from a program; the overall ratio follows from them.

    Attributes:
        given: The rates.
        origin: What the search says of itself that found them; empty if none did.
    """

    given: Rates
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return "search" if self.origin else "given"

    def rates(self, ratio: float, sizes: Sizes) -> Rates:
        """Hold the rates against blocks and ratio.

        Raises:
            InvalidInput: A block has no rate, a rate no block, or they come to another ratio.
        """
        for index in sorted(set(sizes) - set(self.given)):
            raise InvalidInput(
                f"rates.{index}", None, "is missing: the block is to be cut", fix="write its rate"
            )
        for index in sorted(set(self.given) - set(sizes)):
            problem = "belongs to no block that is to be cut"
            fix = "leave it out, or name the block among those to cut"
            raise InvalidInput(f"rates.{index}", self.given[index], problem, fix=fix)
        found = overall(self.given, sizes)
        if not math.isclose(found, ratio, abs_tol=TOLERANCE):
            problem = f"is not what the rates come to, which is {found:.6g}"
            raise InvalidInput("ratio", ratio, problem, fix="leave it out: the rates say it")
        return dict(sorted(self.given.items()))


RateRule: TypeAlias = Uniform | Arithmetic | DepthLinear | AlphaPruning | Rmi | Cfsp | Given


def _uniform(value: float | None) -> RateRule:
    if value is not None:
        raise InvalidInput("rates", f"uniform:{value:g}", "takes no number", fix="write uniform")
    return UNIFORM


def _arithmetic(value: float | None) -> RateRule:
    if value is None:
        problem = "needs the step from block to block"
        raise InvalidInput("rates", "atp", problem, fix="write it like atp:0.004")
    return Arithmetic(value)


def _depth_linear(value: float | None) -> RateRule:
    if value is None:
        problem = "needs the rate of the first block"
        raise InvalidInput("rates", "depth-linear", problem, fix="write it like depth-linear:0.1")
    return DepthLinear(value)


def _alpha_pruning(value: float | None) -> RateRule:
    return AlphaPruning(SPREAD if value is None else value)


def _cfsp(value: float | None) -> RateRule:
    return Cfsp(SLOPE if value is None else value)


RULES: Mapping[str, Callable[[float | None], RateRule]] = MappingProxyType(
    {
        "uniform": _uniform,
        "atp": _arithmetic,
        "depth-linear": _depth_linear,
        "alpha-pruning": _alpha_pruning,
        "rmi": Rmi,
        "cfsp": _cfsp,
    }
)
"""All rules that a name, or a name and a number, stands for."""


def parse_rule(text: str) -> RateRule | None:
    """Return the rule that ``NAME`` or ``NAME:NUMBER`` stands for; None if it names none.

    Raises:
        InvalidInput: What stands behind the name is no number, or not one that the rule takes.
    """
    name, colon, behind = text.partition(":")
    if name not in RULES:
        return None
    try:
        value = float(behind) if colon else None
    except ValueError:
        value = math.nan
    if value is not None and not math.isfinite(value):
        raise InvalidInput("rates", text, "ends in no number", fix=f"write it like {name}:0.1")
    return RULES[name](value)
