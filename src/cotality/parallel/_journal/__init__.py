"""Remembers: what makes a task the same, and the store of finished ones.

::

    content ── arrays, bulk      what a value is, as sixteen bytes that are the same in every process
       │
    functions ── keys            what a function is, and what a call of it is
       │
    values                       results as bytes and back, checked before they are opened
       │
    guard, mapping, owners ── store, pieces   where they are kept: an SQLite file and a folder, or named pieces of bytes
       │
    journal, cache               one run's use of a store
"""
