"""What the routers have in common: the runtime, identities in paths, pages."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeAlias, TypeVar

from fastapi import Depends, Path, Query

from service.runtime import Runtime, get_runtime

T = TypeVar("T")
MAX_INTEGER = 2**63 - 1

Service: TypeAlias = Annotated[Runtime, Depends(get_runtime)]
StudyId: TypeAlias = Annotated[str, Path(max_length=20)]
TrialId: TypeAlias = Annotated[int, Path(ge=1, le=MAX_INTEGER)]
Limit: TypeAlias = Annotated[int, Query(ge=1, le=1000)]
After: TypeAlias = Annotated[int, Query(ge=0, le=MAX_INTEGER)]
AfterName: TypeAlias = Annotated[str | None, Query(max_length=200)]


def page(items: Sequence[T], limit: int, cursor: Callable[[T], Any]) -> dict[str, Any]:
    """Cut one item more than ``limit`` into a page; the extra one only says that there is more."""
    shown = items[:limit]
    more = len(items) > limit
    return {"items": list(shown), "next": cursor(shown[-1]) if more else None}


def page_schema(kind: type) -> Any:
    """A class for OpenAPI: a page of ``kind``."""
    fields = [("items", tuple[kind, ...]), ("next", int | str | None)]  # type: ignore[valid-type]
    return dataclasses.make_dataclass(f"{kind.__name__}Page", fields)
