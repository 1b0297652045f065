"""Random workflows compared with plain Python. ``python -m tests.fuzz --seconds 60`` looks for what is wrong."""
