"""Decides what is due, what is tried again and when, how much may be in flight, how large a batch is."""
