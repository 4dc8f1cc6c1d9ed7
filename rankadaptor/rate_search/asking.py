"""From names to a search: which one, by which method, and whom it asks."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pruning.search.about import SearchName
from rankadaptor.rate_search.files import SearchFiles
from rankspace.errors import InvalidInput

if TYPE_CHECKING:
    from pruning.search.calls import Calls
    from pruning.search.chat import Chat
    from pruning.search.evaluation import Search
    from pruning.search.self_pruner import Replies


def search_named(name: str) -> SearchName:
    """Return the search of that name.

    Raises:
        InvalidInput: There is none.
    """
    if name not in set(SearchName):
        fix = f"use one of: {', '.join(SearchName)}"
        raise InvalidInput("search", name, "is not a search", fix=fix)
    return SearchName(name)


def check_chat(name: SearchName, chat: str | None, files: SearchFiles) -> None:
    """Check that whoever is asked is needed, and there, before a model is loaded.

    Raises:
        InvalidInput: Somebody is and is not, or the other way round.
    """
    if name != SearchName.SELF_PRUNER and chat is not None:
        raise InvalidInput("--chat", chat, f"is not asked by {name}", fix="leave it out")
    if name == SearchName.SELF_PRUNER and chat is None and not files.calls.exists():
        problem = "is missing: a language model makes every move of self-pruner"
        fix = "name a directory or an address, or search with genetic"
        raise InvalidInput("--chat", None, problem, fix=fix)


@dataclass(frozen=True, slots=True)
class Asking:
    """A search, and what is to be said of the language model behind it.

    Attributes:
        search: To be run.
        replies: What became of the model's; None where none is asked.
        calls: Whom it is asked through.
    """

    search: "Search"
    replies: "Replies | None" = None
    calls: "Calls | None" = None

    @property
    def document(self) -> dict[str, Any]:
        """For the file of the rates: how much of them is the model's."""
        if self.replies is None or self.calls is None:
            return {}
        return {"chat": {**asdict(self.replies), "reply_tokens": self.calls.tokens}}

    @property
    def sentence(self) -> str | None:
        """For a person; None where no model is asked."""
        if self.replies is None or self.calls is None:
            return None
        spent = f"{self.calls.tokens:,} tokens of replies in {self.calls.seconds:.0f} s"
        return f"{self.replies.sentence}; {spent}, {self.calls.replayed} of them from before"

    @property
    def is_the_models(self) -> bool:
        """Whether a model that was asked made any move."""
        return self.replies is None or self.replies.used > 0


def asking(name: SearchName, seed: int, chat: "Chat | None", files: SearchFiles) -> Asking:
    """Make the search ``name``."""
    from pruning.search.calls import Calls
    from pruning.search.searches import SEARCHES
    from pruning.search.self_pruner import SelfPruner

    if name in SEARCHES:
        return Asking(SEARCHES[name](seed))
    calls = Calls(files.calls, chat)
    search = SelfPruner(seed, calls)
    return Asking(search, search.replies, calls)
