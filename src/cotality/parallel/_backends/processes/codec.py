"""Values, functions and failures to bytes and back.

Plain pickle first, as it is fastest; cloudpickle for what it can not do. Nothing is trusted to come back: what fails
on either side becomes the error of the one task it belongs to.
"""

from __future__ import annotations

import io
import marshal
import pickle
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from types import FunctionType
from typing import Any, TypeAlias

from cotality.parallel._backends.processes import main_module
from cotality.parallel._data.buffers import keeping_apart
from cotality.parallel._data.names import LONGEST_CHAIN, depth_under_its_name, named, origin_of
from cotality.parallel._data.task_errors import RemoteError, RemoteTraceback
from cotality.parallel._data.wording import message_of

PROTOCOL = 5
APART_BYTES = 64 * 1024
"""Buffers of at least this size are not copied into the pickle."""

Encoded: TypeAlias = tuple[bytes, list[memoryview]]
"""A pickle, and the buffers that are kept out of it."""


def dump(value: object) -> Encoded:
    """Pickle a value, keeping large buffers apart.

    Raises:
        Exception: what plain pickle raised, when cloudpickle can not do it either.
    """
    return _dump(value, apart=True)


def dump_whole(value: object) -> bytes:
    """Pickle a value, buffers and all; raises as ``dump``."""
    return _dump(value, apart=False)[0]


def _dump(value: object, *, apart: bool) -> Encoded:
    try:
        data, buffers = _dump_with(pickle.dumps, value, apart)
        if b"__main__" not in data or main_module.find_main()[0]:
            return data, buffers
        # A name in __main__ means nothing where no main module can be imported.
    except Exception as error:
        plain: Exception | None = error
    else:
        plain = None
    try:
        return _dump_with(_dump_by_value, value, apart)
    except Exception as error:
        raise (plain or error) from None


def _dump_by_value(value: object, protocol: int, **options: Any) -> bytes:
    file = io.BytesIO()
    _by_value()(file, protocol, **options).dump(value)
    return file.getvalue()


@cache
def _by_value() -> Callable[..., Any]:
    """cloudpickle's pickler, but for open text files: of those it would send a copy, and what is written be lost."""
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, io.TextIOWrapper) and obj is not sys.stdout and obj is not sys.stderr:
                raise TypeError("cannot pickle an open text file")
            return super().reducer_override(obj)

    return Pickler


def _dump_with(dumps: Callable[..., bytes], value: object, apart: bool) -> Encoded:
    if not apart:
        return dumps(value, PROTOCOL), []
    buffers: list[memoryview] = []
    return dumps(value, PROTOCOL, buffer_callback=keeping_apart(buffers, APART_BYTES)), buffers


_MAIN = re.compile(b"__(?:mp_)?main__")


class _Unpickler(pickle.Unpickler):
    """Imports the main module when, and only when, something of it is asked for."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("__main__", "__mp_main__"):
            main_module.import_main()
        found = super().find_class(module, name)
        return _named if found is named else found


def _named(module: str, qualname: str, depth: int) -> Any:
    if module == "__main__":
        main_module.import_main()
    return named(module, qualname, depth)


def load(data: bytes | memoryview, buffers: Sequence[memoryview] = ()) -> Any:
    """What ``dump`` was given.

    Raises:
        BaseException: whatever the value's own code raises.
    """
    if _MAIN.search(data):
        return _Unpickler(io.BytesIO(data), buffers=buffers).load()
    return pickle.loads(data, buffers=buffers)


# Functions ---------------------------------------------------------------------------------------------------------

_BY_NAME, _ANEW, _BY_VALUE = "name", "anew", "value"


def dump_function(function: Callable[..., Any], *, by_value: bool) -> bytes | None:
    """A function or class as a message that is sent once; None for a callable with a state, which is a value.

    Parameters:
        function: The callable.
        by_value: Send its code even if it has a name, because a worker could not import it.

    Raises:
        Exception: it can not travel.
    """
    if type(function) is not FunctionType:
        if isinstance(function, type) or (
            type(function) is type(len) and getattr(function, "__self__", None) is not None
        ):
            return marshal.dumps((_BY_VALUE, dump_whole(function)))
        return None
    if not by_value:
        name = _name_of(function)
        if name is not None:
            return marshal.dumps((_BY_NAME, *name))
        names = [_name_of(part) for part in origin_of(function) or ()]
        if names and None not in names:
            return marshal.dumps((_ANEW, *names))
    return marshal.dumps((_BY_VALUE, *_dump_code(function)))


def _name_of(function: Any) -> tuple[str, str, int] | None:
    """How a worker finds a function by its name; None if it can not."""
    if type(function) is not FunctionType:
        return None
    depth = depth_under_its_name(function)
    if depth is None or (function.__module__ == "__main__" and not main_module.find_main()[0]):
        return None
    return function.__module__, function.__qualname__, depth


def _dump_code(function: FunctionType) -> tuple[bytes]:
    import cloudpickle

    module = sys.modules.get(function.__module__)
    if module is None or function.__module__ == "__main__" or "<locals>" in function.__qualname__:
        return (cloudpickle.dumps(function, PROTOCOL),)
    known = module.__name__ in cloudpickle.list_registry_pickle_by_value()
    cloudpickle.register_pickle_by_value(module)
    try:
        return (cloudpickle.dumps(function, PROTOCOL),)
    finally:
        if not known:
            cloudpickle.unregister_pickle_by_value(module)


def load_function(message: bytes) -> Callable[..., Any]:
    """What ``dump_function`` was given.

    Raises:
        BaseException: whatever its module raises when it is imported.
    """
    how, *rest = marshal.loads(message)
    if how == _BY_VALUE:
        return load(rest[0])  # type: ignore[no-any-return]
    if how == _ANEW:
        maker, source = (_named(*name) for name in rest)
        return maker(source)  # type: ignore[no-any-return]
    return _named(*rest)  # type: ignore[no-any-return]


# Failures ----------------------------------------------------------------------------------------------------------


def dump_failure(error: BaseException) -> bytes:
    """An exception with its chain of causes and its traceback. Never raises: what can not travel is described."""
    chain: list[tuple[bytes | None, str, str]] = []
    link: BaseException | None = error
    while link is not None and len(chain) < LONGEST_CHAIN:
        chain.append((_dump_exception(link), type(link).__qualname__, message_of(link)))
        link = link.__cause__
    try:
        # Only who fails pays for importing it: 5 ms of the start of a worker.
        import traceback

        told = "".join(traceback.format_exception(error))
    except BaseException:
        told = f"{type(error).__qualname__}: {message_of(error)}\n"
    return marshal.dumps((chain, told.encode("utf-8", "backslashreplace")))


def _dump_exception(error: BaseException) -> bytes | None:
    try:
        return dump_whole(error)
    except BaseException:
        return None


def load_failure(message: bytes) -> BaseException:
    """The exception that ``dump_failure`` was given, or one that stands for it. Never raises for a bad message."""
    chain, told = marshal.loads(message)
    errors = [_load_exception(*link) for link in chain]
    for error, cause in pairwise([*errors, RemoteTraceback(told.decode("utf-8", "replace"))]):
        # As the interpreter does it: an exception's own __setattr__ may raise.
        BaseException.__setattr__(error, "__cause__", cause)
    return errors[0]


def _load_exception(data: bytes | None, name: str, message: str) -> BaseException:
    if data is not None:
        try:
            error = load(data)
            if isinstance(error, BaseException) and type(error).__qualname__ == name:
                return error
        except KeyboardInterrupt:
            raise
        except BaseException:
            pass
    return RemoteError(f"{name}: {message}" if message else name)
