"""Search spaces of every shape."""

from collections.abc import Callable
from dataclasses import replace

from rankspace import Layer, Part, SearchSpace

KINDS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def grid(
    blocks: int, ranks: tuple[int, ...], rank: int, fixed: dict[str, int] | None = None
) -> SearchSpace:
    layers = tuple(
        Layer(f"{block}.{kind}", 300 + 17 * block + 200 * (position > 3), block, kind)
        for block in range(blocks)
        for position, kind in enumerate(KINDS)
    )
    budget = rank * sum(layer.parameters_per_rank for layer in layers)
    return SearchSpace(layers, ranks, budget, fixed or {})


def full(space: SearchSpace) -> SearchSpace:
    """The same with every third layer unable to use all ranks, the last of them not even two."""
    parts = {}
    for at, layer in enumerate(space.layers[::3]):
        cost, half = layer.parameters_per_rank, layer.parameters_per_rank // 2
        wide = Part(f"{layer.name}.wide", cost - half, 1 + (at + 2) % 3)
        thin = Part(f"{layer.name}.thin", half, 1)
        parts[layer.name] = (wide, thin)
    return replace(space, parts=parts)


def nameless(count: int, ranks: tuple[int, ...], budget: int) -> SearchSpace:
    return SearchSpace(tuple(Layer(f"{i}", 3 + i % 5) for i in range(count)), ranks, budget)


SPACES: dict[str, Callable[[], SearchSpace]] = {
    "blocks and kinds": lambda: grid(3, (0, 1, 2, 4), 2),
    "tight": lambda: grid(2, (0, 1, 2), 1),
    "no rank 0": lambda: grid(2, (2, 4, 6, 8), 4),
    "fixed layers": lambda: grid(2, (0, 2, 4), 2, {"0.q_proj": 3, "1.down_proj": 0}),
    "all fixed": lambda: SearchSpace((Layer("a", 7),), (0, 2), 70, {"a": 5}),
    "one layer": lambda: nameless(1, (0, 1, 2, 4), 9),
    "one rank": lambda: nameless(4, (2,), 60),
    "one vector fits": lambda: nameless(4, (1, 2), 18),
    "no names": lambda: nameless(12, (0, 1, 3), 60),
    "full matrices": lambda: full(grid(2, (0, 1, 2, 4), 2, {"0.q_proj": 1})),
    "whole blocks": lambda: SearchSpace(
        tuple(Layer(f"model.layers.{i}", 50 + i, block=i) for i in range(8)), (0, 2, 4), 900
    ),
}


TINY: dict[str, SearchSpace] = {
    "two layers": SearchSpace((Layer("a", 1), Layer("b", 1)), (0, 1), 2),
    "tight budget": nameless(4, (0, 1, 2), 21),
    "loose budget": nameless(4, (0, 1, 2), 99),
    "coprime costs": SearchSpace((Layer("a", 7), Layer("b", 11)), (0, 1, 2, 4), 50),
    "one vector": nameless(4, (2,), 60),
    "full": full(nameless(4, (0, 2, 4), 20)),
    "fixed": SearchSpace((Layer("a", 1), Layer("b", 1)), (0, 1, 2), 5, {"b": 3}),
}
