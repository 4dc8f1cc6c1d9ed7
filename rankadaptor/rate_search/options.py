"""Options of ``rates``."""

from pathlib import Path
from typing import Annotated

import typer

from pruning.search.about import ABOUT
from rankadaptor.rate_search.chat_option import KEY

Search = Annotated[
    str,
    typer.Argument(help="\n\n".join(f"{name}: {about}" for name, about in ABOUT.items())),
]
Source = Annotated[Path, typer.Argument(help="A Hugging Face directory or a container.")]
Target = Annotated[
    Path,
    typer.Argument(help="File for the rates; its record, and calls of a model, lie beside it."),
]
CalibrationFile = Annotated[Path, typer.Option("--text", help="Calibration text, UTF-8.")]
HeldOutFile = Annotated[
    Path,
    typer.Option(
        "--held-out", help="Text to score on, UTF-8: neither calibration text nor a test's."
    ),
]
Method = Annotated[
    str, typer.Option(help="How each pruning chooses heads and channels; see compress.")
]
Ratio = Annotated[float, typer.Option(help="Share to remove of all blocks together.")]
Blocks = Annotated[
    str | None, typer.Option(help="Blocks to prune, like 4-29 or 1,3,5 (all but the ends).")
]
Evaluations = Annotated[int, typer.Option(help="Prunings to score, equal rates the first of them.")]
Samples = Annotated[int, typer.Option(help="Calibration sequences.")]
Length = Annotated[int, typer.Option(help="Tokens per calibration sequence.")]
HeldOutSamples = Annotated[
    int, typer.Option(help="Held-out sequences: half to search on, half to confirm the best on.")
]
HeldOutLength = Annotated[int, typer.Option(help="Tokens per held-out sequence.")]
Seed = Annotated[int, typer.Option(help="Of the sequences and of the search.")]
Chat = Annotated[
    str | None,
    typer.Option(
        help="Whom self-pruner asks: a directory with a model, loaded beside the other one, or the "
        "address of an OpenAI-compatible endpoint like http://127.0.0.1:8000/v1, with its key in "
        f"{KEY}. Without it, the replies that lie beside the target have to do.",
        metavar="DIRECTORY|URL",
    ),
]
ChatModel = Annotated[str | None, typer.Option(help="What the endpoint calls the model to ask.")]
ChatTimeout = Annotated[float, typer.Option(help="Seconds within which a whole reply must come.")]
