"""Rank vectors that people bring, and the trials that they take away."""
