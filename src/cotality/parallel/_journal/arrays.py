"""Tokens of NumPy's, pandas' and Arrow's values: by their buffers."""

from __future__ import annotations

import sys
from typing import Any, Final, Protocol

from cotality.parallel._journal.bulk import Bulk

LARGE_BYTES: Final = 1 << 20


class Tokens(Protocol):
    """What makes tokens of the parts of a value."""

    bulk: Bulk

    def tokens(self, tag: str, *values: Any) -> bytes: ...


def token_of_array(content: Tokens, value: Any) -> bytes | None:
    """What stands for such a value; None for a kind that pickle knows better."""
    numpy, pandas, arrow = (sys.modules.get(name) for name in ("numpy", "pandas", "pyarrow"))
    if numpy is not None and type(value) is numpy.ndarray:
        return _of_ndarray(content, numpy, value)
    if numpy is not None and isinstance(value, numpy.generic):
        return content.tokens("scalar", value.dtype.str, value.tobytes()) if not value.dtype.hasobject else None
    if pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series, pandas.Index)):
        return _of_pandas(content, pandas, value)
    if arrow is not None and isinstance(value, (arrow.Table, arrow.RecordBatch, arrow.ChunkedArray, arrow.Array)):
        return _of_arrow(content, arrow, value)
    return None


def _of_ndarray(content: Tokens, numpy: Any, array: Any) -> bytes:
    dtype = repr(array.dtype.descr) if array.dtype.fields else array.dtype.str
    if array.dtype.hasobject:
        return content.tokens("objects", dtype, array.shape, array.ravel().tolist())
    known = content.bulk.known(array)
    if known is not None:
        return known
    flat = numpy.ascontiguousarray(array)
    found = content.tokens("array", dtype, array.shape, content.bulk.digest(flat.reshape(-1).view("u1")))
    return content.bulk.remember(array, found) if array.nbytes >= LARGE_BYTES else found


def _of_pandas(content: Tokens, pandas: Any, value: Any) -> bytes | None:
    kind = type(value).__name__
    if isinstance(value, pandas.DataFrame):
        columns = [value.iloc[:, place].array for place in range(value.shape[1])]
        return content.tokens("frame", kind, value.columns, value.index, *map(_plain, columns), value.attrs)
    if isinstance(value, pandas.Series):
        return content.tokens("series", kind, value.name, value.index, _plain(value.array), value.attrs)
    if isinstance(value, pandas.MultiIndex):
        levels = [_plain(level.array) for level in value.levels]
        return content.tokens("levels", list(value.names), *levels, *value.codes)
    if isinstance(value, pandas.RangeIndex):
        return content.tokens("range", value.name, value.start, value.stop, value.step)
    return content.tokens("index", kind, value.name, _plain(value.array), str(getattr(value, "freq", None)))


def _plain(array: Any) -> Any:
    """A column as something whose content is plain to see."""
    kind = type(array).__name__
    if kind in ("NumpyExtensionArray", "PandasArray"):
        return array.to_numpy()
    if kind == "Categorical":
        return kind, bool(array.ordered), _plain(array.categories.array), array.codes
    if kind in ("DatetimeArray", "TimedeltaArray", "PeriodArray"):
        return kind, str(array.dtype), array.asi8
    arrow = getattr(array, "_pa_array", None)
    if arrow is not None:
        return kind, str(array.dtype), arrow
    mask = getattr(array, "_mask", None)
    if mask is not None:
        # What a missing value hides may be anything.
        return kind, str(array.dtype), mask, array._data[~mask]
    return kind, str(array.dtype), list(array)


def _of_arrow(content: Tokens, arrow: Any, value: Any) -> bytes:
    if isinstance(value, (arrow.Array, arrow.ChunkedArray)):
        value = arrow.table({"": value})
    elif isinstance(value, arrow.RecordBatch):
        value = arrow.Table.from_batches([value])
    sink = arrow.BufferOutputStream()
    # How it is cut into chunks, and what lies beyond a slice, is not content.
    with arrow.ipc.new_stream(sink, value.schema) as writer:
        writer.write_table(value.combine_chunks())
    return content.tokens("arrow", content.bulk.digest(memoryview(sink.getvalue())))
