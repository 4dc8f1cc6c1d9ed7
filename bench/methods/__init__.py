"""Every way to prune, measured before anything is recovered."""
