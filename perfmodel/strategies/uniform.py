"""``uniform``: the same rank everywhere, which is what a search has to beat."""

from collections.abc import Collection

import numpy as np

from perfmodel.state import ModelState
from perfmodel.strategies.observed import Observed
from rankspace import Proposal, RankVector


class Uniform(Observed):
    """Proposes the one vector again and again, for its run-to-run noise."""

    source = "Hu et al. 2022 (LoRA, arXiv 2106.09685): one rank for every matrix"

    def propose(
        self,
        state: ModelState,
        pending: Collection[RankVector],
        rng: np.random.Generator,
    ) -> Proposal:
        """Offer the uniform vector, even while it runs: there is no other."""
        vector = state.space.uniform()
        mean, std = self.predict(state, [vector]) if state.scored else (None, None)
        return Proposal(
            vector,
            None if mean is None else float(mean[0]),
            None if std is None else float(std[0]),
            "Uniform: the same rank on every layer, the largest the budget pays for",
        )
