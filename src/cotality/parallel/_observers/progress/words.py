"""Progress in words."""

from __future__ import annotations

from cotality.parallel._data.progress import Progress


def counts(progress: Progress) -> str:
    """How many have ended, of how many: ``12/40``, or ``12`` while nobody knows how many there are."""
    return f"{progress.done:,}" if progress.total is None else f"{progress.done:,}/{progress.total:,}"


def troubles(progress: Progress) -> str:
    """What did not go well: ``2 failed, 1 retried``; empty if everything did."""
    kinds = {"failed": progress.failed, "skipped": progress.skipped, "retried": progress.retried}
    return ", ".join(f"{number:,} {kind}" for kind, number in kinds.items() if number)


def rate(progress: Progress) -> str:
    """How fast: ``120/s``, ``8.5/min``."""
    per_second = progress.rate
    if not per_second:
        return ""
    value, unit = (per_second, "s") if per_second >= 1 else (per_second * 60, "min")
    return f"{value:,.0f}/{unit}" if value >= 10 else f"{value:.2g}/{unit}"


def clock(seconds: float) -> str:
    """A length of time: ``0:07``, ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def remaining(progress: Progress) -> str:
    """How long it will take: ``0:12 left``; empty if there is no telling."""
    left = progress.remaining
    return "" if left is None or progress.finished else f"{clock(left)} left"
