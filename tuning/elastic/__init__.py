"""One adapter for every rank vector: trained with another prefix at each step, scored at any."""
