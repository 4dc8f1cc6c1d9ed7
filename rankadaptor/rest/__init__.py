"""The REST interface of the service as Python: what it answers, as it answers it."""
