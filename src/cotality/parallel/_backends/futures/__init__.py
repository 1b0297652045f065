"""Backends over futures: whatever takes a function and gives a future of its result.

::

    run loop ── submit ──▶ cargo ── carrier ──▶ executor, cluster ─▶ remote.run_batch
        ▲                                                                   │
        └─ collect ─ endings ◀── cargo ◀──────────── future ────────────────┘

A batch is one future, so what a future costs is paid once for many tiny tasks. ``backend`` is what all have in common;
a *carrier* knows one kind of futures.
"""
