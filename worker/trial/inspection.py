"""Inspection: what a worker would find out of a study's files, before anything is started."""

from dataclasses import dataclass
from pathlib import Path

from pruning.container.architecture import check_positions
from pruning.container.assembly import build_on_meta
from pruning.container.container import check_weights
from pruning.container.contents import Contents, hashed, survey
from pruning.container.description import description_of, outline_of
from pruning.container.tokenizer import read_tokenizer, tokenizer_hash
from rankspace import PrunedModel, Study
from rankspace.evaluation.recovery_metric import RecoveryMetric
from rankspace.recipe import Inputs
from tuning.chat import tokens_hash
from tuning.data import READING, Dataset, prepare
from tuning.examples import FIELD
from tuning.file_hash import FileHashes
from tuning.reading.hub import check_cached, located
from tuning.reading.records import is_small
from tuning.reading.source import Source
from worker.trial.metrics import read_metrics

MOST_BYTES = 64 * 2**20
"""Of training text, unpacked, that is tokenised here; a larger file is only hashed."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found.

    Attributes:
        model: The description to register.
        inputs: What trials are to be measured on.
        dataset: The examples; None of a file that is too large to look into.
        metrics: What recovered models are to be evaluated on, each with its file's hash.
    """

    model: PrunedModel
    inputs: Inputs
    dataset: Dataset | None
    metrics: tuple[RecoveryMetric, ...]


def inspect(study: Study, *, weights: bool = True) -> Inspection:
    """Read the files of ``study`` as a worker will, what takes least time first.

    Weights are read twice, to hash them and to look for what is no number, and data tokenised
    once; nothing of either is kept.

    Args:
        study: With paths that are absolute.
        weights: Whether to read them; else the model that is described has no fingerprint.

    Raises:
        InvalidContainer: The model, or its tokenizer, is of no use.
        InvalidInput: The data are of no use with this tokenizer and recipe, or are not those that
            the study names; or a file of ``recover.metrics`` is of none.
        CannotOpen: The data cannot be read here.
    """
    contents = survey(Path(study.model))
    build_on_meta(contents.architecture, contents.structure)
    length = study.recipe.sequence_length
    check_positions("recipe.sequence_length", length, contents.architecture.config)
    tokenizer = read_tokenizer(contents)
    data = study.recipe.data
    check_cached(FIELD, data.train)
    source = Source(FIELD, located(FIELD, data.train))
    tokens = tokens_hash(tokenizer, tokenizer_hash(tokenizer), data.format)
    found = Inputs(FileHashes().of(FIELD, str(source.path)), tokens, READING)
    inputs = study.inputs.confirmed(found)
    dataset = prepare(data, length, tokenizer) if is_small(source, MOST_BYTES) else None
    config = contents.architecture.config
    metrics = read_metrics(study.recover.metrics, tokenizer, config)
    described = _weighed(contents) if weights else outline_of(contents)
    return Inspection(described, inputs, dataset, tuple(one.asked for one in metrics))


def _weighed(contents: Contents) -> PrunedModel:
    check_weights(contents)
    return description_of(hashed(contents))
