"""``rankadaptor profile``: measure every matrix of a container on calibration text."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from rankadaptor.commands.options import Json
from rankadaptor.progress import counted
from rankadaptor.screen import emit, err
from rankspace import LayerProfile
from rankspace.errors import InvalidInput


def profile(
    model: Annotated[Path, typer.Argument(help="A container, or a Hugging Face directory.")],
    text: Annotated[Path, typer.Option(help="Calibration text, UTF-8.")],
    dense: Annotated[
        Path | None, typer.Option(help="The model before pruning, for reconstruction errors.")
    ] = None,
    samples: Annotated[int, typer.Option(help="Calibration sequences.")] = 10,
    length: Annotated[int, typer.Option(help="Tokens per sequence.")] = 64,
    seed: Annotated[int, typer.Option(help="Which sequences.")] = 42,
    components: Annotated[
        int | None,
        typer.Option(
            help="Principal components of each input, for EVA's ranks as a control: as many as the "
            "highest rank of a study, 0 for none. Left out: 64, fewer of very many matrices. "
            "Steadier with more samples."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:1.")] = "cpu",
    save: Annotated[bool, typer.Option(help="Keep them in pruned.json of the model.")] = True,
    json_: Json = False,
) -> None:
    """Measure what pruning did to each matrix."""
    from pruning.container.architecture import check_positions
    from pruning.container.container import load_contents, write_profiles
    from pruning.container.contents import survey
    from pruning.container.tokenizer import read_tokenizer
    from pruning.profiling.calibration_text import CalibrationText, check_text, draw_windows
    from pruning.profiling.dense_outputs import Outline, dense_outputs
    from pruning.profiling.input_spectrum import components_for
    from pruning.profiling.profile import profile as run
    from tuning.device import device_named

    place = device_named(device)
    calibration = CalibrationText(text, samples, length, seed)
    check_text(calibration)
    if save:
        _check_writable(model)
    contents, before = survey(model), survey(dense) if dense else None
    check_positions("length", length, contents.architecture.config)
    windows = draw_windows(calibration, read_tokenizer(contents))
    matrices = sum(len(block.modules) for block in contents.structure.blocks)
    kept = components_for(matrices, windows.numel(), components)
    with ExitStack() as stack:
        original = None
        if before:
            Outline.of(contents).partners(Outline.of(before))
            with counted("looking at the dense model", samples) as advance:
                looked = dense_outputs(
                    partial(load_contents, before, device=place), windows, advance
                )
                original = stack.enter_context(looked)
        loaded = load_contents(contents, device=place)  # the dense model is gone by now
        with counted("measuring", samples) as advance:
            profiles = run(loaded, windows, original, components=kept, on_progress=advance)
    emit(json_, profiles, lambda: profile_table(profiles))  # before a full disk may lose an hour
    if save:
        write_profiles(model, profiles)
    err.print(f"saved in {model / 'pruned.json'}" if save else "not saved (--no-save)")


def _check_writable(model: Path) -> None:
    """Before the measuring, which may take an hour."""
    if model.is_dir() and not os.access(model, os.W_OK):
        problem = "cannot be written to, so that nothing would be kept"
        fix = "give a copy of it, or --no-save to look only"
        raise InvalidInput("model", str(model), problem, fix=fix)


def profile_table(profiles: Sequence[LayerProfile]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="layer profiles", title_justify="left")
    table.add_column("block", justify="right")
    table.add_column("matrix")
    for column in ("kept", "input", "output", "gradient", "eff. rank", "rec. error"):
        table.add_column(column, justify="right")
    for entry in profiles:
        error = entry.reconstruction_error
        table.add_row(
            *_place(entry.name),
            f"{entry.kept:.0%}",
            f"{entry.input_norm:.3f}",
            f"{entry.output_norm:.3f}",
            f"{entry.gradient_norm:.4f}",
            f"{entry.effective_rank:.2f}",
            "" if error is None else f"{error:.3f}",
        )
    return table


def _place(name: str) -> tuple[str, str]:
    """Block and kind of ``model.layers.3.mlp.up_proj``: ``3``, ``up_proj``."""
    parts = name.split(".")
    return next((part for part in parts if part.isdecimal()), ""), parts[-1]
