"""Group sizes: how many of the items that follow each other each group has, the same for all."""


def group_sizes(items: int, most: int) -> tuple[int, ...]:
    """Divide ``items`` among ``most`` groups, as evenly as they go; of fewer items, each is one."""
    count = min(items, most)
    return tuple(items * (at + 1) // count - items * at // count for at in range(count))
