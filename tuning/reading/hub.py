"""HubFile: a file of a data set on the Hugging Face hub, as this machine's cache has it.

Nothing is fetched: whoever names a study would choose what a worker asks for, inside its network,
too. The address pins a commit, so that it means the same file on every machine.
"""

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from rankspace.errors import CannotOpen, InvalidInput

EXAMPLE = "hf://datasets/ORGANISATION/NAME@COMMIT/FILE"

_ANY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(://|::)")
_HUB = re.compile(r"hf://datasets/(?P<repo>[^@]+?)(@(?P<commit>[^/]*))?/(?P<file>[^@]+)")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file at one commit.

    Attributes:
        repo: ``ORGANISATION/NAME`` of a data set.
        commit: All 40 hexadecimal digits.
        file: Path in it.
    """

    repo: str
    commit: str
    file: str

    def within(self, cache: Path) -> Path:
        """Return where the hub's own tools put it."""
        folder = f"datasets--{self.repo.replace('/', '--')}"
        return cache / folder / "snapshots" / self.commit / self.file

    @property
    def command(self) -> str:
        """What puts it there."""
        what = f"{self.repo} {shlex.quote(self.file)} --repo-type dataset --revision {self.commit}"
        return f"hf download {what}"


def is_address(train: str) -> bool:
    """Whether ``train`` is no path, but says how to get there."""
    return bool(_ANY.match(train))


def located(field: str, train: str) -> Path:
    """Return where on this machine ``train`` is, or would be.

    Raises:
        InvalidInput: An address that is none of a pinned file of a data set on the hub.
        CannotOpen: There is no saying where this machine's cache would be.
    """
    if not is_address(train):
        return Path(train)
    return _hub_file(field, train).within(_cache(field, train))


def check_cached(field: str, train: str) -> None:
    """Refuse an address whose file is not in the cache; paths are left to whoever opens them.

    Raises:
        InvalidInput: As ``located`` does.
        CannotOpen: It is not there; says what brings it.
    """
    if not is_address(train):
        return
    named, cache = _hub_file(field, train), _cache(field, train)
    if not named.within(cache).is_file():
        problem = f"is not in this machine's cache ({cache}), and nothing is fetched"
        raise CannotOpen(field, train, problem, fix=f"{named.command} on every worker")


def _hub_file(field: str, train: str) -> HubFile:
    found = _HUB.fullmatch(train)
    if found is None:
        _refuse_other(field, train)
    repo, commit, file = found["repo"], found["commit"], found["file"]
    if commit is None or not _COMMIT.fullmatch(commit):
        problem = "names no commit, and a branch is another file tomorrow"
        fix = f"pin one by its 40 hexadecimal digits: {EXAMPLE}"
        raise InvalidInput(field, train, problem, fix=fix)
    names = repo.split("/")
    is_plain = len(names) in (1, 2) and all(map(_NAME.fullmatch, names))
    if not is_plain or not all(part.strip(".") for part in file.split("/")) or "\0" in file:
        raise InvalidInput(field, train, "is no file of a data set", fix=f"write {EXAMPLE}")
    return HubFile(repo, commit, file)


def _refuse_other(field: str, train: str) -> NoReturn:
    problem = "is an address, and neither submitting nor a worker fetches anything"
    fix = f"download it and give its path; of the hub's data sets a cached file: {EXAMPLE}"
    raise InvalidInput(field, train, problem, fix=fix)


def _cache(field: str, train: str) -> Path:
    named = _named_cache()
    try:
        return Path(named).expanduser()
    except RuntimeError:  # a user without an entry, in a container, or no such user
        problem = f"is in this machine's cache ({named}), and there is no such home directory"
        raise CannotOpen(field, train, problem, fix="set HF_HUB_CACHE, or HOME") from None


def _named_cache() -> str:
    """As huggingface_hub finds it."""
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if named:
        return named
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return f"{os.environ.get('HF_HOME') or f'{cache}/huggingface'}/hub"
