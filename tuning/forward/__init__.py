"""How a pass runs through a decoder: without waiting for the device, and without keeping it all."""
