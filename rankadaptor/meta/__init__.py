"""Meta-learning at the rim: where finished studies come from, and how a prior is shown."""
