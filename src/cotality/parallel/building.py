"""What a front door is built of: how tasks are made, wired and checked, and a run of them with their dependencies.

Users of the library need none of it: ``cotality.workflow`` is made of it, and so could another front door be.
"""

from cotality.parallel._backends.daemons import start_daemon
from cotality.parallel._data.atoms import ATOMS
from cotality.parallel._data.checks import check_count, check_known, check_observers, check_seconds
from cotality.parallel._data.hints import UNKNOWN, hints_of, result_hint
from cotality.parallel._data.journal import journal_of
from cotality.parallel._data.names import let_be_made_anew
from cotality.parallel._data.ordering import are_in_order, in_order, needs_of
from cotality.parallel._data.pickling import pack, unpack
from cotality.parallel._data.reference import Place, Wire, Wired, alive, source_of, weave, wire_of
from cotality.parallel._data.task import gather, is_gathering
from cotality.parallel._data.task_options import DEFAULTS, Options, check_backend
from cotality.parallel._execution import Execution
from cotality.parallel._observers.log import warn
from cotality.parallel._observers.trace import trace_of
from cotality.parallel._scheduling.maps import is_expanding
from cotality.parallel._scheduling.ranks import Durations

__all__ = [
    "ATOMS",
    "DEFAULTS",
    "UNKNOWN",
    "Durations",
    "Execution",
    "Options",
    "Place",
    "Wire",
    "Wired",
    "alive",
    "are_in_order",
    "check_backend",
    "check_count",
    "check_known",
    "check_observers",
    "check_seconds",
    "gather",
    "hints_of",
    "in_order",
    "is_expanding",
    "is_gathering",
    "journal_of",
    "let_be_made_anew",
    "needs_of",
    "pack",
    "result_hint",
    "source_of",
    "start_daemon",
    "trace_of",
    "unpack",
    "warn",
    "weave",
    "wire_of",
]
