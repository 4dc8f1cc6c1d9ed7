"""Inputs: whether a trial reads what its study was submitted for."""

from rankspace.errors import CannotOpen, InvalidInput
from rankspace.lease import Assignment
from rankspace.recipe import Inputs
from tuning.examples import FIELD
from tuning.reading.hub import check_cached, located
from worker.trial.reach import Reach

_AGAIN = "put back what was submitted, or submit a new study"
_OTHER_RELEASE = "let workers of the release it began with finish the study, or submit a new one"


def check_inputs(assignment: Assignment, found: Inputs) -> None:
    """Refuse a file, a tokenizer or a way to read that is not the study's, as a changed model is.

    Raises:
        CannotOpen: Naming both.
    """
    differing = assignment.inputs.differing(found)
    if "reading" in differing:
        ours, its = found.reading, assignment.inputs.reading
        problem = f"this worker reads and divides it as of version {ours}, the study as of {its}"
        raise CannotOpen(FIELD, assignment.recipe.data.train, problem, fix=_OTHER_RELEASE)
    if "data" in differing:
        expected = f"the study is measured on {assignment.inputs.data}"
        problem = f"has SHA-256 {found.data}, {expected}"
        raise CannotOpen(FIELD, assignment.recipe.data.train, problem, fix=_AGAIN)
    if "tokenizer" in differing:
        expected = f"the study's have hash {assignment.inputs.tokenizer}"
        problem = f"its tokenizer makes other tokens (hash {found.tokenizer}, {expected})"
        raise CannotOpen("model_path", assignment.model_path, problem, fix=_AGAIN)


def check_data_file(assignment: Assignment, reach: Reach) -> None:
    """Check that the training data are this machine's to read, before anything is loaded for them.

    Raises:
        CannotOpen: They are out of ``reach``, or at an address that is not in the cache.
    """
    train = assignment.recipe.data.train
    try:
        path = located(FIELD, train)
    except InvalidInput as error:
        raise CannotOpen(error.field, error.value, error.problem, fix=error.hint) from error
    reach.check(FIELD, str(path))
    check_cached(FIELD, train)


def changed_meanwhile(assignment: Assignment) -> CannotOpen:
    """The error of a file that was written while it was read."""
    problem, fix = "was written to while it was read", "wait until it is complete"
    return CannotOpen(FIELD, assignment.recipe.data.train, problem, fix=fix)
