"""Pruned models: container, surgery, pruning, profiling.

Nothing is imported here: ``pruning.container.description`` works on a machine without torch.
"""
