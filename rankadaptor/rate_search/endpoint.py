"""Endpoint: a chat model behind an OpenAI-compatible address, which nobody has to trust."""

import asyncio
import json
import time
from typing import Any

import httpx

from pruning.search.chat import Reply
from rankspace.errors import InvalidInput, cut
from rankspace.redaction import visible

MAX_BYTES = 1 << 20
"""Of an answer; a list of two hundred rates takes two thousand."""

MOST_TOKENS = 4096
"""Asked for at most: some models think before they answer."""

TEMPERATURE = 0.7

_SECRET = "[redacted]"


class Endpoint:
    """Asks with ``POST URL/chat/completions``, one message at a time.

    A whole call ends after a time limit, however slowly it drips; an answer that is too large is
    not read to its end, none is unpacked, and no redirect is followed, which could take the key
    elsewhere. Proxies of the environment are not used. The key is sent and nothing else: where an
    answer repeats it, it is blanked.
    """

    def __init__(self, url: str, model: str, key: str, *, seconds: float) -> None:
        """Check the address; nothing is sent yet.

        Raises:
            InvalidInput: No http address, one with a password in it, or a key that is no header.
        """
        self._address = _checked(url)
        if key and not (key.isascii() and key.isprintable()):
            problem, fix = "holds characters that cannot be sent", "set it to the key alone"
            raise InvalidInput("RANKADAPTOR_CHAT_KEY", _SECRET, problem, fix=fix)
        self._model, self._key, self._seconds = model, key, seconds

    @property
    def name(self) -> str:
        return f"{self._model} at {self._address}"

    def __call__(self, prompt: str) -> Reply:
        """Ask; see ``pruning.search.chat.Chat``."""
        began = time.monotonic()
        try:
            body = asyncio.run(self._post(prompt))
            text, counts = _read(body)
        except TimeoutError:
            return self._nothing(f"no whole answer within {self._seconds:g} seconds", began)
        except (httpx.HTTPError, _NoAnswer) as error:
            problem = str(error) or type(error).__name__
            return self._nothing(self._blanked(cut(visible(problem), 200)), began)
        return Reply(self._blanked(text), "", *counts, seconds=time.monotonic() - began)

    async def _post(self, prompt: str) -> bytes:
        headers = {"Accept-Encoding": "identity"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        asked = {
            "model": self._model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": TEMPERATURE,
            "max_tokens": MOST_TOKENS,
        }
        async with (
            asyncio.timeout(self._seconds),
            httpx.AsyncClient(timeout=self._seconds, trust_env=False) as client,
            client.stream("POST", self._address, json=asked, headers=headers) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise _NoAnswer(f"it answers {answer.status_code} {answer.reason_phrase}")
            return await _whole(answer)

    def _blanked(self, text: str) -> str:
        return text.replace(self._key, _SECRET) if self._key else text

    def _nothing(self, problem: str, began: float) -> Reply:
        return Reply(None, problem, seconds=time.monotonic() - began)


class _NoAnswer(Exception):
    """What came is no reply; says why in one line."""


async def _whole(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for part in answer.aiter_raw():
        body += part
        if len(body) > MAX_BYTES:
            raise _NoAnswer(f"its answer is larger than {MAX_BYTES:,} bytes")
    return bytes(body)


def _read(body: bytes) -> tuple[str, tuple[int | None, int | None]]:
    """Return what was said, and the tokens of question and reply where plausible."""
    try:
        document = json.loads(body)
        text = document["choices"][0]["message"]["content"]
    except (ValueError, RecursionError, LookupError, TypeError):
        raise _NoAnswer("its answer is no chat completion") from None
    if not isinstance(text, str):
        raise _NoAnswer("its answer holds no text")
    # Half of a surrogate pair cannot be written anywhere.
    text = text.encode(errors="replace").decode()
    usage = document.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return text, (_count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens")))


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**40 else None


def _checked(url: str) -> str:
    fix = "give an address such as http://127.0.0.1:8000/v1"
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidInput("--chat", url, str(error), fix=fix) from None
    if address.userinfo:
        problem, fix = "holds a name or a password", "set RANKADAPTOR_CHAT_KEY instead"
        raise InvalidInput("--chat", address.host, problem, fix=fix)
    if address.scheme not in ("http", "https") or not address.host or address.query:
        raise InvalidInput("--chat", url, "is no http or https address", fix=fix)
    return f"{str(address).rstrip('/')}/chat/completions"
