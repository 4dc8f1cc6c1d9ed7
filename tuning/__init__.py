"""Fine-tuning with adapters: back ends, data, loop, losses, measuring, memory.

Knows neither leases nor pruned containers, so that a pruning method may train, too.
"""
