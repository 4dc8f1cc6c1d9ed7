"""Several candidates trained in one forward pass: lanes, each with an adapter of its own ranks."""
