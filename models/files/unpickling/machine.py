"""The interpreter of pickle instructions (protocols 0 to 5), which calls nothing that the stream names."""

from __future__ import annotations

import codecs
import pickle
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ...errors import BadCheckpoint

MAX_STEPS: Final = 10_000_000
"""Instructions of one file. A checkpoint has some fifty for each tensor."""

MAX_LINE: Final = 4096
"""Bytes of a name or number written as text."""

MAX_KEY: Final = 16
"""Elements of a tuple that is a key."""

MAX_INTEGER: Final = 255
"""Bytes of an integer."""

UNREADABLE: Final = (LookupError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError, struct.error)
"""What instructions that make no sense end in."""

MAX_SPARSE: Final = 2**28
"""Bytes that the sparse tensors of one file may take when they are made whole; a few bytes can stand for many."""

INTEGERS: Final = re.compile(rb"(?:K.|M..){1,4096}", re.DOTALL)
"""Integers of one and of two bytes in a row, as lists of numbered words have them."""

SHORT: Final = 4096
"""Byte strings above this length stay where they are, as a memoryview of the file."""


@dataclass(frozen=True)
class Global:
    """The name of a class or function, and nothing but the name."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Inert:
    """An object of a class that is not rebuilt: what the file says of it, as data.

    cls: its class or the function that would have made it. args, kwargs: what that would have been given. state: its
    attributes, as a rule a dict. items, elements: what it holds if it is a kind of dict or list.
    """

    __slots__ = ("args", "cls", "elements", "items", "kwargs", "state")

    def __init__(self, cls: Global, args: tuple = (), kwargs: dict[str, Any] | None = None) -> None:
        self.cls = cls
        self.args = args
        self.kwargs = kwargs or {}
        self.state: Any = None
        self.items: dict[Any, Any] = {}
        self.elements: list[Any] = []


class Budget:
    """What reading one file may cost, over all the streams in it."""

    def __init__(self, size: int) -> None:
        self.steps = MAX_STEPS
        self.bytes = 2 * size + 2**20
        self.sparse = MAX_SPARSE

    def copy(self, count: int) -> None:
        """Account for bytes that are about to be copied."""
        self.bytes -= count
        if self.bytes < 0:
            raise BadCheckpoint("it unfolds into far more than its own size, as a pickle bomb does; do not use it.")

    def unfold(self, count: int, shape: tuple[int, ...]) -> None:
        """Account for the bytes of a sparse tensor that is about to be made whole."""
        self.sparse -= count
        if self.sparse < 0:
            raise BadCheckpoint(
                f"it holds a sparse tensor of shape {shape}; made whole, its sparse tensors take more than "
                f"{MAX_SPARSE / 1e6:,.0f} MB, which are not read."
            )


class Builder(Protocol):
    """Makes values of what a stream asks for. Implemented in `rebuilding`."""

    def mention(self, module: str, name: str) -> Global: ...

    def call(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any: ...

    def set_state(self, value: Any, state: Any) -> None: ...


def check_key(key: Any) -> Any:
    """The key, unless hashing it could take for ever: a tuple's hash is computed anew at every level and every use."""
    if isinstance(key, tuple) and (len(key) > MAX_KEY or any(isinstance(part, tuple) for part in key)):
        raise BadCheckpoint("it has a long or nested tuple as a key, as no checkpoint does; do not use it.")
    return key


def check_new(key: Any, target: Any) -> None:
    """Of two values of one name the first would be lost without a word; damage to a name can make it another one's."""
    if isinstance(key, str) and key in target:
        raise BadCheckpoint(f"it has its entry {key[:100]!r} twice; it is damaged: download it again.")


class _EndedError(Exception):
    """The stream wants more bytes than there are."""


