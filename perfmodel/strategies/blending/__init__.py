"""``blend``: the additive model and a Gaussian process, weighed by how well each foretells."""
