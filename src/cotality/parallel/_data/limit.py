"""A bound on concurrency or rate that several tasks share."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from cotality.parallel._data.checks import check_count


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound that all tasks of a run that name it share, whatever their backend.

    Each attempt counts. A rate means: in *any* window of one second no more than so many attempts start.

    Parameters:
        name: What it is known by. Limits of one name are one limit, so they must have the same values.
        concurrency: The most attempts that run at the same time; None: no bound.
        per_second: The most attempts that start within a second; a fraction, such as 0.5, is one in so many seconds;
            None: no bound.

    Raises:
        ValueError, TypeError: a number out of its range, or neither bound.

    Example:
        >>> Limit("api", concurrency=5, per_second=10)
        Limit(name='api', concurrency=5, per_second=10)
    """

    name: str
    _: KW_ONLY
    concurrency: int | None = None
    per_second: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise TypeError("name of a Limit must be a text that is not empty")
        check_count("concurrency", self.concurrency)
        rate = self.per_second
        if rate is not None:
            if isinstance(rate, bool) or not isinstance(rate, (int, float)):
                raise TypeError(f"per_second must be a number, not {type(rate).__name__}")
            if not 0 < rate < float("inf"):
                raise ValueError("per_second must be greater than 0 and finite")
        if rate is None and self.concurrency is None:
            raise ValueError(f"the limit {self.name!r} bounds nothing: give concurrency= or per_second=")

    @property
    def starts(self) -> int:
        """How many attempts may start in each span of ``seconds``."""
        return max(1, int(self.per_second or 1))

    @property
    def seconds(self) -> float:
        """The span that the rate is about, one second, or longer where that is not a whole attempt."""
        return 1.0 if not self.per_second or self.per_second >= 1 else 1.0 / self.per_second


Limit.__module__ = "cotality.parallel"
