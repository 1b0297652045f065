"""Runs attempts: in the caller, in threads, in processes."""
