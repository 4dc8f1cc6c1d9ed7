"""``rankadaptor profile``: measure every matrix of a container on calibration text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from rankadaptor.commands.options import Json
from rankadaptor.progress import counted
from rankadaptor.screen import emit
from rankspace import LayerProfile


def profile(
    model: Annotated[Path, typer.Argument(help="A container, or a Hugging Face directory.")],
    text: Annotated[Path, typer.Option(help="Calibration text, UTF-8.")],
    dense: Annotated[
        Path | None, typer.Option(help="The model before pruning, for reconstruction errors.")
    ] = None,
    samples: Annotated[int, typer.Option(help="Calibration sequences.")] = 10,
    length: Annotated[int, typer.Option(help="Tokens per sequence.")] = 64,
    seed: Annotated[int, typer.Option(help="Which sequences.")] = 42,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    save: Annotated[bool, typer.Option(help="Keep the profiles in the container.")] = True,
    json_: Json = False,
) -> None:
    """Measure what pruning did to each matrix."""
    from pruning.container.container import load, write_profiles
    from pruning.profiling.calibration_text import CalibrationText, draw_windows
    from pruning.profiling.profile import profile as run

    loaded = load(model, device=device)
    windows = draw_windows(CalibrationText(text, samples, length, seed), loaded.tokenizer)
    original = load(dense, device=device) if dense else None
    with counted("measuring", samples) as advance:
        profiles = run(loaded, windows, original, on_progress=advance)
    if save and (model / "pruned.json").exists():
        write_profiles(model, profiles)
    emit(json_, profiles, lambda: profile_table(profiles))


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
