"""How far each strategy and each peer gets with how many trials: ``python -m bench.proposers``."""
