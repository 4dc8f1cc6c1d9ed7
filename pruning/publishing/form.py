"""Form: as what a recovered model leaves."""

from enum import StrEnum


class Form(StrEnum):
    """What ``export`` writes of a recovered model.

    ``ADAPTER`` is peft's two files beside the pruned model; in the others the adapter is merged:
    ``MERGED`` is an ordinary Hugging Face directory, which needs blocks of one size; ``CONTAINER``
    a pruned-model container; ``GGUF`` one file for llama.cpp.
    """

    ADAPTER = "adapter"
    MERGED = "merged"
    CONTAINER = "container"
    GGUF = "gguf"
