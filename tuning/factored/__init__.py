"""Matrices that are kept as the product of two thin ones."""
