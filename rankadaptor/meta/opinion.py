"""A prior of one's own, asked where its study is submitted: only its numbers are sent."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from rankadaptor.screen import err
from rankspace import Context, SearchSpace, Study
from rankspace.errors import InvalidInput, UnreadableInput, cut
from rankspace.observation import Taught
from rankspace.study import PRIORS, Opinion, StrategyName
from rankspace.wire import encode

MAX_BYTES = 16 << 20  # of a prior; the shipped one has a hundredth
NEW_LINE = b"\n"

BLANK = b"\xef\xbb\xbf \t\r"
"""What may come before a line: white space, and a byte order mark."""

EXPORTED = b'{"wire"'
"""How a line of an export begins."""

SHOWN = 3
"""Studies that teach nothing, and why, that are named."""


def with_opinion(study: Study, space: SearchSpace, context: Context) -> Study:
    """Return ``study`` with what the file says that its ``search.prior`` names, if it names one.

    Raises:
        InvalidInput: The file is no prior, or has nothing to say of this model.
        UnsupportedVersion: Another version of the program wrote it.
    """
    prior = study.search.prior
    if isinstance(prior, Opinion) or prior in PRIORS:
        return study
    opinion = _opinion(Path(prior), study.search.strategy, space, context)
    return replace(study, search=replace(study.search, prior=opinion))


def _opinion(file: Path, strategy: StrategyName, space: SearchSpace, context: Context) -> Opinion:
    content = _content(file)
    try:
        if _is_export(content):
            return _taught(file, content, strategy, space)
        from perfmodel.meta.prior import read_prior  # noqa: PLC0415  # numpy

        belief = read_prior(content).belief(space, context)
        if belief is None:
            problem = "says nothing of a model without profiles"
            fix = "run 'rankadaptor profile MODEL --text FILE' first, or leave search.prior out"
            raise InvalidInput("prior", str(file), problem, fix=fix)
        return Opinion(belief.prior, belief.log_worth)
    except InvalidInput as error:
        raise error.under("search") from None
    except ModuleNotFoundError as error:
        fix = "pip install 'rankadaptor[service]' here too, or leave search.prior out"
        raise InvalidInput("search.prior", str(file), f"needs {error.name}", fix=fix) from None


def _is_export(content: bytes) -> bool:
    """Whether it is of ``rankadaptor meta export``, damaged or not; a prior is one JSON document.

    Raises:
        UnreadableInput: It is not JSON, and no line begins like one of an export.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        if any(line.lstrip(BLANK).startswith(EXPORTED) for line in content.split(NEW_LINE)):
            return True
        size = f"{len(content):,} bytes"
        fix = "give what rankadaptor meta train wrote, or rankadaptor meta export"
        raise UnreadableInput("prior", size, "is not JSON", fix=fix) from None
    return isinstance(document, dict) and "wire" in document


def _taught(file: Path, content: bytes, strategy: StrategyName, space: SearchSpace) -> Opinion:
    """Trials of the studies in the file that have the layers of ``space``."""
    if strategy is not StrategyName.RANKADAPTOR:
        problem = f"has trials of other studies, from which strategy {strategy} does not learn"
        fix = "use strategy rankadaptor, or make a prior of them: rankadaptor meta train"
        raise InvalidInput("prior", str(file), problem, fix=fix)
    from perfmodel.meta.finished import read_studies  # noqa: PLC0415  # numpy
    from perfmodel.meta.teaching import teaching  # noqa: PLC0415

    try:
        found = teaching(read_studies(content.decode("utf-8-sig")), space)
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        fix = "export the studies anew with rankadaptor meta export"
        field = f"prior.line {1 + before.count(NEW_LINE)}"
        raise UnreadableInput(field, str(file), "is not UTF-8 text", fix=fix) from None
    except InvalidInput as error:
        raise error.under("prior") from None
    if found.taught is None:
        problem = f"teaches nothing of these layers: {_why(found.left_out)}"
        fix = "export studies of this model at this search.granularity, or leave search.prior out"
        raise InvalidInput("prior", str(file), problem, fix=fix)
    rows, studies = len(found.taught.vectors), len(found.studies)
    left_out = f"; left out: {_why(found.left_out)}" if found.left_out else ""
    err.print(f"taught offline by {rows:,} trials of {studies:,} other studies{left_out}")
    return Opinion(_version(found.taught), taught=found.taught)


def _why(left_out: Mapping[str, str]) -> str:
    if not left_out:
        return "it has no study"
    named = [f"{cut(name)} {problem}" for name, problem in islice(left_out.items(), SHOWN)]
    more = f"; and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
    return "; ".join(named) + more


def _version(taught: Taught) -> str:
    """What tells these rows from others, for the record."""
    return f"rows-{hashlib.sha256(json.dumps(encode(taught)).encode()).hexdigest()[:12]}"


def _content(file: Path) -> bytes:
    with file.open("rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        problem = f"has more than {MAX_BYTES >> 20} MiB"
        fix = "give what rankadaptor meta train wrote"
        raise InvalidInput("search.prior", str(file), problem, fix=fix)
    return content
