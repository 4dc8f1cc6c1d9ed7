"""The demo: the whole product on a small real model, in minutes, with real processes."""
