"""Bounds of what a study may say: beyond them a number is a mistake, or would be work for ever."""

from rankspace.errors import InvalidInput

MAX_SEED = 2**31 - 1
MAX_TRIALS = 100_000
MAX_FRESH_SEEDS = 10_000
MAX_STEPS = 10_000_000
MAX_PARAMETERS = 2**53
MAX_STOP_RISK = 0.5
MAX_GIB = 100_000
MAX_DIGITS = 6  # of a rank
MAX_VERSION = 100  # characters, of a prior's or a preset's
MAX_WORTH = 20.0
MOST_NATS = 100.0  # of what counts as a difference: guessing among a million tokens costs 14
LEAST_RATE, MOST_RATE = 1e-3, 1e3
MOST_RATES = 10
MOST_RECIPE_SEEDS = 50  # two full fine-tunes each
MAX_SURVEY_STEPS = 1_000_000
LEAST_SURVEYED, MAX_SURVEYED = 8, 500
MOST_CANDIDATES = 100
"""Rank vectors that a person has tried at once."""


def within_nats(name: str, value: float, fix: str) -> None:
    if not 0.0 <= value <= MOST_NATS:
        raise InvalidInput(name, value, f"must be 0 to {MOST_NATS:g} nats", fix=fix)


def within(least: int, most: int, name: str, value: int) -> None:
    if value < least:
        raise InvalidInput(name, value, f"must be at least {least}", fix=f"use {least} or more")
    if value > most:
        raise InvalidInput(name, value, f"must be at most {most:,}", fix=f"use {most} or less")
