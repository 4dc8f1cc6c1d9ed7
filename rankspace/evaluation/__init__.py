"""What recovered models are evaluated on, beside their held-out loss, and what came of it."""
