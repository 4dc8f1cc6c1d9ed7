"""Searching rates: what each block loses, judged by the loss on held-out text."""
