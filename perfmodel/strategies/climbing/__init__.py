"""A Gaussian process on levelled trials, and what is climbed on it."""