class Machine:
    """Runs one stream of `data` after the other, each from its own offset."""

    def __init__(self, data: memoryview, builder: Builder, persistent: Callable[[Any], Any], budget: Budget) -> None:
        self.data = data
        self.builder = builder
        self.persistent = persistent
        self.budget = budget

    def run(self, offset: int = 0) -> tuple[Any, int]:
        """The value of the stream that starts at `offset`, and the offset behind it.

        Raises:
            BadCheckpoint: the stream ends early, is none, asks for too much, or names what no checkpoint needs.
        """
        self.position = offset
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        try:
            while (instruction := self.take(1)[0]) != STOP:
                self.budget.steps -= 1
                if self.budget.steps < 0:
                    raise BadCheckpoint(f"it has more than {MAX_STEPS:,} pickle instructions, as no checkpoint has.")
                INSTRUCTIONS[instruction](self)
            return self.stack.pop(), self.position
        except _EndedError:
            size = len(self.data)
            raise BadCheckpoint(f"it ends early, at {size} bytes: it is cut short, download it again.") from None
        except UNREADABLE as error:
            raise BadCheckpoint(
                f"it cannot be read as weights (no pickle instruction that makes sense before byte {self.position} of "
                f"{len(self.data)}). It is damaged, or no checkpoint: download it again."
            ) from error

    def take(self, count: int) -> memoryview:
        end = self.position + count
        if end > len(self.data):
            raise _EndedError
        start, self.position = self.position, end
        return self.data[start:end]

    def number(self, count: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(count), "little", signed=signed)

    def line(self, limit: int = MAX_LINE) -> str:
        size = min(limit, MAX_LINE)
        window = bytes(self.data[self.position : self.position + size])
        while (length := window.find(b"\n")) < 0:
            size *= 2
            if size > limit or len(window) < size // 2:
                raise ValueError("a line without an end")
            window = bytes(self.data[self.position : self.position + size])
        self.position += length + 1
        return window[:length].decode("latin-1")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def push_bytes(self, count: int) -> None:
        found = self.take(count)
        self.push(bytes(found) if count <= SHORT else found)

    def push_text(self, count: int) -> None:
        self.push(str(self.take(count), "utf-8", "surrogatepass"))

    def push_old_text(self, count: int) -> None:
        """Python 2's str, bytes or text as it may be; as Latin-1 nothing of it is lost."""
        self.push(str(self.take(count), "latin-1"))

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        found = self.stack[start:]
        del self.stack[start:]
        return found

    def call(self, function: Any, args: Any, kwargs: dict[str, Any] | None = None) -> None:
        self.push(self.builder.call(function, args, kwargs or {}))

    def set_items(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        target = target.items if isinstance(target, Inert) else target
        if not isinstance(target, dict):
            raise TypeError("items for what is no dict")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            check_new(check_key(key), target)
            target[key] = value

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        target = target.elements if isinstance(target, Inert) else target
        if not isinstance(target, list):
            raise TypeError("elements for what is no list")
        target.extend(values)

    def make_dict(self) -> None:
        pairs = self.since_mark()
        self.push({})
        self.set_items(pairs)

    def make_set(self, kind: type) -> None:
        self.push(kind(check_key(value) for value in self.since_mark()))

    def add(self) -> None:
        values = self.since_mark()
        target = self.stack[-1]
        if isinstance(target, Inert):
            target.elements.extend(values)
        elif isinstance(target, set):
            target.update(check_key(value) for value in values)
        else:
            raise TypeError("members for what is no set")

    def tuple_of(self, count: int) -> None:
        found = tuple(self.stack[-count:])
        if len(found) < count:
            raise IndexError
        self.stack[-count:] = [found]

    def remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def pop(self) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def mention(self, module: str, name: str) -> Global:
        return self.builder.mention(module, name)

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise TypeError("a name that is no text")
        self.push(self.mention(module, name))

    def reduce(self) -> None:
        args, function = self.stack.pop(), self.stack.pop()
        self.call(function, args)

    def new_with_keywords(self) -> None:
        kwargs, args, function = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.call(function, args, kwargs)

    def new_of_line(self) -> None:
        cls = self.mention(self.line(), self.line())
        self.call(cls, tuple(self.since_mark()))

    def new_of_mark(self) -> None:
        cls, *args = self.since_mark()
        self.call(cls, tuple(args))

    def build(self) -> None:
        state = self.stack.pop()
        self.builder.set_state(self.stack[-1], state)

    def integer_line(self) -> None:
        text = self.line()
        self.push(text == "01" if text in ("00", "01") else int(text.removesuffix("L"), 0))

    def small_integers(self) -> None:
        """This one, and those right behind it: each counts, but none takes a turn of its own."""
        found = INTEGERS.match(self.data, self.position - 1)
        if found is None:
            raise _EndedError
        codes, place, before = bytes(found[0]), 0, len(self.stack)
        push = self.stack.append
        while place < len(codes):
            if codes[place] == ONE_BYTE:
                push(codes[place + 1])
                place += 2
            else:
                push(codes[place + 1] | codes[place + 2] << 8)
                place += 3
        self.position = found.end()
        self.budget.steps -= len(self.stack) - before - 1

    def long_integer(self) -> None:
        count = self.number(4)
        if count > MAX_INTEGER:
            raise ValueError("an integer without end")
        self.push(self.number(count, signed=True))

    def quoted_line(self) -> None:
        text = self.line(2 * len(self.data))
        if len(text) < 2 or text[0] != text[-1] or text[0] not in "'\"":
            raise ValueError("a string without quotes")
        self.push(codecs.escape_decode(text[1:-1].encode("latin-1"))[0].decode("latin-1"))

    def refuse_extension(self) -> None:
        raise BadCheckpoint("it uses pickle's extension registry or outside buffers, as no checkpoint does.")


STOP: Final = pickle.STOP[0]
ONE_BYTE: Final = pickle.BININT1[0]

INSTRUCTIONS: Final[dict[int, Callable[[Machine], None]]] = {
    code[0]: instruction
    for code, instruction in {
        pickle.PROTO: lambda m: m.take(1),
        pickle.FRAME: lambda m: m.take(8),
        pickle.MARK: lambda m: m.marks.append(len(m.stack)),
        pickle.POP: Machine.pop,
        pickle.POP_MARK: lambda m: m.since_mark(),
        pickle.DUP: lambda m: m.push(m.stack[-1]),
        pickle.NONE: lambda m: m.push(None),
        pickle.NEWTRUE: lambda m: m.push(True),
        pickle.NEWFALSE: lambda m: m.push(False),
        pickle.INT: Machine.integer_line,
        pickle.LONG: Machine.integer_line,
        pickle.BININT: lambda m: m.push(m.number(4, signed=True)),
        pickle.BININT1: Machine.small_integers,
        pickle.BININT2: Machine.small_integers,
        pickle.LONG1: lambda m: m.push(m.number(m.number(1), signed=True)),
        pickle.LONG4: Machine.long_integer,
        pickle.FLOAT: lambda m: m.push(float(m.line())),
        pickle.BINFLOAT: lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
        pickle.STRING: Machine.quoted_line,
        pickle.BINSTRING: lambda m: m.push_old_text(m.number(4)),
        pickle.SHORT_BINSTRING: lambda m: m.push_old_text(m.number(1)),
        pickle.UNICODE: lambda m: m.push(m.line(2 * len(m.data)).encode("latin-1").decode("raw-unicode-escape")),
        pickle.BINUNICODE: lambda m: m.push_text(m.number(4)),
        pickle.SHORT_BINUNICODE: lambda m: m.push_text(m.number(1)),
        pickle.BINUNICODE8: lambda m: m.push_text(m.number(8)),
        pickle.BINBYTES: lambda m: m.push_bytes(m.number(4)),
        pickle.SHORT_BINBYTES: lambda m: m.push_bytes(m.number(1)),
        pickle.BINBYTES8: lambda m: m.push_bytes(m.number(8)),
        pickle.BYTEARRAY8: lambda m: m.push_bytes(m.number(8)),
        pickle.EMPTY_LIST: lambda m: m.push([]),
        pickle.LIST: lambda m: m.push(m.since_mark()),
        pickle.APPEND: lambda m: m.append([m.stack.pop()]),
        pickle.APPENDS: lambda m: m.append(m.since_mark()),
        pickle.EMPTY_TUPLE: lambda m: m.push(()),
        pickle.TUPLE: lambda m: m.push(tuple(m.since_mark())),
        pickle.TUPLE1: lambda m: m.tuple_of(1),
        pickle.TUPLE2: lambda m: m.tuple_of(2),
        pickle.TUPLE3: lambda m: m.tuple_of(3),
        pickle.EMPTY_DICT: lambda m: m.push({}),
        pickle.DICT: Machine.make_dict,
        pickle.SETITEM: lambda m: m.set_items([m.stack.pop(), m.stack.pop()][::-1]),
        pickle.SETITEMS: lambda m: m.set_items(m.since_mark()),
        pickle.EMPTY_SET: lambda m: m.push(set()),
        pickle.ADDITEMS: Machine.add,
        pickle.FROZENSET: lambda m: m.make_set(frozenset),
        pickle.GET: lambda m: m.push(m.memo[int(m.line())]),
        pickle.BINGET: lambda m: m.push(m.memo[m.number(1)]),
        pickle.LONG_BINGET: lambda m: m.push(m.memo[m.number(4)]),
        pickle.PUT: lambda m: m.remember(int(m.line())),
        pickle.BINPUT: lambda m: m.remember(m.number(1)),
        pickle.LONG_BINPUT: lambda m: m.remember(m.number(4)),
        pickle.MEMOIZE: lambda m: m.remember(len(m.memo)),
        pickle.GLOBAL: lambda m: m.push(m.mention(m.line(), m.line())),
        pickle.STACK_GLOBAL: Machine.stack_global,
        pickle.REDUCE: Machine.reduce,
        pickle.NEWOBJ: Machine.reduce,
        pickle.NEWOBJ_EX: Machine.new_with_keywords,
        pickle.INST: Machine.new_of_line,
        pickle.OBJ: Machine.new_of_mark,
        pickle.BUILD: Machine.build,
        pickle.PERSID: lambda m: m.push(m.persistent(m.line())),
        pickle.BINPERSID: lambda m: m.push(m.persistent(m.stack.pop())),
        pickle.EXT1: Machine.refuse_extension,
        pickle.EXT2: Machine.refuse_extension,
        pickle.EXT4: Machine.refuse_extension,
        pickle.NEXT_BUFFER: Machine.refuse_extension,
        pickle.READONLY_BUFFER: Machine.refuse_extension,
    }.items()
}
