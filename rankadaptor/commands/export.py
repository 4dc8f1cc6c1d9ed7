"""``rankadaptor export``: the recovered model, as an adapter or in a form that others read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.text import Text

from pruning.publishing.form import Form
from rankadaptor.adapter_download import Adapter
from rankadaptor.commands.options import DTYPES, Json, StudyId, Url, check_dtype, connect
from rankadaptor.rest.client import RestClient
from rankadaptor.screen import emit, err
from rankadaptor.verdict_report import report, write_report
from rankspace import Verdict
from rankspace.errors import InvalidInput, UnsupportedVersion
from rankspace.lease import WEIGHTS
from rankspace.redaction import steering
from rankspace.study import OVER


def export(
    study: StudyId,
    to: Annotated[Path, typer.Option("--to", help="Directory for what is written.")],
    form: Annotated[
        Form,
        typer.Option(
            "--format",
            help="The PEFT adapter, or the model with the adapter merged: an ordinary Hugging Face "
            "directory (blocks of one size), a container, or a GGUF file for llama.cpp.",
        ),
    ] = Form.ADAPTER,
    model: Annotated[
        Path | None,
        typer.Option(help="Where the pruned model lies, if not where the study has it."),
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help=f"Type of merged weights: {', '.join(DTYPES)} (the model's).")
    ] = None,
    flat_scale: Annotated[
        bool,
        typer.Option(
            "--flat-scale",
            help="An adapter for llama.cpp, which knows one alpha: scales go into the weights. "
            "Of a model of uniform blocks and all its heads; of another, use --format gguf. "
            "PEFT reads it, too; vLLM needs the one without.",
        ),
    ] = False,
    multiply_out: Annotated[
        bool,
        typer.Option(
            "--multiply-out",
            help="Of a model whose matrices are kept as factors: make them whole, which takes more "
            "weights. Ordinary directories and GGUF have no words for factors; containers do.",
        ),
    ] = False,
    url: Url = None,
    json_: Json = False,
) -> None:
    """Download what was recovered: the adapter, ready for PeftModel, or a model of its own."""
    _check(form, model, dtype, flat_scale, multiply_out)
    with connect(url) as client:
        view, verdict = client.study(study), client.verdict(study)
        if form is Form.ADAPTER:
            files = _adapter(client, view, verdict, to, flat_scale)
        else:
            written = _Written(form, model, dtype, multiply_out)
            files = _merged(client, view, verdict, to, written)
    if view["state"] not in OVER:
        err.print(Text("the study goes on: another adapter may take the place of this one"))
    emit(json_, [str(file) for file in files], lambda: "\n".join(map(str, files)))


@dataclass(frozen=True)
class _Written:
    """How a model is written that the adapter is merged into, as the options say."""

    form: Form
    model: Path | None
    dtype: str | None
    whole: bool


def _check(
    form: Form, model: Path | None, dtype: str | None, flat_scale: bool, multiply_out: bool
) -> None:
    is_adapter = form is Form.ADAPTER
    options = (("--model", model), ("--dtype", dtype), ("--multiply-out", multiply_out or None))
    for name, given in options:
        if given is not None and is_adapter:
            problem = "is of merged weights, and an adapter has none"
            raise InvalidInput(
                name, str(given), problem, fix="add --format merged, or leave it out"
            )
    if flat_scale and not is_adapter:
        fix = "leave --flat-scale out"
        raise InvalidInput("--flat-scale", form.value, "is of an adapter; merged has none", fix=fix)
    if dtype is not None:
        check_dtype(dtype)


def _adapter(
    client: RestClient, view: dict[str, Any], verdict: Verdict, to: Path, flat_scale: bool
) -> list[Path]:
    adapter = client.export(view["id"], to, prepare=_flattening() if flat_scale else None)
    return [*adapter.paths, write_report(to, view, verdict, adapter.rank_vector)]


def _flattening() -> Callable[[Path], None]:
    from pruning.publishing.adapter import read_adapter, write_flat

    return lambda directory: write_flat(read_adapter(directory), directory)


def _merged(
    client: RestClient,
    view: dict[str, Any],
    verdict: Verdict,
    to: Path,
    how: _Written,
) -> list[Path]:
    import torch

    from pruning.cards.licence import licence_of
    from pruning.publishing.card import Origin
    from pruning.publishing.publication import publish

    base, recipe = _trained(view)
    source = how.model or Path(base)
    with TemporaryDirectory(prefix="rankadaptor-") as folder:
        adapter = client.export(view["id"], Path(folder))
        origin = Origin(
            title=str(view["name"]),
            base=base,
            fingerprint=_fingerprint(adapter),
            adapter=next((file.sha256 for file in adapter.files if file.name == WEIGHTS), ""),
            recipe=recipe,
            verdict=f"## {report(view, verdict, adapter.rank_vector)}",
            licence=licence_of(source),
        )
        with err.status("merging and writing"):
            kind = getattr(torch, how.dtype) if how.dtype else None
            published = publish(
                source, Path(folder), to, how.form, origin, dtype=kind, whole=how.whole
            )
    if published.differs:
        err.print(Text(f"mind that {published.differs}"))
    return list(published.files)


def _trained(view: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the directory of the study's model and its recipe, as a service may tell them.

    With the type of the base weights that the trials had, where the recipe leaves it to the device.
    """
    study = view.get("study")
    told = study if isinstance(study, dict) else {}
    base, recipe = told.get("model"), told.get("recipe")
    if not isinstance(base, str) or steering(base) or not isinstance(recipe, dict):
        problem = "the service does not tell the model and the recipe of the study"
        raise UnsupportedVersion(problem, hint="is it the right service? Else upgrade it")
    dtype = view.get("base_dtype")  # services of before have none
    return base, {**recipe, "dtype": dtype} if isinstance(dtype, str) else recipe


def _fingerprint(adapter: Adapter) -> str:
    if adapter.model is None:
        problem = "the service does not tell which model the adapter belongs to"
        raise UnsupportedVersion(problem, hint="upgrade it, or export the adapter alone")
    return adapter.model
