"""Trials as the worker runs them, beside what people run without it."""
