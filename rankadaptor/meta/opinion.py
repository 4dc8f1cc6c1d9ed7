"""A prior of one's own, asked where its study is submitted: only its numbers are sent."""

from dataclasses import replace
from pathlib import Path

from rankspace import Context, SearchSpace, Study
from rankspace.errors import InvalidInput
from rankspace.study import PRIORS, Opinion

MAX_BYTES = 16 << 20  # of a prior; the shipped one has a hundredth


def with_opinion(study: Study, space: SearchSpace, context: Context) -> Study:
    """Return ``study`` with what the file says that its ``search.prior`` names, if it names one.

    Raises:
        InvalidInput: The file is no prior, or has nothing to say of this model.
        UnsupportedVersion: Another version of the program wrote it.
    """
    prior = study.search.prior
    if isinstance(prior, Opinion) or prior in PRIORS:
        return study
    opinion = _opinion(Path(prior), space, context)
    return replace(study, search=replace(study.search, prior=opinion))


def _opinion(file: Path, space: SearchSpace, context: Context) -> Opinion:
    try:
        from perfmodel.meta.prior import read_prior  # noqa: PLC0415  # numpy

        belief = read_prior(_content(file)).belief(space, context)
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


def _content(file: Path) -> bytes:
    with file.open("rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        problem = f"has more than {MAX_BYTES >> 20} MiB"
        fix = "give what rankadaptor meta train wrote"
        raise InvalidInput("prior", str(file), problem, fix=fix)
    return content
