"""The demo from end to end, saying what it does and why."""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import torch
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pruning.container.container import load, write_profiles
from pruning.container.description import describe
from pruning.methods.compression import compress
from pruning.methods.settings import PruningSettings
from pruning.profiling.calibration_text import CalibrationText, draw_windows
from pruning.profiling.dense_outputs import dense_outputs
from pruning.profiling.profile import profile
from rankadaptor.compression.view import pruning_table
from rankadaptor.demo.base_model import cached_base_model
from rankadaptor.demo.corpus import Corpus, standard_library
from rankadaptor.demo.plan import DemoPlan
from rankadaptor.demo.reload_check import held_out_loss, reloaded_loss
from rankadaptor.following import follow
from rankadaptor.private_service import service, workers
from rankadaptor.progress import counted
from rankadaptor.rest.client import RestClient
from rankadaptor.screen import err
from rankadaptor.study_file import read_study
from rankadaptor.verdict_report import write_report
from rankadaptor.verdict_view import verdict_view
from rankspace import PrunedModel, SearchSpace, Study, Verdict
from rankspace.errors import InvalidInput, RankspaceError
from rankspace.study import StudyState
from rankspace.wire import encode

RELOAD_TOLERANCE = 1e-5
MARKER = ".rankadaptor-demo"


class DemoFailed(RankspaceError):
    """The study ended without a verdict, or the export is not what was measured."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the demo found, for the screen and for ``verdict.json``.

    Losses are those of the final held-out half, in nats per token.
    """

    verdict: Verdict
    space: SearchSpace
    adapter: Path
    dense_loss: float
    recovered_loss: float
    reloaded_loss: float
    seconds: float

    def as_json(self) -> dict[str, Any]:
        gain = self.verdict.versus_uniform
        return {
            "verdict": self.verdict.answer.value,
            "gain": gain.gain,
            "ci_low": gain.ci_low,
            "ci_high": gain.ci_high,
            "seeds": gain.seeds,
            "uniform_score": self.verdict.uniform_score,
            "best_rank_vector": list(self.verdict.best_rank_vector.ranks),
            "uniform_rank_vector": list(self.verdict.uniform_rank_vector.ranks),
            "best_parameters": self.verdict.best_parameters,
            "uniform_parameters": self.verdict.uniform_parameters,
            "trials": self.verdict.trials,
            "controls": encode(self.verdict.controls),
            "rates": encode(self.verdict.rates),
            "recipe": encode(self.verdict.recipe),
            "contradiction": self.verdict.contradiction,
            "dense_loss": self.dense_loss,
            "adapter_dir": str(self.adapter),
            "recovered_loss": self.recovered_loss,
            "reloaded_loss": self.reloaded_loss,
            "seconds": round(self.seconds, 1),
        }


def run_demo(output: Path, plan: DemoPlan) -> Outcome:
    """Train, prune, serve, search, verify, recover and export, all into ``output``.

    Raises:
        DemoFailed: No verdict, or an adapter that does not reproduce its loss.
    """
    started = time.monotonic()
    output = output.resolve()
    _clear(output)
    corpus = standard_library()
    base = _base_model(corpus, plan)
    study = _prune(base, corpus, plan, output)
    with service(output / "service", output / "logs") as client:
        verdict, space, recovered = _search(client, study, plan, output)
    dense = held_out_loss(study, base)
    again = _reloaded(study, recovered, output)
    seconds = time.monotonic() - started
    outcome = Outcome(verdict, space, output / "adapter", dense, recovered, again, seconds)
    (output / "verdict.json").write_text(json.dumps(outcome.as_json(), indent=2) + "\n")
    return outcome


def closing(outcome: Outcome, output: Path) -> RenderableType:
    """What stays on the screen at the end."""
    return Group(
        "",
        verdict_view(outcome.verdict, outcome.space, dense=outcome.dense_loss),
        "",
        f"held-out loss after full recovery {outcome.recovered_loss:.4f}; the exported adapter, "
        f"loaded anew with plain PEFT, gives {outcome.reloaded_loss:.4f}",
        _places(outcome, output),
        Text(f"{outcome.seconds:.0f} seconds in all", style="dim"),
    )


def _places(outcome: Outcome, output: Path) -> Table:
    home = _short(output / "service")
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("adapter", _short(outcome.adapter))
    table.add_row("verdict", _short(output / "verdict.json"))
    table.add_row("dashboard", f"http://127.0.0.1:8731 after: rankadaptor serve --data {home}")
    table.add_row("", f"log in with: RANKADAPTOR_DATA_DIRECTORY={home} rankadaptor dashboard")
    return table


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _clear(output: Path) -> None:
    """Make ``output`` empty; only a directory an earlier demo made is ever emptied.

    Raises:
        InvalidInput: It holds other things.
    """
    if output.exists() and not output.is_dir():
        raise InvalidInput("output", str(output), "is not a directory", fix="name a new one")
    if output.is_dir() and any(output.iterdir()) and not (output / MARKER).is_file():
        raise InvalidInput(
            "output", str(output), "holds things no demo made", fix="name a new directory"
        )
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    (output / MARKER).write_text("Made by `rankadaptor demo`, and emptied by the next.\n")


