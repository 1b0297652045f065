"""Failed tasks as a file, to be run again later: with their arguments, and with the tasks whose results they take."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from cotality.parallel._data.ordering import Node, in_order
from cotality.parallel._data.pickling import pack, unpack
from cotality.parallel._data.task import Task
from cotality.parallel._data.task_errors import JournalError
from cotality.parallel._journal.guard import check_owner, told_of, write_whole
from cotality.parallel._journal.values import Stamps, dump, load

_MAGIC: Final = b"cotality tasks 1"


def write_failures(path: str | os.PathLike[str], nodes: Sequence[Node], secret: bytes | None = None) -> None:
    """Write tasks, with all that they need, as a file that only its owner may read.

    Raises:
        Exception: an argument can not be pickled.
        JournalError: the file can not be written.
    """
    ordered = in_order(nodes)
    places = {node: place for place, node in enumerate(ordered)}
    parts = dump((pack(ordered), [places[node] for node in nodes]))
    with told_of(Path(path)):
        write_whole(Path(os.path.abspath(path)), (_MAGIC, Stamps(secret).of(_MAGIC, 0.0, parts), *parts))


def load_failures(path: str | os.PathLike[str], *, secret: bytes | None = None) -> list[Task[Any]]:
    """The failed tasks that ``Run.save_failures`` has written, to be added to a workflow.

    What they need is with them: their arguments, and the tasks whose results they take, which a journal knows.

    Parameters:
        path: The file. It holds pickles, which are code: it is refused if others may write it.
        secret: What it was written with.

    Returns:
        The tasks that failed, in the order in which they did.

    Raises:
        JournalError: it can not be used; says why.

    Example:
        >>> import tempfile
        >>> from cotality.workflow import Workflow, load_failures, task
        >>> @task
        ... def inverse(number: int) -> float:
        ...     return 1 / number
        >>> flow = Workflow(failure="finish", raise_failures=False)
        >>> _ = flow.map(inverse, [1, 2])
        >>> path = tempfile.mkdtemp() + "/failures"
        >>> flow.run().save_failures(path)
        0
        >>> load_failures(path)
        []
    """
    where = Path(os.path.abspath(path))
    with told_of(where):
        check_owner(where)
        data = where.read_bytes()
    head, stamp, body = data[:16], data[16:32], data[32:]
    if head != _MAGIC:
        raise JournalError(f"{where} is not a file of failed tasks")
    if Stamps(secret).of(_MAGIC, 0.0, (body,)) != stamp:
        raise JournalError(f"{where} is damaged, or was written with another secret")
    try:
        packed, wanted = load(body)
        nodes: list[Any] = unpack(packed)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # It runs the code of what is in it.
        raise JournalError(
            f"the tasks in {where} can not be opened any more: {type(error).__name__} was raised; "
            "has the code of what they need changed?"
        ) from error
    return [nodes[place] for place in wanted]


load_failures.__module__ = "cotality.parallel"
