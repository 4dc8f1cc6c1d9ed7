"""``rankadaptor compress``: prune a model and write it as a container."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from rankadaptor.commands.options import DTYPES, Json, check_dtype
from rankadaptor.compression import options
from rankadaptor.compression.view import pruning_table, removed_sentence, trained_sentence
from rankadaptor.progress import counted
from rankadaptor.screen import emit, err
from rankspace.errors import InvalidInput

if TYPE_CHECKING:
    from pruning.container.contents import Contents
    from pruning.methods.compression import Compressed
    from pruning.methods.settings import PrunerName, PruningSettings


def compress(
    method: options.Method,
    source: Annotated[Path, typer.Argument(help="A Hugging Face directory or a container.")],
    target: Annotated[Path, typer.Argument(help="Where to write the container.")],
    text: Annotated[Path, typer.Option(help="Calibration text, UTF-8.")],
    ratio: options.Ratio = None,
    rates: options.Rates = "uniform",
    blocks: options.Blocks = None,
    ranking: options.Ranking = None,
    samples: options.Samples = None,
    length: options.Length = None,
    seed: Annotated[
        int, typer.Option(help="Which sequences; of loraprune their order and the start, too.")
    ] = 42,
    epochs: options.Epochs = None,
    batch: options.Batch = None,
    learning_rate: options.LearningRate = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            help=f"What the weights are loaded and written in: {', '.join(DTYPES)} (as they are)."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:1.")] = "cpu",
    json_: Json = False,
) -> None:
    """Prune heads and FFN channels of a model, or drop blocks of it."""
    import torch

    from pruning.container.contents import survey
    from pruning.methods.compression import compress_contents as run
    from pruning.methods.memory import memory_of
    from pruning.methods.settings import PruningSettings
    from pruning.profiling.calibration_text import check_text
    from rankadaptor.compression.rates import chosen_blocks, overall_ratio, rule_of
    from rankadaptor.compression.usual import training_of, usual_of
    from tuning.device import device_named
    from tuning.memory_plan.plan import gib

    kind, order, place = pruner_named(method), _ranking(ranking), device_named(device)
    rule, usual = rule_of(rates), usual_of(kind)
    training = training_of(kind, epochs, batch, learning_rate)
    weights = getattr(torch, check_dtype(dtype)) if dtype else None
    calibration = usual.calibration(text, samples, length, seed)
    if usual.trains:
        training.steps(calibration.samples)
    check_text(calibration)
    contents = survey(source)
    chosen = chosen_blocks(blocks, rule, len(contents.structure.blocks), usual.blocks)
    share = overall_ratio(ratio, rule, contents, chosen)
    settings = PruningSettings(chosen, share, kind, order, seed, rule, training)
    need = memory_of(contents, settings, calibration, weights)
    err.print(f"memory: {gib(need.weights)} of weights, about {gib(need.beside)} to look at them")
    with counted(usual.doing, calibration.samples) as tick:
        done = run(
            contents, target, settings, calibration, dtype=weights, device=place, on_progress=tick
        )
    _report(settings, contents, done, json_)


def _report(
    settings: "PruningSettings", contents: "Contents", done: "Compressed", as_json: bool
) -> None:
    from pruning.container.description import outline_of
    from pruning.methods.methods import METHODS
    from pruning.rates.rules import UNIFORM
    from rankadaptor.compression.rates import other_method

    rule, share = settings.rates, settings.ratio
    asked = f"a ratio of {share:g}" if rule == UNIFORM else "rates of their own"
    for sentence in METHODS[settings.method].left_whole(contents.structure, done.plan):
        err.print(Text(f"at {asked} {sentence}", style="yellow"))
    if done.trained is not None:
        err.print(Text(trained_sentence(done.trained)))
    dense = outline_of(contents)
    if warning := other_method(rule, settings.method):
        err.print(Text(warning, style="yellow"))
    err.print(Text(removed_sentence(dense, done.pruned, settings.blocks, share, rule.label)))
    emit(as_json, done.pruned, lambda: pruning_table(dense, done.pruned, done.left))


def pruner_named(name: str) -> "PrunerName":
    """Return the method of that name.

    Raises:
        InvalidInput: There is none.
    """
    from pruning.methods.settings import PrunerName

    if name not in set(PrunerName):
        known = ", ".join(PrunerName)
        raise InvalidInput("method", name, "is not a pruner", fix=f"use one of: {known}")
    return PrunerName(name)


def _ranking(name: str | None) -> Literal["local", "global"] | None:
    if name is None:
        return None
    if name == "local":
        return "local"
    if name == "global":
        return "global"
    raise InvalidInput("ranking", name, "is not a ranking", fix="use local or global")
