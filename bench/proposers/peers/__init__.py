"""The libraries that are compared with."""
