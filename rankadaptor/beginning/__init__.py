"""How a study begins: a file that says what was found, what was chosen, and why."""
