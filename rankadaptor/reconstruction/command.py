"""``rankadaptor reconstruct``: fit a pruned model's weights to what the dense model writes."""

from pathlib import Path
from typing import Annotated

import typer

from rankadaptor.commands.options import Json
from rankadaptor.progress import counted
from rankadaptor.reconstruction.view import fit_table
from rankadaptor.screen import emit, err


def reconstruct(
    pruned: Annotated[Path, typer.Argument(help="A container, or a Hugging Face directory.")],
    target: Annotated[Path, typer.Argument(help="Where to write the container.")],
    dense: Annotated[Path, typer.Option(help="The model before pruning.")],
    text: Annotated[Path, typer.Option(help="Calibration text, UTF-8.")],
    samples: Annotated[
        int, typer.Option(help="Calibration sequences, of which a quarter is held out.")
    ] = 128,
    length: Annotated[int, typer.Option(help="Tokens per sequence.")] = 128,
    seed: Annotated[int, typer.Option(help="Which sequences.")] = 42,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:1.")] = "cpu",
    json_: Json = False,
) -> None:
    """Fit o_proj and down_proj of a pruned model to the dense model's outputs, without training."""
    from pruning.container.contents import survey
    from pruning.profiling.calibration_text import CalibrationText, check_text
    from pruning.recovery.memory import memory_of
    from pruning.recovery.partners import check_partners
    from pruning.recovery.reconstruction import reconstruct as run
    from tuning.device import device_named
    from tuning.memory_plan.plan import gib

    place, calibration = device_named(device), CalibrationText(text, samples, length, seed)
    check_text(calibration)
    ours, theirs = survey(pruned), survey(dense)
    check_partners(ours, theirs)
    need = memory_of(ours, theirs, calibration)
    beside = f"about {gib(need.beside)} to fit them, {gib(need.disk)} of temporary files"
    err.print(f"memory: {gib(need.weights)} of weights, {beside}")
    with counted("reconstructing", 2 * len(ours.structure.blocks)) as tick:
        done = run(ours, theirs, target, calibration, device=place, on_progress=tick)
    changed = sum(fit.weight is not None for fit in done.fits.values())
    err.print(f"{changed} of {len(done.fits)} matrices changed; the others are as they were")
    emit(json_, done.pruned, lambda: fit_table(done.fits))
