"""Meta-learning: what finished studies say about the layers of the next one."""
