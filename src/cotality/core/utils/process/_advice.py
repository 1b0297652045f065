"""Help to choose between threads and processes."""

from __future__ import annotations

import pickle

_COMPUTING = frozenset(
    {"cpu", "compute", "computation", "computing", "computational", "calculation", "numeric", "processing"}
)


def should_use_processes(task_type: str) -> bool:
    """Recommend processes or threads for a kind of work.

    Parameters:
        task_type: What the tasks mostly do: ``"cpu"``, ``"cpu-bound"``, ``"compute"``, ... or ``"io"``, ``"network"``,
            ``"database"``, ``"file"``, ``"mixed"``, ... Case, spaces, dashes and underscores do not matter.

    Returns:
        True for work that computes; False for work that waits, for a mixture, and for a kind that is not known, because
        threads are right for most work. False for all where this Python runs threads without a global lock.

    Raises:
        TypeError: not a string.

    Example:
        >>> should_use_processes("CPU-bound"), should_use_processes("io")
        (True, False)
    """
    if not isinstance(task_type, str):
        raise TypeError(f"the kind of work must be a string such as 'cpu' or 'io', not {type(task_type).__name__}")
    words = task_type.lower().replace("-", " ").replace("_", " ").split()
    if not words or words[0] not in _COMPUTING:
        return False
    # Only who asks pays for importing it.
    from cotality.parallel.foreseeing import threads_compute

    return not threads_compute()


def is_picklable(obj: object) -> bool:
    """Tell whether plain pickle can write an object, so that it can be given to processes anywhere.

    Our own processes also take functions that plain pickle refuses: lambdas, closures, what is defined in a notebook.

    Parameters:
        obj: Any object.

    Returns:
        False for locks, open files, connections, generators, lambdas and nested functions, for example.

    Example:
        >>> import threading
        >>> is_picklable([1, 2, 3]), is_picklable(threading.Lock())
        (True, False)
    """
    try:
        pickle.dumps(obj)
    except Exception:
        # Pickling runs the object's own code, which may raise anything.
        return False
    return True
