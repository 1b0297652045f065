"""Tells what happened."""
