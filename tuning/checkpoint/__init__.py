"""Checkpoints: where a training stands between two steps, in memory and as a file."""
