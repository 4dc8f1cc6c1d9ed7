"""What ``--chat`` means: a model behind an address, or one in a directory."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from rankadaptor.commands.options import warn_of_plain_text
from rankspace.errors import InvalidInput

if TYPE_CHECKING:
    import torch

    from pruning.search.chat import Chat

KEY = "RANKADAPTOR_CHAT_KEY"


def chat_of(
    asked: str | None, model: str | None, seconds: float, device: "torch.device"
) -> "Chat | None":
    """Return the chat that is asked for; None for none.

    Raises:
        InvalidInput: An address without a model's name, or a directory without a model.
    """
    if asked is None:
        return None
    if not 0.0 < seconds <= 86400.0:
        fix = "use 120, or what a reply may take"
        raise InvalidInput("--chat-timeout", seconds, "is no time to wait", fix=fix)
    return _endpoint(asked, model, seconds) if "://" in asked else _local(asked, device)


def _endpoint(url: str, model: str | None, seconds: float) -> "Chat":
    from rankadaptor.rate_search.endpoint import Endpoint

    if not model:
        fix = "give the name that the endpoint has for it"
        raise InvalidInput("--chat-model", model, "is missing beside an address", fix=fix)
    key = os.environ.get(KEY, "")
    endpoint = Endpoint(url, model, key, seconds=seconds)
    if key:
        warn_of_plain_text(url)
    return endpoint


def _local(directory: str, device: "torch.device") -> "Chat":
    from pruning.search.local_chat import LocalChat

    return LocalChat(Path(directory), device)
