"""What other tools leave of a model they have pruned, read into a container."""
