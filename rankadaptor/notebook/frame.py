"""A study's trials as a pandas DataFrame."""

from array import array
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rankspace import SearchSpace
from rankspace.errors import InvalidInput, UnsupportedVersion

if TYPE_CHECKING:
    import pandas as pd

FIELDS = (
    *("id", "purpose", "state", "offer", "score", "steps", "mean", "std", "parameters", "seed"),
    *("split", "worker", "seconds", "reason", "error", "created_at", "started_at", "finished_at"),
)
"""Columns before the ranks; ``id`` is the index."""
TIMES = ("created_at", "started_at", "finished_at")
MEASURED = ("score", "steps", "mean", "std", "seconds")
"""Numbers that not every trial has; NaN where there is none, also where no trial has one."""


def trials_frame(trials: Iterable[Mapping[str, Any]], space: SearchSpace) -> "pd.DataFrame":
    """Return a row per trial, with a column of int32 per layer, named as the layer.

    A layer that is named as one of ``FIELDS`` has ``layer `` before its name.

    Each trial is let go once it is read: of a vector its ranks are kept, four bytes each.

    Args:
        trials: As the service lists them.
        space: Where the vectors lie.

    Raises:
        InvalidInput: There is no pandas here.
        UnsupportedVersion: The service lists them otherwise.
    """
    pandas = _pandas()
    width, ranks = len(space.layers), array("i")
    columns: dict[str, list[Any]] = {field: [] for field in FIELDS}
    for trial in trials:
        _check(trial, width)
        ranks.extend(trial["rank_vector"])
        for field, column in columns.items():
            column.append(trial.get(field))
        columns["steps"][-1] = (trial.get("measurement") or {}).get("steps")
    frame = pandas.DataFrame(columns)
    for name in TIMES:
        frame[name] = pandas.to_datetime(frame[name], utc=True, format="ISO8601")
    frame = frame.astype(dict.fromkeys(MEASURED, "float64"))
    names = [f"layer {one.name}" if one.name in FIELDS else one.name for one in space.layers]
    return pandas.concat([frame, _table(ranks, names)], axis=1).set_index("id")


def _table(ranks: "array[int]", names: list[str]) -> "pd.DataFrame":
    import numpy as np
    import pandas as pd

    table = np.frombuffer(ranks, dtype=np.int32) if ranks else np.empty(0, np.int32)
    return pd.DataFrame(table.reshape(-1, len(names)), columns=names)


def _check(trial: Mapping[str, Any], width: int) -> None:
    ranks = trial.get("rank_vector")
    if not isinstance(ranks, list) or len(ranks) != width or not all(map(_is_rank, ranks)):
        raise UnsupportedVersion(
            f"trial {trial.get('id')} is listed without a rank for each of {width} layers",
            hint="install the version of rankadaptor that the service has",
        )


def _is_rank(rank: object) -> bool:
    return isinstance(rank, int) and 0 <= rank < 2**31


def _pandas() -> Any:
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        fix = "pip install 'rankadaptor[notebook]', or use study.trials()"
        raise InvalidInput("trials_frame", "pandas", "is not installed here", fix=fix) from error
    return pd
