"""MetaPrior: what finished studies taught, as a file.

One JSON document: a format name and version, a checksum of the content, and the content: XGBoost's
own JSON for the trees, the names of the features they know, and where all of it came from.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from perfmodel.additive.belief import Belief
from perfmodel.meta.boosting import Trees
from perfmodel.meta.features import FEATURES, STUDY_FEATURES, features
from perfmodel.meta.noise import NoiseOpinion
from rankspace import Context, SearchSpace
from rankspace.cached import cached_property
from rankspace.errors import InvalidInput, UnreadableInput, UnsupportedVersion, glimpse
from rankspace.wire import decode, encode

FORMAT = "rankadaptor-meta-prior"
VERSION = 1
"""Raised when the features or the meaning of a number change; no older version is read."""

AGAIN = "train it anew with rankadaptor meta train"

KEPT = 4
"""Priors that a process keeps as read: all studies begin with the same few, and to parse and to
check the one delivered takes longer than all else of a submission."""


@dataclass(frozen=True)
class Teacher:
    """A study the prior was learned from.

    Attributes:
        name: Of the study.
        family: Its base model, if known.
        layers: That were searched.
        trials: It finished.
    """

    name: str
    family: str
    layers: int
    trials: int


@dataclass(frozen=True)
class Provenance:
    """Where a prior comes from.

    Attributes:
        teachers: What it was learned from.
        made: Day, as YYYY-MM-DD; empty if not told.
        command: That made it.
        versions: Of the libraries it depends on.
        held_out: What was left out together when ``spread`` was measured: study or family.
    """

    teachers: tuple[Teacher, ...]
    made: str = ""
    command: str = ""
    versions: Mapping[str, str] | None = None
    held_out: str = ""


@dataclass(frozen=True)
class MetaPrior:
    """A prior over the layers of studies it has not seen.

    Attributes:
        worth: Features to log worth.
        noise: Features of the study to its noise ratio.
        spread: Standard deviation of true around predicted log worth, on what was held out.
        ranges: By feature of a layer, its 10 %, 50 % and 90 % quantiles over the layers learned
            from; a feature none of them has is missing.
        provenance: Where it comes from.
    """

    worth: Trees
    noise: NoiseOpinion
    spread: float
    ranges: Mapping[str, tuple[float, ...]]
    provenance: Provenance

    @cached_property
    def version(self) -> str:
        """Day and checksum, for records."""
        return f"{self.provenance.made or 'undated'}-{_checksum(self._content())[:12]}"

    def belief(self, space: SearchSpace, context: Context) -> Belief | None:
        """Say what is expected of a study; None if ``context`` has no layer profiles.

        Fixed layers get the mean, as nothing about them is open.

        Raises:
            InvalidInput: The profiles do not belong to ``space``.
        """
        free = space.free_layers
        if not context.profiles or not free:
            return None
        worth = np.zeros(len(space.layers))
        said = self.worth.predict(features(space, context)[free])
        worth[free] = said - said.mean()
        return Belief(tuple(worth.tolist()), self.version)

    def to_bytes(self) -> bytes:
        """Write the file; equal priors give equal bytes."""
        content = self._content()
        document = {
            "format": FORMAT,
            "version": VERSION,
            "sha256": _checksum(content),
            "content": content,
        }
        return _canonical(document) + b"\n"

    def _content(self) -> dict[str, Any]:
        return {
            "features": list(FEATURES),
            "study_features": list(STUDY_FEATURES),
            "worth": self.worth.document,
            "noise": {"mean": self.noise.mean, "trees": self.noise.trees.document},
            "spread": self.spread,
            "ranges": encode(self.ranges),
            "provenance": encode(self.provenance),
        }


@dataclass(frozen=True)
class _Ranges:
    by: Mapping[str, tuple[float, ...]]


@lru_cache(maxsize=KEPT)
def read_prior(blob: bytes) -> MetaPrior:
    """Read what ``MetaPrior.to_bytes`` wrote.

    Raises:
        UnreadableInput: It is not JSON.
        UnsupportedVersion: Another version of the program wrote it.
        InvalidInput: It is another document, or was damaged.
    """
    content = _checked(_parsed(blob))
    for name, known in (("features", FEATURES), ("study_features", STUDY_FEATURES)):
        if content[name] != list(known):
            raise InvalidInput(f"prior.{name}", content[name], "are not this program's", fix=AGAIN)
    spread = content["spread"]
    if not isinstance(spread, float) or not spread > 0.0:
        raise InvalidInput("prior.spread", spread, "must be a positive number", fix=AGAIN)
    return MetaPrior(
        worth=Trees(content["worth"]),
        noise=NoiseOpinion(float(content["noise"]["mean"]), Trees(content["noise"]["trees"])),
        spread=spread,
        ranges=decode(_Ranges, {"by": content["ranges"]}, "prior").by,
        provenance=decode(Provenance, content["provenance"], "prior.provenance"),
    )


def _parsed(blob: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(blob)
    except (ValueError, RecursionError) as error:
        size = f"{len(blob):,} bytes"
        raise UnreadableInput("prior", size, f"is not JSON: {error}", fix=AGAIN) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else type(document).__name__
        raise InvalidInput("prior.format", found, f"is not {FORMAT!r}", fix=AGAIN)
    if document.get("version") != VERSION:
        version = glimpse(document.get("version"))
        problem = f"prior.version = {version}: this program reads {VERSION}"
        raise UnsupportedVersion(problem, hint=AGAIN)
    return document


def _checked(document: Mapping[str, Any]) -> Mapping[str, Any]:
    content, told = document.get("content"), document.get("sha256")
    if not isinstance(content, dict):
        raise InvalidInput("prior.content", content, "is missing", fix=AGAIN)
    found = _checksum(content)
    if told != found:
        raise InvalidInput(
            "prior.sha256", told, f"the content has {found}: it was damaged or edited", fix=AGAIN
        )
    return content


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _checksum(content: Any) -> str:
    return hashlib.sha256(_canonical(content)).hexdigest()
