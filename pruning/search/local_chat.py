"""LocalChat: a language model from a directory of this machine."""

import time
from pathlib import Path
from typing import Any

import torch

from pruning.container.container import LoadedModel, load
from pruning.search.chat import Reply
from rankspace.errors import InvalidInput

MOST_TOKENS = 512
"""Of a reply; two hundred rates fit."""
LEAST_TOKENS = 16
"""Of a reply, below which there is no point in asking."""


class LocalChat:
    """Greedy replies of a model that transformers knows, so that the same question gives the same.

    Weights are read as everywhere here: safetensors, no code of theirs.
    """

    def __init__(self, directory: Path, device: torch.device) -> None:
        """Load the model.

        Raises:
            InvalidContainer: ``directory`` holds no model that can be loaded.
        """
        self._loaded: LoadedModel = load(directory, device=device)
        self._positions: int = self._loaded.model.config.max_position_embeddings

    @property
    def name(self) -> str:
        return f"{Path(self._loaded.description.path).name} {self._loaded.description.fingerprint}"

    @torch.no_grad()
    def __call__(self, prompt: str) -> Reply:
        """Reply to ``prompt``, in the model's chat template where it has one.

        Raises:
            InvalidInput: The question does not fit into the model's window.
        """
        began = time.monotonic()
        ids = self._ids(prompt)
        room = self._positions - ids.shape[1]
        if room < LEAST_TOKENS:
            problem = f"has {self._positions:,} positions, and a question takes {ids.shape[1]:,}"
            raise InvalidInput("chat", self.name, problem, fix="use a model with a longer window")
        generate: Any = self._loaded.model.generate
        written = generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=min(MOST_TOKENS, room),
            do_sample=False,
            pad_token_id=self._loaded.tokenizer.eos_token_id,
        )[0, ids.shape[1] :]
        text = str(self._loaded.tokenizer.decode(written, skip_special_tokens=True))
        return Reply(text, "", ids.shape[1], len(written), time.monotonic() - began)

    def _ids(self, prompt: str) -> torch.Tensor:
        tokenizer: Any = self._loaded.tokenizer
        if getattr(tokenizer, "chat_template", None) is None:
            found = tokenizer.encode(prompt, verbose=False)
        else:
            turns = [{"role": "user", "content": prompt}]
            text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            found = tokenizer.encode(text, add_special_tokens=False, verbose=False)
        return torch.tensor([found], device=self._loaded.model.device)
