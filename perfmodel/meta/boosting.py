"""Boosted trees, and nothing of XGBoost that another room would have to know.

XGBoost is imported when trees are grown or asked, not before: a service without a prior, and the
command line, start without it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfmodel.arrays import Floats
from rankspace.cached import cached_property
from rankspace.errors import InvalidInput


@dataclass(frozen=True)
class Stage:
    """How a batch of trees is grown: few, shallow and slow, because finished studies are few.

    Attributes:
        columns: Indices of the features it may split on.
        trees: Boosting rounds.
        depth: Of a tree.
        rate: Shrinkage of each.
        ridge: L2 penalty on the leaves' values.
        least_weight: Sum of weights a leaf must have.
    """

    columns: tuple[int, ...]
    trees: int
    depth: int
    rate: float
    ridge: float
    least_weight: float

    def parameters(self) -> dict[str, Any]:
        """XGBoost's names for them."""
        return {
            "objective": "reg:squarederror",
            "tree_method": "exact",
            "base_score": 0.0,
            "max_depth": self.depth,
            "eta": self.rate,
            "reg_lambda": self.ridge,
            "min_child_weight": self.least_weight,
            "nthread": 1,
            "seed": 0,
        }


@dataclass(frozen=True)
class Trees:
    """A grown ensemble in XGBoost's own JSON."""

    document: Mapping[str, Any]

    @cached_property
    def _booster(self) -> Any:
        import xgboost  # noqa: PLC0415

        try:
            return xgboost.Booster({"nthread": 1}, model_file=bytearray(self.to_json()))
        except (xgboost.core.XGBoostError, ValueError) as error:
            problem = str(error).strip().splitlines()[0]
            raise InvalidInput("trees", "…", problem, fix="train the prior anew") from None

    def to_json(self) -> bytes:
        return json.dumps(self.document, separators=(",", ":")).encode()

    def predict(self, rows: Floats) -> Floats:
        """One number per row of ``(n, features)``; the same on every call.

        Raises:
            InvalidInput: The trees are damaged, or were grown on another number of features.
        """
        import xgboost  # noqa: PLC0415

        known = self._booster.num_features()
        if rows.shape[1] != known:
            raise InvalidInput(
                "features", rows.shape[1], f"the trees know {known}", fix="train the prior anew"
            )
        return np.asarray(self._booster.predict(xgboost.DMatrix(rows, nthread=1)), np.float64)

    def gains(self, names: Sequence[str]) -> dict[str, float]:
        """Share of the explained sum of squares by feature, largest first; 0 ones left out."""
        raw = self._booster.get_score(importance_type="total_gain")
        total = sum(raw.values()) or 1.0
        shares = {names[int(key[1:])]: value / total for key, value in raw.items()}
        return dict(sorted(shares.items(), key=lambda item: -item[1]))


def grow(rows: Floats, values: Floats, weights: Floats, stages: Sequence[Stage]) -> Trees:
    """Fit trees to ``values`` ``(n,)`` on ``rows`` ``(n, features)``; NaN features are allowed.

    Each stage fits what the ones before left over, on its own columns.
    """
    import xgboost  # noqa: PLC0415

    booster = None
    for stage in stages:
        shown = np.zeros_like(rows)
        shown[:, list(stage.columns)] = rows[:, list(stage.columns)]
        data = xgboost.DMatrix(shown, values, weight=weights, nthread=1)
        booster = xgboost.train(stage.parameters(), data, stage.trees, xgb_model=booster)
    assert booster is not None, "no stage"
    return Trees(json.loads(bytes(booster.save_raw("json"))))


def library_version() -> str:
    """Version of XGBoost, for the record."""
    import xgboost  # noqa: PLC0415

    return str(xgboost.__version__)
