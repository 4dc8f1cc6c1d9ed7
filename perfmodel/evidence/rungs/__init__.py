"""Rungs: what a study measures a vector by beside its trials, and how far the rungs agree."""
