"""``rankadaptor rates``: what each block is to lose, searched on held-out text."""
