"""What a value is, as bytes that are the same in every process, whatever the seed of its hashes.

A *token* stands for a value. Of numbers and short texts it is the value itself, as ``marshal`` writes it; of everything
else a tag and a digest of the tokens of what it consists of. No ``repr`` is asked: it may show a memory address.
"""

from __future__ import annotations

import copyreg
import dataclasses
import marshal
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from hashlib import blake2b
from pathlib import PurePath
from pickle import PickleBuffer
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final

from cotality.parallel._data.atoms import ATOMS
from cotality.parallel._data.reference import Wire
from cotality.parallel._data.task_errors import NoStableContent
from cotality.parallel._journal.bulk import Bulk
from cotality.parallel._journal.outside import globals_of

FORMAT: Final = 0
"""Of marshal."""
_LONG: Final = 256
"""From so many bytes on a token is a digest."""
_ARRAYS: Final = frozenset({"numpy", "pandas", "pyarrow"})


def digest(*parts: bytes) -> bytes:
    """Sixteen bytes that stand for these, each of which says itself where it ends, but for the last."""
    return blake2b(b"".join(parts), digest_size=16).digest()


class Content:
    """Makes tokens of values.

    Parameters:
        of_wire: The token of what a wire will carry, for the arguments of tasks that take it.
    """

    def __init__(self, of_wire: Callable[[Wire], bytes] | None = None) -> None:
        self.of_wire = of_wire
        self._open: dict[int, int] = {}
        """The containers that are being looked at, by their ids, and how deep they are: one may hold itself."""
        self.bulk = Bulk()

    def token(self, value: Any) -> bytes:
        """What stands for a value.

        Raises:
            NoStableContent: there is nothing that would be the same in another process.
        """
        kind = type(value)
        if kind in ATOMS:
            data = marshal.dumps(value, FORMAT)
            return data if len(data) < _LONG else b"A" + self.bulk.digest(data)
        deep = self._open.get(id(value))
        if deep is not None:
            return b"^" + marshal.dumps(len(self._open) - deep, FORMAT)
        self._open[id(value)] = len(self._open)
        try:
            return (_KINDS.get(kind) or _kind_of(value))(self, value)
        except RecursionError:
            raise NoStableContent("it is nested too deeply") from None
        finally:
            del self._open[id(value)]

    def tokens(self, tag: str, *values: Any) -> bytes:
        """What stands for several values together, of such a kind."""
        return b"#" + digest(marshal.dumps((tag, len(values)), FORMAT), *map(self.token, values))

    def sequence(self, value: Any) -> bytes:
        kind = type(value).__name__
        if ATOMS.issuperset(map(type, value)):
            return b"S" + self.bulk.digest(kind.encode() + marshal.dumps(list(value), FORMAT))
        return self.tokens(kind, *value)

    def unordered(self, value: Iterable[Any]) -> bytes:
        return b"#" + digest(type(value).__name__.encode(), *sorted(map(self.token, value)))

    def mapping(self, value: Any) -> bytes:
        return self.pairs("dict", value.items())

    def pairs(self, tag: str, items: Iterable[tuple[Any, Any]]) -> bytes:
        tokens = sorted(self.token(key) + self.token(item) for key, item in items)
        return b"#" + digest(marshal.dumps((tag, len(tokens)), FORMAT), *tokens)

    def wire(self, value: Wire) -> bytes:
        if self.of_wire is None:
            raise NoStableContent("it is the output of a task that has not run")
        return self.of_wire(value)

    def raw(self, value: Any) -> bytes:
        return b"R" + type(value).__name__.encode() + self.bulk.digest(value)

    def buffer(self, value: PickleBuffer) -> bytes:
        return b"R" + self.bulk.digest(value.raw())

    def enum(self, value: Enum) -> bytes:
        return self.tokens("enum", named(type(value)), value.name, value.value)

    def path(self, value: PurePath) -> bytes:
        return self.tokens("path", named(type(value)), str(value))

    def record(self, value: Any) -> bytes:
        fields = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
        return self.tokens("record", named(type(value)), fields)

    def fields(self, value: tuple[Any, ...]) -> bytes:
        return self.tokens("fields", named(type(value)), tuple(value))

    def sentinel(self, value: object) -> bytes:
        # What only stands for itself has no content beyond that.
        return b"!object"

    def named(self, value: Any) -> bytes:
        return self.tokens("named", named(value))

    def module(self, value: ModuleType) -> bytes:
        return self.tokens("module", value.__name__)

    # Functions -------------------------------------------------------------------------------------------------------

    def function(self, value: FunctionType) -> bytes:
        """Its name, its code, its defaults, what it has taken from where it was made, and its globals."""
        cells = [_in_cell(cell) for cell in value.__closure__ or ()]
        given = (value.__defaults__, value.__kwdefaults__, globals_of(value))
        return self.tokens("function", named(value), value.__code__, *given, *cells)

    def code(self, value: CodeType) -> bytes:
        shape = (value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount, value.co_flags)
        names = (value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars)
        return self.tokens("code", *shape, value.co_code, value.co_exceptiontable, names, value.co_consts)

    def method(self, value: MethodType) -> bytes:
        return self.tokens("method", value.__func__, value.__self__)

    def partial(self, value: partial[Any]) -> bytes:
        return self.tokens("partial", value.func, value.args, value.keywords)

    # Anything else ---------------------------------------------------------------------------------------------------

    def reduced(self, value: Any) -> bytes:
        """By what pickle would write of it, part by part: the pickle as a whole depends on who shares what."""
        try:
            reduce: Any = copyreg.dispatch_table.get(type(value))
            parts: Any = value.__reduce_ex__(5) if reduce is None else reduce(value)
        except (RecursionError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise NoStableContent(f"it holds a {type(value).__qualname__}, which {_why(error)}") from None
        if isinstance(parts, str):
            return self.tokens("named", type(value).__module__, parts)
        make, arguments, state, items, pairs = (*parts, None, None, None)[:5]
        listed = list(items) if items is not None else None
        if isinstance(value, OrderedDict):
            paired: Any = self.tokens("ordered", *(pairs or ()))
        else:
            paired = None if pairs is None else self.pairs("pairs", pairs)
        return self.tokens("object", make, arguments, state, listed, paired)

    def array(self, value: Any) -> bytes:
        from cotality.parallel._journal.arrays import token_of_array

        return token_of_array(self, value) or self.reduced(value)


def named(thing: Any) -> str:
    """Where something is defined. The main program is called by its module's name, where it has one."""
    module = getattr(thing, "__module__", None) or ""
    if module == "__main__":
        spec = getattr(sys.modules.get("__main__"), "__spec__", None)
        module = spec.name if spec is not None else module
    return f"{module}.{thing.__qualname__}"


def _in_cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _why(error: BaseException) -> str:
    return "has a __reduce__ that raises" if not isinstance(error, TypeError) else "can not be pickled"


def _kind_of(value: Any) -> Callable[[Content, Any], bytes]:
    kind = type(value)
    if isinstance(value, type):
        return Content.named
    if isinstance(value, Enum):
        return Content.enum
    if isinstance(value, PurePath):
        return Content.path
    if kind.__module__.partition(".")[0] in _ARRAYS:
        return Content.array
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return Content.fields
    if dataclasses.is_dataclass(value) and getattr(kind, "__reduce__", None) is object.__reduce__:
        return Content.record
    return Content.reduced


_KINDS: Final[dict[type, Callable[[Content, Any], bytes]]] = {
    list: Content.sequence,
    tuple: Content.sequence,
    dict: Content.mapping,
    set: Content.unordered,
    frozenset: Content.unordered,
    bytearray: Content.raw,
    memoryview: Content.raw,
    PickleBuffer: Content.buffer,
    Wire: Content.wire,
    FunctionType: Content.function,
    BuiltinFunctionType: Content.reduced,
    MethodType: Content.method,
    CodeType: Content.code,
    ModuleType: Content.module,
    partial: Content.partial,
    type(...): Content.reduced,
    object: Content.sentinel,
}
