"""``rankadaptor submit``: check a study file, register its model, start the search."""

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from rankadaptor.commands.options import Json, Url, connect
from rankadaptor.screen import emit, err
from rankadaptor.study_file import read_study
from rankspace import Context, PrunedModel, SearchSpace, Study
from rankspace.context import context_of
from rankspace.errors import InvalidInput
from rankspace.evaluation.recovery_metric import RecoveryMetric, field_of
from rankspace.granularity import search_space
from rankspace.presets.paper import expanded, sentence
from rankspace.recipe import Inputs
from rankspace.wire import json_schema

if TYPE_CHECKING:
    from tuning.data import Dataset
    from worker.trial.gpu_need import GpuNeed

WARN = "yellow"

StudyFile = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="The study, as YAML.", show_default=False)
]


def submit(
    file: StudyFile = None,
    check: Annotated[bool, typer.Option("--check", help="Check only; start nothing.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the file's JSON Schema.")] = False,
    origin: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="STUDY",
            help="Begin with the results of this study, of one model, data, recipe and seed.",
        ),
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key again returns the same study.")
    ] = None,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Start a study from a YAML file; prints its id alone, for a script."""
    if schema:
        typer.echo(json.dumps(json_schema(Study), indent=2))
        return
    if file is None:
        raise typer.BadParameter("give a study file, or --schema", param_hint="FILE")
    study, model, space, need = prepared(read_study(file))
    if check:
        emit(json_, space, lambda: _summary(study, space))
        return
    with connect(url) as client:
        client.register(model)
        view = client.submit(
            study, origin=origin, idempotency_key=idempotency_key, gpu_need_gib=need
        )
    if not json_:
        err.print(_summary(study, space))
    emit(json_, view, lambda: Text(view["id"], style="bold"))
    if not json_:
        err.print(_next_steps(view["id"]))
    tell_of_need(need, view)


def tell_of_need(need: float, view: Mapping[str, Any]) -> None:
    """Warn of a service that took the study and not what it needs of a GPU."""
    if need and "gpu_need_gib" not in view:
        err.print("the service is of a release before, which lets GPUs of any size try", style=WARN)


def prepared(study: Study) -> tuple[Study, PrunedModel, SearchSpace, float]:
    """Find out all that can be wrong with the study, as far as this machine can tell.

    Returns:
        What ``laid_out`` does, and the GiB below which GPUs are to get none of its trials: 0 where
        that is stated, or not known.
    """
    study, model, need = _looked_into(study)
    return *laid_out(study, model), need


def laid_out(study: Study, model: PrunedModel) -> tuple[Study, PrunedModel, SearchSpace]:
    """The study as it is sent, its model by the path of the study, and what is searched.

    Raises:
        InvalidInput: They do not fit each other; names the field.
    """
    from rankadaptor.meta.opinion import with_opinion

    model = replace(model, path=study.model)
    study = expanded(study, model)
    space = search_space(model, study.recipe.modules, study.search)
    context = context_of(model, study, space)
    _check_strategy(study, space, context)
    return with_opinion(study, space, context), model, space


def _looked_into(study: Study) -> tuple[Study, PrunedModel, float]:
    """The study with what its files are, its model, and what its trials take of a GPU."""
    if find_spec("torch") is None or find_spec("transformers") is None:
        return (*_described(study), 0.0)
    from worker.trial.gpu_need import gpu_need
    from worker.trial.inspection import inspect

    with err.status("looking at model and data"):
        found = inspect(study)
    err.print(_found(study, found.dataset))
    need = gpu_need(study, found.dataset)
    err.print(_needing(study, need))
    derived = need.gib if study.gpu_memory_gib is None else 0.0
    return _stated(study, found.inputs, found.metrics), found.model, derived


def _described(study: Study) -> tuple[Study, PrunedModel]:
    """What can be known of the files without the libraries that a worker has."""
    from pruning.container.architecture import check_positions
    from pruning.container.contents import hashed, survey
    from pruning.container.description import description_of
    from tuning.file_hash import FileHashes
    from tuning.reading.hub import located

    contents, length = survey(Path(study.model)), study.recipe.sequence_length
    check_positions("recipe.sequence_length", length, contents.architecture.config)
    field = "recipe.data.train"
    found = Inputs(FileHashes().of(field, str(located(field, study.recipe.data.train))))
    inputs = study.inputs.confirmed(found)
    metrics = tuple(_hashed(i, one) for i, one in enumerate(study.recover.metrics))
    err.print(
        "tokenizer, data, weights and what a trial takes of a GPU are not looked into: "
        "pip install '.[worker]'"
    )
    return _stated(study, inputs, metrics), description_of(hashed(contents))


def _hashed(index: int, metric: RecoveryMetric) -> RecoveryMetric:
    """The metric with the hash of its file, which is not too large."""
    from tuning.evaluation.metric_file import check_size
    from tuning.file_hash import FileHashes
    from tuning.reading.hub import located

    field = field_of(index, metric)
    path = located(field, metric.path)
    check_size(field, metric, path)
    return metric.confirmed(field, FileHashes().of(field, str(path)))


def _stated(study: Study, inputs: Inputs, metrics: tuple[RecoveryMetric, ...]) -> Study:
    """The study with what its files are."""
    return replace(study, inputs=inputs, recover=replace(study.recover, metrics=metrics))


def _found(study: Study, dataset: "Dataset | None") -> Text:
    if dataset is None:
        return Text("the training file is large: its rows are first read by a worker")
    length, counts = study.recipe.sequence_length, dataset.counts
    return Text(
        f"examples of up to {length} tokens: {counts.sentence}; "
        "model, tokenizer and data fit each other",
        style=WARN if counts.is_worrying else "",
    )


def _needing(study: Study, need: "GpuNeed") -> Text:
    """What a trial takes, and which workers get one: what is stated always counts."""
    stated = study.gpu_memory_gib
    if stated is None:
        who = (
            "GPUs with less get none of its trials, workers without a GPU may; state "
            "gpu_memory_gib for another bound, 0 for none"
        )
    elif stated == 0:
        who = "gpu_memory_gib: 0 is stated, so that any worker may run them"
    else:
        who = f"gpu_memory_gib: {stated:g} is stated, and workers with less get none"
    is_short = stated is not None and 0 < stated < need.gib
    return Text(f"{need.sentence}; {who}", style=WARN if is_short else "")


def _check_strategy(study: Study, space: SearchSpace, context: Context) -> None:
    try:
        from perfmodel.strategies.requirements import check_profiles
    except ModuleNotFoundError:  # a GPU machine has no scipy; the service checks it again
        return
    try:
        check_profiles(study.search.strategy, space, context)
    except InvalidInput as error:
        raise error.under("search") from None


def _summary(study: Study, space: SearchSpace) -> RenderableType:
    uniform = space.uniform()
    return Text(
        f"{study.name}: {len(space.layers)} layers, ranks {list(space.ranks)}, "
        f"at most {space.max_parameters:,} trainable parameters "
        f"(uniform rank {max(uniform.ranks)} uses {space.parameters(uniform):,}), "
        f"{study.search.budget.trials} trials of {study.search.trial.steps} steps{_full(space)}"
        f"{_after(study)}{_preset(study)}"
    )


def _after(study: Study) -> str:
    """What the search is followed by, in trials: at the whole recipe that is most of the cost."""
    verify, short = study.verify, study.search.trial.steps
    judged = verify.planned_trials() + verify.control_trials()
    random = "as many of random vectors, " if verify.random_control else ""
    then = f"\nthen {random}{judged} or more trials of {short} steps to verify, and {_whole(study)}"
    if verify.at == "trial":
        return f"{then} once{_evaluated(study)}"
    pairs = 2 * verify.recipe_seeds
    both = f"winner and uniform on {verify.recipe_seeds} seeds"
    return f"{then} {pairs} times: {both}{_worth(study, pairs)}{_evaluated(study)}"


def _evaluated(study: Study) -> str:
    """What the recovered models are evaluated on, and which are not there to compare with."""
    titles = [metric.title for metric in study.recover.metrics]
    if not titles:
        return ""
    alone = ""
    if study.verify.at == "trial":
        alone = (
            "; uniform ranks are not recovered beside the winner, and nothing is compared: "
            "verify.at: recipe does both"
        )
    return f"\nevaluated after each recovery: {'; '.join(titles)}{alone}"


def _whole(study: Study) -> str:
    """How long a recovery is."""
    steps, epochs = study.recover.steps, study.recover.epochs
    length = f"{steps:,} steps" if steps else f"{epochs} epoch{'' if epochs == 1 else 's'}"
    return f"the whole recipe ({length})"


def _worth(study: Study, pairs: int) -> str:
    """Their steps, in search trials; only a worker knows how many an epoch has."""
    if not study.recover.steps:
        return ""
    steps = pairs * study.recover.steps
    return f", {steps:,} steps or as many as {steps / study.search.trial.steps:.3g} search trials"


def _preset(study: Study) -> str:
    said = sentence(study)
    return f"\n{said}" if said else ""


def _full(space: SearchSpace) -> str:
    """Whether pruning, or the model's shape, leaves some matrices less than the highest rank."""
    if not space.parts:
        return ""
    return (
        f"; in {len(space.parts)} layers a matrix has fewer rows or columns than the highest rank: "
        "it gets no more rank than it can use, with uniform ranks too"
    )


def _next_steps(study_id: str) -> Text:
    return Text(
        "is searching; next:\n"
        "  rankadaptor worker              # on every GPU machine\n"
        f"  rankadaptor watch {study_id}\n"
        f"  rankadaptor verdict {study_id}"
    )
