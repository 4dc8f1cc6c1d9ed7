"""Where on a model an adapter is put: a linear layer, whole or factored, by its full name."""

from typing import Any

from torch.nn import Linear

from rankspace.errors import TrialFailed
from tuning.factored.linear import FactoredLinear


def plain_linear(model: Any, name: str) -> Linear:
    """Return the layer that may be wrapped.

    Raises:
        TrialFailed: It is not there, or is no plain linear layer.
    """
    try:
        found = model.get_submodule(name)
    except AttributeError as error:
        raise TrialFailed(f"the model has no module {name}, which has a rank") from error
    if type(found) not in (Linear, FactoredLinear):
        kind = type(found).__name__
        raise TrialFailed(
            f"{name} is a {kind}, where an adapter needs a plain linear layer",
            hint="detach the other adapter first",
        )
    assert isinstance(found, Linear)
    return found


def put(model: Any, name: str, module: Any) -> None:
    """Let ``module`` be what the model has by this name."""
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
