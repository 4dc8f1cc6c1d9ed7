"""Pages made from the code; no part of what is installed."""
