"""A real llama.cpp, asked for the most likely tokens and their probabilities."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest


class LlamaCpp:
    """One model of llama.cpp, on the CPU, as its own server answers."""

    def __init__(self, path: Path, context: int = 512) -> None:
        library = pytest.importorskip("xllamacpp")
        parameters = library.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx = context
        parameters.n_parallel = 1
        parameters.cpuparams.n_threads = 1
        self._server: Any = library.Server(parameters)
        # One that is let go before its loop has begun is waited for without end.
        self._complete([1], 1, 0)

    def continued(self, prompt: Sequence[int], tokens: int) -> list[int]:
        """Return the ids of ``tokens`` greedy tokens."""
        answer = self._complete(prompt, tokens, 0)
        return [int(token) for token in answer["tokens"]]

    def logprobs(self, prompt: Sequence[int], most: int, then: int) -> dict[int, float]:
        """Return the log-probability of each of the ``most`` likeliest next tokens.

        The token ``then`` is made to follow: of one that is only a part of a letter, nothing is
        told before the next.
        """
        answer = self._complete(prompt, 1, most, logit_bias=[[then, 1e4]])
        step = answer["completion_probabilities"][0]
        return {int(told["id"]): float(told["logprob"]) for told in step["top_logprobs"]}

    def tokens_of(self, text: str, *, special: bool = False) -> list[int]:
        """Return the ids a text becomes, what is put around it included.

        ``special`` reads the names of special tokens as these, as transformers does.
        """
        asked = {"content": text, "add_special": True, "parse_special": special}
        return [int(token) for token in self._answer("/tokenize", asked)["tokens"]]

    def _complete(self, prompt: Sequence[int], tokens: int, probabilities: int, **more: Any) -> Any:
        asked = {
            "prompt": list(prompt),
            "n_predict": tokens,
            "n_probs": probabilities,
            "temperature": 0.0,
            "ignore_eos": True,
            "cache_prompt": False,
            "return_tokens": True,
            **more,
        }
        return self._answer("/completion", asked)

    def _answer(self, path: str, asked: dict[str, Any]) -> Any:
        # It speaks plain HTTP; reading certificates takes longer than its answers.
        with httpx.Client(base_url=self._server.listening_address, verify=False) as client:
            answer = client.post(path, json=asked, timeout=60)
        return answer.raise_for_status().json()
