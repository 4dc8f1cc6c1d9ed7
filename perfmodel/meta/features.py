"""Features: a study's layers as rows of numbers that mean the same for small and large models.

Norms are logarithms relative to the study's own layers of the same kind, so that neither the
model's width nor the unit of the loss shows. A value that is not known is NaN, which boosted trees
route by themselves.
"""

from collections.abc import Callable, Mapping

import numpy as np

from perfmodel.arrays import Floats
from perfmodel.meta.curve import mean_rank
from rankspace import Context, LayerProfile, SearchSpace
from rankspace.errors import InvalidInput

KINDS: Mapping[str, tuple[str, ...]] = {
    "query": ("q_proj", "query"),
    "key": ("k_proj", "key"),
    "value": ("v_proj", "value"),
    "attention output": ("o_proj", "out_proj", "dense"),
    "gate": ("gate_proj", "w1"),
    "up": ("up_proj", "fc1", "w3", "dense_h_to_4h"),
    "down": ("down_proj", "fc2", "w2", "dense_4h_to_h"),
}
"""Kinds of matrices and the names architectures give them. A block, or an unknown one, is none."""

LEAST_NORM = 1e-3
"""Values below it are taken for it, before the logarithm: a block that pruning did not reach has
damage 0, which is little damage and not infinitely less."""

Read = Callable[[LayerProfile], float]

NORMS: Mapping[str, Read] = {
    "input norm": lambda profile: profile.input_norm,
    "output norm": lambda profile: profile.output_norm,
    "gradient norm": lambda profile: profile.gradient_norm,
    "damage": lambda profile: _known(profile.reconstruction_error),
}
"""Of the layer's profile."""

LAYER_FEATURES: tuple[str, ...] = (
    "depth",  # block index / last block index
    "kept",  # share of the dense matrix that is left
    "kept here",  # the same minus the study's mean
    "effective rank",  # of the spectrum, minus the mean over layers of its kind
    *NORMS,  # logarithm, minus the mean over layers of its kind
)
"""Columns that tell layers of one kind apart; the comment says what each holds."""

STUDY_FEATURES: tuple[str, ...] = (
    "mean rank",  # log(1 + rank) when the budget is spent evenly
    "study kept",  # mean of ``kept``
    "learning",  # log(steps x peak learning rate); NaN if unknown
)
"""Columns that are the same for all layers of a study: of use for its noise only."""

FEATURES = (*KINDS, *LAYER_FEATURES, *STUDY_FEATURES)
"""All columns, in order; of ``KINDS`` the layer's own is 1 and the others 0."""


def features(space: SearchSpace, context: Context) -> Floats:
    """Describe every layer of ``space``, ``(layers, len(FEATURES))``.

    Raises:
        InvalidInput: ``context`` has no profiles, or not one per layer.
    """
    profiles = context.profiles
    if len(profiles) != len(space.layers):
        raise InvalidInput(
            "context.profiles",
            len(profiles),
            f"there are {len(space.layers)} layers",
            fix="run rankadaptor profile on the model",
        )
    kinds = [kind_of(layer.module) for layer in space.layers]
    columns = {**_of_layers(profiles, kinds), **_of_study(space, context)}
    return np.column_stack([columns[name] for name in FEATURES])


def kind_of(module: str | None) -> str:
    """Kind of a matrix by the name it has in its architecture; empty if unknown, or for a block."""
    return next((kind for kind, names in KINDS.items() if module in names), "")


def _of_layers(profiles: tuple[LayerProfile, ...], kinds: list[str]) -> dict[str, Floats]:
    kept = _column(profiles, lambda profile: profile.kept)
    spectrum = _column(profiles, lambda profile: profile.effective_rank)
    found = {kind: np.array([float(mine == kind) for mine in kinds]) for kind in KINDS}
    found |= {
        "depth": _column(profiles, lambda profile: profile.depth),
        "kept": kept,
        "kept here": kept - kept.mean(),
        "effective rank": _within(spectrum, kinds),
    }
    for name, read in NORMS.items():
        logs = np.log(np.maximum(_column(profiles, read), LEAST_NORM))
        found[name] = _within(logs, kinds)
    return found


def _of_study(space: SearchSpace, context: Context) -> dict[str, Floats]:
    size = len(space.layers)
    learning = context.steps * context.learning_rate
    values = {
        "mean rank": np.log1p(mean_rank(space)),
        "study kept": np.mean([profile.kept for profile in context.profiles]),
        "learning": np.log(learning) if learning > 0.0 else np.nan,
    }
    return {name: np.full(size, float(value)) for name, value in values.items()}


def _column(profiles: tuple[LayerProfile, ...], read: Read) -> Floats:
    return np.array([read(profile) for profile in profiles], dtype=np.float64)


def _within(values: Floats, kinds: list[str]) -> Floats:
    """Subtract from each value the mean over its kind."""
    names = np.array(kinds)
    means = {kind: values[names == kind].mean() for kind in set(kinds)}
    return np.asarray(values - np.array([means[kind] for kind in kinds]))


def _known(value: float | None) -> float:
    return float("nan") if value is None else value
