"""Published metrics of a model: perplexity on a text, and choices scored by log-likelihood.

Knows neither containers nor adapters: a model arrives loaded, and its tokenizer beside it.
"""
