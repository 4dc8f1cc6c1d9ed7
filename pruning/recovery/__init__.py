"""Recovery without training: weights of a pruned model, fitted to what the dense one writes."""
