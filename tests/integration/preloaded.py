"""What the one process imports that all are forked from, also those of the chaos run."""

from importlib import import_module

from service.allocation import nothing_collected

with nothing_collected():
    for room in ("bench.chaos.crew", "service.server", "worker.run", "tests.integration.forked"):
        import_module(room)
