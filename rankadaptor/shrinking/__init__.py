"""``rankadaptor shrink``: from a dense model to a verified small one, step by step."""
