"""``rankadaptor reconstruct``: the dense model's outputs, without training."""
