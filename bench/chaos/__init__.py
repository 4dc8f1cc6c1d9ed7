"""Faults on purpose, through REST, and an offline check of the history they leave behind."""
