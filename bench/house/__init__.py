"""The house in figures: rooms, floors and arrows of every package, and ways through them."""
