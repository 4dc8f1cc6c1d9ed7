"""The demo's text: the source of Python's own standard library, present on every machine."""

import hashlib
import sysconfig
from dataclasses import dataclass
from pathlib import Path

EVERY = 4
"""Every fourth file is kept from the base model, for recovery and held-out loss."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Two texts without a file in common.

    Attributes:
        pretraining: What the base model learns from.
        recovery: What the pruned model is fine-tuned and scored on.
    """

    pretraining: str
    recovery: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(f"{self.pretraining}\0{self.recovery}".encode()).hexdigest()


def standard_library() -> Corpus:
    """Read the top-level modules of the running Python, in the order of their names."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in files]
    kept = [text for index, text in enumerate(texts) if index % EVERY == 0]
    rest = [text for index, text in enumerate(texts) if index % EVERY]
    return Corpus("\n".join(rest), "\n".join(kept))
