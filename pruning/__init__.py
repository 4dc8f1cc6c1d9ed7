"""Pruned models: container, surgery, pruning, profiling.

Nothing is imported here, so that ``pruning.description`` works on a machine without torch.
"""
