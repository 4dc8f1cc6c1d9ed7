"""The pruned-model container: read, checked, described without torch; loaded and written with it.

``load`` and ``write`` are what people import from here, the snippet in every exported adapter's
README first of all. They arrive when asked for: ``describe`` works on a machine without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pruning.container.container import load, write

__all__ = ["load", "write"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from pruning.container import container  # noqa: PLC0415  # torch

        return getattr(container, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
