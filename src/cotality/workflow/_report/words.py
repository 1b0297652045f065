"""Numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def seconds(value: float) -> str:
    """A length of time: ``1.23 ms``, ``4.5 s``, ``2 h 05 min``."""
    if value < 0:
        return f"−{seconds(-value)}"
    if value < 0.9995e-3:
        return f"{value * 1e6:.3g} µs" if value >= 0.5e-6 else "0 s"
    if value < 0.9995:
        return f"{value * 1e3:.3g} ms"
    if value < 99.95:
        return f"{value:.3g} s"
    whole = round(value)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min {whole % 60:02} s"


def count(value: float) -> str:
    """A number: ``1,234``."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def many(value: int, what: str) -> str:
    """So many of something: ``1 task``, ``1,234 tasks``."""
    return f"{value:,} {what}" if value == 1 else f"{value:,} {what}s"


def share(value: float) -> str:
    """A part of a whole: ``42 %``."""
    percent = 100 * value
    return f"{percent:.0f} %" if percent >= 9.95 or percent == 0 else f"{percent:.1f} %"


def factor(value: float) -> str:
    """How many times: ``1.25 ×``."""
    return f"{value:,.3g} ×" if value < 1000 else f"{value:,.0f} ×"


def size(value: float) -> str:
    """Bytes: ``123 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def moment(value: float) -> str:
    """A point in time, in UTC."""
    try:
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "unknown"
