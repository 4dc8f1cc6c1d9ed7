"""Damage against allocated rank, layer by layer: does a vector spend where pruning hurt?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.evidence.rank_correlation import spearman
from rankspace import RankVector, SearchSpace
from rankspace.layer_profile import LayerProfile
from service.web.pages.charts.axis import Axis

WIDTH, HEIGHT = 980.0, 320.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 16.0, 26.0, 38.0
FEW = 5
"""Layers below which no correlation is told."""

TOLD = 0.2
"""Size of a correlation below which the order of the two says next to nothing."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure of what pruning did to a layer, larger where it did more.

    Attributes:
        title: What the axis says.
        of: Reads it off a profile; None where nobody measured it.
    """

    title: str
    of: Callable[[LayerProfile], float | None]


MEASURES: Mapping[str, Measure] = {
    "error": Measure(
        "relative error of the block's output", lambda profile: profile.reconstruction_error
    ),
    "removed": Measure("share of the matrix that is gone", lambda profile: 1.0 - profile.kept),
    "gradient": Measure("gradient of the loss, relative to the weight", lambda p: p.gradient_norm),
}


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer: what pruning did to it, what it was given, where that is drawn, and its caption."""

    name: str
    kind: str
    damage: float
    rank: int
    x: float
    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Kind:
    """Layers of a kind: how many, their mean damage and their mean rank."""

    name: str
    layers: int
    damage: float
    rank: float


@dataclass(frozen=True, slots=True)
class Spending:
    """Attributes: layers, kinds, Spearman's correlation or None, what that says, and ticks."""

    layers: tuple[Layer, ...]
    kinds: tuple[Kind, ...]
    correlation: float | None
    summary: str
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]


def measured(profiles: Sequence[LayerProfile]) -> tuple[str, ...]:
    """Names of the measures that are known of all ``profiles`` and differ among them."""
    return tuple(
        name
        for name, measure in MEASURES.items()
        if len({measure.of(profile) for profile in profiles} - {None}) > 1
        and all(measure.of(profile) is not None for profile in profiles)
    )


def spending(
    vector: RankVector, space: SearchSpace, profiles: Sequence[LayerProfile], name: str
) -> Spending:
    """Plot the rank of each layer over its damage.

    Args:
        vector: What is spent.
        space: Of the layers.
        profiles: One for each of them.
        name: One of ``measured``.
    """
    damages = [float(MEASURES[name].of(profile) or 0.0) for profile in profiles]
    x = Axis.around(damages, LEFT, WIDTH - RIGHT)
    y = Axis.around([*map(float, vector.ranks)], HEIGHT - BOTTOM, TOP)
    layers = tuple(
        Layer(
            name=layer.name,
            kind=layer.module or "block",
            damage=damage,
            rank=rank,
            x=x.position(damage),
            y=y.position(rank),
            label=f"{layer.name}: {damage:.3g}, rank {rank}",
        )
        for layer, damage, rank in zip(space.layers, damages, vector.ranks, strict=True)
    )
    found = _correlation(damages, vector.ranks)
    return Spending(
        layers, _kinds(layers), found, _summary(found, len(layers)), x.ticks(6), y.ticks(whole=True)
    )


def _correlation(damages: Sequence[float], ranks: Sequence[int]) -> float | None:
    if len(ranks) < FEW or len(set(damages)) < 2 or len(set(ranks)) < 2:
        return None
    return spearman(np.asarray(damages, float), np.asarray(ranks, float))


def _summary(correlation: float | None, layers: int) -> str:
    if correlation is None:
        return "All layers have the same rank, or too few can be compared: nothing to tell."
    told = f"Spearman {correlation:+.2f} over {layers} layers"
    if correlation >= TOLD:
        return f"Layers that pruning hurt more were given more rank: {told}."
    if correlation <= -TOLD:
        return f"Layers that pruning hurt more were given less rank: {told}."
    return f"Where pruning hurt says next to nothing of where the ranks went: {told}."


def _kinds(layers: Sequence[Layer]) -> tuple[Kind, ...]:
    found: dict[str, list[Layer]] = {}
    for layer in layers:
        found.setdefault(layer.kind, []).append(layer)
    return tuple(
        Kind(
            name,
            len(members),
            sum(one.damage for one in members) / len(members),
            sum(one.rank for one in members) / len(members),
        )
        for name, members in found.items()
    )
