"""``rankadaptor compress``: prune a model and write it as a container."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from rankadaptor.commands.options import DTYPES, Json, check_dtype
from rankadaptor.compression import options
from rankadaptor.compression.view import pruning_table, removed_sentence
from rankadaptor.progress import counted
from rankadaptor.screen import emit, err
from rankspace.errors import InvalidInput

if TYPE_CHECKING:
    from pruning.methods.settings import PrunerName


def compress(
    method: options.Method,
    source: Annotated[Path, typer.Argument(help="A Hugging Face directory or a container.")],
    target: Annotated[Path, typer.Argument(help="Where to write the container.")],
    text: Annotated[Path, typer.Option(help="Calibration text, UTF-8.")],
    ratio: options.Ratio = None,
    rates: options.Rates = "uniform",
    blocks: options.Blocks = None,
    ranking: options.Ranking = None,
    samples: Annotated[int, typer.Option(help="Calibration sequences.")] = 10,
    length: Annotated[int, typer.Option(help="Tokens per sequence.")] = 64,
    seed: Annotated[int, typer.Option(help="Which sequences.")] = 42,
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
    from pruning.container.description import outline_of
    from pruning.methods.compression import compress_contents as run
    from pruning.methods.memory import memory_of
    from pruning.methods.methods import METHODS
    from pruning.methods.settings import PruningSettings
    from pruning.profiling.calibration_text import CalibrationText, check_text
    from pruning.rates.rules import UNIFORM
    from rankadaptor.compression.rates import chosen_blocks, other_method, overall_ratio, rule_of
    from tuning.device import device_named
    from tuning.memory_plan.plan import gib

    kind, order, place = pruner_named(method), _ranking(ranking), device_named(device)
    rule = rule_of(rates)
    weights = getattr(torch, check_dtype(dtype)) if dtype else None
    calibration = CalibrationText(text, samples, length, seed)
    check_text(calibration)
    contents = survey(source)
    chosen = chosen_blocks(blocks, rule, len(contents.structure.blocks))
    share = overall_ratio(ratio, rule, contents, chosen)
    settings = PruningSettings(chosen, share, kind, order, seed, rule)
    need = memory_of(contents, settings, calibration, weights)
    err.print(f"memory: {gib(need.weights)} of weights, about {gib(need.beside)} to look at them")
    with counted("looking at the weights", samples) as tick:
        done = run(
            contents, target, settings, calibration, dtype=weights, device=place, on_progress=tick
        )
    asked = f"a ratio of {share:g}" if rule == UNIFORM else "rates of their own"
    for sentence in METHODS[kind].left_whole(contents.structure, done.plan):
        err.print(Text(f"at {asked} {sentence}", style="yellow"))
    dense = outline_of(contents)
    if warning := other_method(rule, kind):
        err.print(Text(warning, style="yellow"))
    err.print(Text(removed_sentence(dense, done.pruned, chosen, share, rule.label)))
    emit(json_, done.pruned, lambda: pruning_table(dense, done.pruned, done.left))


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
