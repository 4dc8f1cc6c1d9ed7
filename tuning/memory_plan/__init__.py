"""What fine-tuning takes of a device's memory, worked out before any of it is taken."""
