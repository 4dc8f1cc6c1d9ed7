"""One file per command; each imports its room only when it runs."""
