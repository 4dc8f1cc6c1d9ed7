"""cached_property: computed once for each object, and by no lock that other objects wait for.

The standard library's of Python 3.11 holds a lock that all objects of the class share while it
computes: whoever plans a stranger's study of 131,072 ranks for twenty seconds would stop everybody
else's for as long. Two threads that ask one object for the first time may compute the same twice.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

Value = TypeVar("Value")


class cached_property(Generic[Value]):  # noqa: N801  # as the standard library's
    """A method that is called once for an object; what it returned stays in its ``__dict__``."""

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "cached_property[Value]": ...

    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...

    def __get__(self, instance: object, owner: type) -> "cached_property[Value] | Value":
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._compute(instance)
        return value
