"""Adapters of our own: base and adapter of a linear layer as one operation, masters in float32."""
