"""Publishing: a recovered model in the forms that other programs read."""
