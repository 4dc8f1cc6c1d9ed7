"""From a file of training data to its rows: layouts, shapes, and what is refused of them.

Knows neither tokens nor models.
"""
