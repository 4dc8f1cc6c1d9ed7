"""Reading a pickled module as data: nothing that the pickle names is looked up, or called.

A pickle is a program for a small machine that names functions and calls them. ``pickletools``
tells its instructions; of those, ``torch.save`` uses the few that are carried out here. Where one
calls something, what comes of it is a note of the name and the arguments; no function of torch or
of any other package takes part, and no setting of torch counts.
"""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Values = tuple[Any, ...]


class Malformed(ValueError):
    """The file is not what ``torch.save`` writes of a model; the message says in which way."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Global:
    """A name, where a pickle would import what bears it."""

    name: str


@dataclass(slots=True, eq=False, repr=False)
class Inert:
    """Stands for an object of a class that is not looked for: what it was given, no methods."""

    name: str
    arguments: Values
    state: Any = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Storage:
    """Where the numbers of tensors lie: the record ``data/KEY`` of the file, and their type."""

    kind: str
    key: Any


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class View:
    """A tensor before it is one: unchecked numbers of how it lies in its storage."""

    storage: Any
    offset: Any
    size: Any
    stride: Any


SMALL = 2**31
"""Integers below may be keys; Python hashes all multiples of 2**61 - 1 to the same place."""


def names_in(program: bytes) -> list[str]:
    """Return the dotted names that a pickle would import, sorted; nothing is carried out."""
    found = {_dotted(arg) for op, arg, _ in pickletools.genops(program) if op.name == "GLOBAL"}
    return sorted(found)


def read_inert(program: bytes) -> Any:
    """Return what a pickle describes, of dicts, lists, plain values and the classes above.

    Raises:
        Malformed: It has instructions that ``torch.save`` does not write.
        Exception: It ends early, or takes from an empty stack.
    """
    machine = _Machine(len(program))
    for op, argument, _ in pickletools.genops(program):
        if op.name == "STOP":
            return machine.stack.pop()
        machine.carry_out(op.name, argument)
    raise Malformed("it has no end")


class _Machine:
    """Carries out instructions.

    Args:
        room: Bytes of all texts that are encoded; torch writes each one once.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def carry_out(self, name: str, argument: Any) -> None:
        if name in _PUSHED:
            self.stack.append(argument)
        elif name in _MADE:
            self.stack.append(_MADE[name]())
        elif name in _TUPLES:
            count = _TUPLES[name]
            values = [self.stack.pop() for _ in range(count)]
            self.stack.append(tuple(reversed(values)))
        elif name in _INSTRUCTIONS:
            _INSTRUCTIONS[name](self, argument)
        else:
            raise Malformed(f"its instruction {name} is none of torch.save")

    def mark(self, _argument: Any) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        values, self.stack = self.stack, self.marked.pop()
        return values

    def tuple_(self, _argument: Any) -> None:
        values = self.since_mark()
        self.stack.append(tuple(values))

    def put(self, place: Any) -> None:
        self.memo[place] = self.stack[-1]

    def get(self, place: Any) -> None:
        self.stack.append(self.memo[place])

    def global_(self, argument: Any) -> None:
        self.stack.append(Global(_dotted(argument)))

    def append(self, _argument: Any) -> None:
        value = self.stack.pop()
        self._extend([value])

    def appends(self, _argument: Any) -> None:
        self._extend(self.since_mark())

    def _extend(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise Malformed("it appends to what is no list")
        self.stack[-1].extend(values)

    def set_item(self, _argument: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._update([key, value])

    def set_items(self, _argument: Any) -> None:
        self._update(self.since_mark())

    def _update(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not dict:
            raise Malformed("it sets an item of what is no dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            self.stack[-1][_key(key)] = value

    def call(self, _argument: Any) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        made = _made(called, arguments)
        self.room -= len(made) if type(made) is bytes else 0
        if self.room < 0:
            raise Malformed("it encodes a text more than once")
        self.stack.append(made)

    def build(self, _argument: Any) -> None:
        state, made = self.stack.pop(), self.stack[-1]
        if isinstance(made, Inert):
            made.state = state
        elif type(made) is not dict:  # attributes of an OrderedDict say nothing of weights
            raise Malformed("it gives a state to what has none")

    def storage(self, _argument: Any) -> None:
        told = self.stack.pop()
        if type(told) is not tuple or len(told) != 5 or not isinstance(told[1], Global):
            raise Malformed("it refers to what is no storage")
        self.stack.append(Storage(told[1].name, told[2]))


_PUSHED = frozenset(
    {"BININT", "BININT1", "BININT2", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING", "LONG1"}
)
_MADE: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_INSTRUCTIONS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda _machine, _argument: None,
    "MARK": _Machine.mark,
    "TUPLE": _Machine.tuple_,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "GLOBAL": _Machine.global_,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.storage,
}


def _dotted(argument: Any) -> str:
    return ".".join(str(argument).split(" ", 1))


def _key(key: Any) -> Any:
    """A key that is hashed at once, and to a place of its own: long tuples and ints are not."""
    is_plain = type(key) in {str, float, bool, type(None)}
    if not is_plain and not (type(key) is int and abs(key) < SMALL):
        raise Malformed("a key of a dict in it is no plain value")
    return key


def _made(called: Any, arguments: Any) -> Any:
    """Note a call, or, of the four that make containers of numbers, what it would make."""
    if not isinstance(called, Global) or type(arguments) is not tuple:
        raise Malformed("it calls what it does not name")
    match called.name, arguments:
        case "collections.OrderedDict", ():
            return {}
        case "_codecs.encode", (str() as text, "latin1"):
            return text.encode("latin1")
        case "torch._utils._rebuild_tensor_v2", (Storage() as storage, offset, size, stride, *more):
            if len(more) > 2 and more[2]:
                raise Malformed("a tensor in it is negated or conjugated")
            return View(storage, offset, size, stride)
        case (
            "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state",
            (View() as view, *_),
        ):
            return view
        case (
            "torch._tensor._rebuild_from_type_v2",
            (Global() as function, Global(name="torch.Tensor"), tuple() as given, _),
        ) if function.name == "torch._utils._rebuild_tensor_v2":
            return _made(function, given)
    return Inert(called.name, arguments)
