"""Runs tasks on a Ray cluster: a batch of tasks is one call of a remote function. Needs the extra ``ray``."""
