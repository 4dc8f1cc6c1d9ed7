"""``rankadaptor rates``: search what each block is to lose, on held-out text."""

from typing import Annotated

import typer

from rankadaptor.commands.compress import pruner_named
from rankadaptor.commands.options import DTYPES, Json, check_dtype
from rankadaptor.progress import counted
from rankadaptor.rate_search import options
from rankadaptor.rate_search.asking import asking, check_chat, search_named
from rankadaptor.rate_search.chat_option import chat_of
from rankadaptor.rate_search.files import SearchFiles
from rankadaptor.screen import emit, err


def rates(
    search: options.Search,
    source: options.Source,
    target: options.Target,
    text: options.CalibrationFile,
    held_out: options.HeldOutFile,
    method: options.Method = "taylor",
    ratio: options.Ratio = 0.5,
    blocks: options.Blocks = None,
    evaluations: options.Evaluations = 50,
    samples: options.Samples = 10,
    length: options.Length = 64,
    held_out_samples: options.HeldOutSamples = 128,
    held_out_length: options.HeldOutLength = 128,
    seed: options.Seed = 42,
    chat: options.Chat = None,
    chat_model: options.ChatModel = None,
    chat_timeout: options.ChatTimeout = 120.0,
    dtype: Annotated[
        str | None,
        typer.Option(help=f"What the weights are loaded in: {', '.join(DTYPES)} (as they are)."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:1.")] = "cpu",
    json_: Json = False,
) -> None:
    """Search how much each block is to lose; `compress --rates` takes what is found.

    The same command goes on with a search that was interrupted.
    """
    import torch

    from pruning.container.contents import survey
    from pruning.methods.settings import PruningSettings
    from pruning.profiling.calibration_text import CalibrationText
    from pruning.search import searching
    from rankadaptor.blocks import parse_blocks
    from rankadaptor.rate_search.view import memory_sentence, rates_table, tell
    from tuning.device import device_named

    kind, place, files = search_named(search), device_named(device), SearchFiles(target)
    files.check()
    check_chat(kind, chat, files)
    contents = survey(source)
    chosen = parse_blocks(blocks, len(contents.structure.blocks))
    question = searching.Question(
        kind,
        PruningSettings(chosen, ratio, pruner_named(method), "local", seed),
        CalibrationText(text, samples, length, seed),
        CalibrationText(held_out, held_out_samples, held_out_length, seed),
        evaluations,
        getattr(torch, check_dtype(dtype)) if dtype else None,
    )
    searching.check_question(contents, question)
    made = asking(kind, seed, chat_of(chat, chat_model, chat_timeout, place), files)
    err.print(memory_sentence(searching.search_memory(contents, question)))
    with counted("pruning and scoring", evaluations) as tick:
        done = searching.search_rates(
            contents, question, made.search, record=files.record, device=place, on_progress=tick
        )
    document = done.document
    document["search"] |= made.document
    files.write(document)
    tell(done, made)
    emit(json_, document, lambda: rates_table(done))