def _base_model(corpus: Corpus, plan: DemoPlan) -> Path:
    size = plan.size
    _say(
        "1. A base model",
        f"{size.blocks} blocks, trained for {size.steps} steps on the source of Python's own "
        f"standard library ({len(corpus.pretraining) / 1e6:.1f} MB); kept for the next time",
    )
    torch.set_num_threads(1)  # two threads gain a fifth on such small matrices, and spin when busy
    cache = Path(platformdirs.user_cache_dir("rankadaptor", appauthor=False)) / "demo"
    with counted("training", size.steps) as advance:
        base, known = cached_base_model(
            corpus, size, cache, lambda step, _loss: advance(step, size.steps)
        )
        advance(size.steps, size.steps)
    err.print(f"   {'found' if known else 'trained'}: {base}")
    return base


def _prune(base: Path, corpus: Corpus, plan: DemoPlan, output: Path) -> Study:
    blocks = ", ".join(map(str, plan.pruned_blocks))
    _say(
        "2. Pruning",
        f"Taylor importance removes about {plan.ratio:.0%} of the heads and FFN channels of blocks "
        f"{blocks}; the other blocks stay whole, so that layers really differ",
    )
    text = output / "recovery.txt"
    text.write_text(corpus.recovery, encoding="utf-8")
    calibration = CalibrationText(text, samples=32, length=64)
    pruned = compress(
        base,
        output / "pruned",
        PruningSettings(blocks=plan.pruned_blocks, ratio=plan.ratio),
        calibration,
    )
    _profile(base, output / "pruned", calibration)
    err.print(Padding(pruning_table(describe(base), pruned), (1, 0, 0, 3)))
    file = output / "study.yaml"
    file.write_text(plan.study_yaml(file, output / "pruned", text), encoding="utf-8")
    return read_study(file)


def _profile(base: Path, pruned: Path, calibration: CalibrationText) -> PrunedModel:
    loaded = load(pruned, device="cpu")
    windows = draw_windows(calibration, loaded.tokenizer)
    with dense_outputs(lambda: load(base, device="cpu"), windows) as dense:
        return write_profiles(pruned, profile(loaded, windows, dense))


def _search(
    client: RestClient, study: Study, plan: DemoPlan, output: Path
) -> tuple[Verdict, SearchSpace, float]:
    client.register(describe(Path(study.model)))
    view = client.submit(study)
    _say(
        "3. The study",
        f"{view['id']} searches one rank per weight matrix with at most "
        f"{view['parameters']['maximum']:,} trainable parameters: what uniform rank 1 costs. "
        f"Each trial is a short fine-tune by one of {plan.workers} worker processes. Then the "
        "best vectors meet uniform ranks on fresh seeds and fresh held-out text, and the winner "
        f"does so once more through the whole recipe of {plan.recover_steps} steps.",
        f"Watch it in a browser (the link works once): {client.login_url()}",
    )
    one_thread = ("--cpu-threads", "1")
    home, logs = output / "service", output / "logs"
    with workers(plan.workers, client.url, home, logs, one_thread) as processes:

        def look_after() -> None:
            for process in processes:
                process.check()

        view = follow(client, view["id"], also=look_after)
    if view["state"] != StudyState.DONE:
        raise DemoFailed(f"the study ended as {view['state']}: {view['error']}")
    adapter = client.export(view["id"], output / "adapter")
    verdict = client.verdict(view["id"])
    write_report(output / "adapter", view, verdict, adapter.rank_vector)
    recovered = _recovered_loss(client, view["id"], verdict)
    return verdict, client.space(view["id"]), recovered


def _recovered_loss(client: RestClient, study_id: str, verdict: Verdict) -> float:
    """Of the export: the first that was recovered of its vector, whose adapter is kept."""
    mine = list(verdict.recovered.ranks)
    recovered = (t for t in client.trials(study_id) if t["purpose"] == "recover")
    scored = [t for t in recovered if t["rank_vector"] == mine and t["measurement"]]
    return float(min(scored, key=lambda t: int(t["id"]))["measurement"]["loss"])


def _reloaded(study: Study, recovered: float, output: Path) -> float:
    """The loss of the exported adapter, loaded anew.

    Raises:
        DemoFailed: It is not what the worker reported.
    """
    again = reloaded_loss(study, output / "adapter")
    if abs(again - recovered) > RELOAD_TOLERANCE:
        raise DemoFailed(f"the adapter gives a loss of {again}, the worker reported {recovered}")
    return again


def _say(title: str, *paragraphs: str) -> None:
    err.print(Text(f"\n{title}", style="bold"))
    for text in paragraphs:
        err.print(Padding(text, (0, 0, 0, 3)))
