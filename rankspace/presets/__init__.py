"""Presets: words in a study file that stand for many settings."""
