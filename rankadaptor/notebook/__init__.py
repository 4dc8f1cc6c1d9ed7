"""What a person uses from Python: a client whose studies answer, show themselves, and wait."""
