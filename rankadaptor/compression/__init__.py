"""From a dense model to a smaller one: what is asked for, and what came of it."""
