"""Inputs: what a study's results were measured on has to be the same for all of them."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from sqlalchemy.orm import Session

from rankspace import Measurement
from rankspace.errors import Conflict, InvalidInput
from rankspace.recipe import Inputs
from service.studies.inputs import measured_on
from service.studies.repository import Studies, change
from service.trials.repository import Trials

_AGAIN = "put back what the study began with, or submit a new study"
_OTHER_RELEASE = "let workers of the release it began with finish the study, or submit a new one"
_NAMED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "data": ("recipe.data.train has the hash", _AGAIN),
        "tokenizer": ("the model's tokenizer has the hash", _AGAIN),
        "reading": ("recipe.data.train was read and divided as of version", _OTHER_RELEASE),
    }
)
"""What is said of each, and what to do about it."""


class OtherInputs(Conflict):
    """What was measured on is not what the study is measured on; the trial is to be given back."""


def agree(session: Session, study: str, measured: Measurement) -> None:
    """Hold what a result states of its inputs against the locked study's.

    Where nobody has said yet what the study's are, its first result does, for all that follow. A
    later one vouches for none of those before it: what that leaves open stays open.

    Raises:
        OtherInputs: They are others.
        InvalidInput: They are no hashes, or no version.
    """
    stated = _stated(measured)
    submitted = Studies(session).study(study)
    known = measured_on(session, study, submitted.inputs)
    differing = known.differing(stated)
    if differing:
        raise _other(differing[0], known, stated)
    whole = known.completed(stated)
    if whole != submitted.inputs and not Trials(session).has_score(study):
        change(Studies(session).locked(study), replace(submitted, inputs=whole))


def _stated(measured: Measurement) -> Inputs:
    try:
        return Inputs.of(measured.versions)
    except InvalidInput as error:
        raise error.under("measurement.versions") from None


def _other(name: str, expected: Inputs, stated: Inputs) -> OtherInputs:
    ours, theirs = getattr(expected, name), getattr(stated, name)
    found, hint = _NAMED[name]
    return OtherInputs(f"{found} {theirs}, and the study is measured on {ours}", hint=hint)
