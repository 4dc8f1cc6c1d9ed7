"""Evaluating models on texts and tasks: what is asked of which, and how the answers are shown."""
