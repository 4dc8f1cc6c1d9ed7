"""The code of trials and evaluations, broken in one place at a time."""
