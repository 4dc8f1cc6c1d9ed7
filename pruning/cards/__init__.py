"""Model cards: what a model says of itself, under which licence above all."""
