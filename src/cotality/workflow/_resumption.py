"""What a run of a workflow would take over from its journal, told without running anything."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from cotality.parallel import Mapped, Task
from cotality.parallel.building import is_gathering, needs_of
from cotality.parallel.errors import JournalError
from cotality.parallel.foreseeing import prospect_of
from cotality.workflow._foresight import is_harmless


class Resumption:
    """What a run would take over from its journal, and why the rest runs: ``explain(journal=…).resumption``.

    Attributes:
        resumed: How many tasks of each name need not run.
        runs: By name, how many have to, for each reason.
        unknown: Of how many tasks of each name, and of which maps, that is known only in the run.
        problems: What will fail, a line each.

    Example:
        >>> import tempfile
        >>> from cotality.workflow import Workflow, task
        >>> @task
        ... def half(number: int) -> float:
        ...     return number / 2
        >>> def halves(count: int) -> Workflow:
        ...     flow = Workflow("halves", journal=journal)
        ...     _ = flow.map(half, range(count))
        ...     return flow
        >>> journal = tempfile.mkdtemp() + "/run.db"
        >>> _ = halves(3).run()
        >>> print(halves(4).explain().resumption)
          journal: 3 tasks need not run
            taken over: half × 3
            will run, as the journal has no result of it: half × 1
    """

    def __init__(self, nodes: Sequence[Task[Any] | Mapped[Any]], journal: Any) -> None:
        hidden = _hidden(nodes)
        self.resumed: Mapping[str, int] = {}
        self.runs: Mapping[str, Mapping[str, int]] = {}
        self.unknown: Counter[str] = Counter(node.name for node in nodes if node in hidden and not is_gathering(node))
        self.problems: Sequence[str] = ()
        try:
            prospect = prospect_of([node for node in nodes if node not in hidden], journal)
        except (JournalError, ValueError) as error:
            self.problems = [str(error)]
        else:
            self.resumed, self.runs, self.problems = prospect.resumed, prospect.runs, prospect.problems
            self.unknown += prospect.unknown

    def __str__(self) -> str:
        reasons: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for name, counts in self.runs.items():
            for reason, count in counts.items():
                reasons[f"will run, as {reason}"][name] = count
        total = sum(self.resumed.values())
        lines = [f"  journal: {total:,} task{'s need' if total != 1 else ' needs'} not run"]
        for what, told in {"taken over": self.resumed, **reasons, "known only in the run": self.unknown}.items():
            if told:
                lines.append(f"    {what}: {', '.join(f'{name} × {count:,}' for name, count in told.items())}")
        return "\n".join(lines)


def _hidden(nodes: Sequence[Task[Any] | Mapped[Any]]) -> set[Any]:
    """The maps whose tasks only the user's own code can tell, and all that needs them."""
    hidden: set[Any] = set()
    for node in nodes:
        opaque = isinstance(node, Mapped) and not is_harmless(node)
        if opaque or not hidden.isdisjoint(needs_of(node)):
            hidden.add(node)
    return hidden
