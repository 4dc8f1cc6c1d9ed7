"""What each method does and where it comes from, in two sentences; needs no torch."""

from collections.abc import Mapping
from types import MappingProxyType

from pruning.methods.settings import PrunerName

ABOUT: Mapping[PrunerName, str] = MappingProxyType(
    {
        PrunerName.TAYLOR: (
            "Removes heads and channels whose weights times their gradients are smallest, by first "
            "order. LLM-Pruner (arXiv 2305.11627), param_first."
        ),
        PrunerName.TAYLOR_MIX: (
            "As taylor, with the diagonal of the Fisher matrix for the second order, at twice the "
            "memory of the sums. LLM-Pruner (arXiv 2305.11627), param_mix."
        ),
        PrunerName.TAYLOR_VECTOR: (
            "As taylor, summed within each row or column before the magnitude is taken. LLM-Pruner "
            "(arXiv 2305.11627), vectorize."
        ),
        PrunerName.MAGNITUDE: (
            "Removes heads and channels whose squared weights sum to least, without looking at "
            "text: a control. LLM-Pruner's option l2 (arXiv 2305.11627)."
        ),
        PrunerName.RANDOM: (
            "Removes heads and channels at random, by the seed: what any criterion must beat. A "
            "control, of no paper."
        ),
        PrunerName.WANDA_STRUCTURED: (
            "Removes heads and channels by output weights times the norm of what these are fed, "
            "each block fed by those already cut. Wanda (arXiv 2306.11695) by structures, as "
            "Wanda-sp in FLAP (arXiv 2312.11983)."
        ),
        PrunerName.FLAP: (
            "Removes heads and channels whose outputs fluctuate least, standardised across blocks, "
            "and puts their mean into a bias. FLAP (arXiv 2312.11983), WIFV with AL-AM."
        ),
        PrunerName.LORAPRUNE: (
            "Trains an adapter on the text, by its gradients masks heads and channels meanwhile, "
            "and in the end merges it and cuts what is masked. LoRAPrune (arXiv 2305.18403)."
        ),
        PrunerName.LORAP: (
            "Keeps attention matrices as low-rank factors, weighted by what they are fed, and "
            "removes FFN channels by weights times inputs, each block fed by those already cut. "
            "LoRAP (arXiv 2404.09695), AWSVD with the ratio of 3 for V and O."
        ),
        PrunerName.LORAP_PLAIN: (
            "As lorap, with factors of the plain singular value decomposition, whatever the "
            "matrices are fed: its control. LoRAP (arXiv 2404.09695), SVD."
        ),
        PrunerName.DEPTH_TAYLOR: (
            "Drops whole blocks whose weights times their gradients sum to least, in one shot. "
            "Shortened LLaMA (arXiv 2402.02834), Taylor; sparing the ends, as --blocks does, is "
            "its Taylor+."
        ),
        PrunerName.DEPTH_PERPLEXITY: (
            "Drops whole blocks without which, one at a time, the calibration text is predicted "
            "best, in one shot. Shortened LLaMA (arXiv 2402.02834), PPL."
        ),
    }
)
