"""Running the steps that are not done yet, over a service that lives in the directory."""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from pruning.container.contents import survey
from pruning.container.description import outline_of
from rankadaptor.commands.compress import pruner_named
from rankadaptor.compression.usual import usual_of
from rankadaptor.following import follow
from rankadaptor.private_service import clean_environment, service, workers
from rankadaptor.rest.client import RestClient
from rankadaptor.screen import err
from rankadaptor.shrinking.plan import ShrinkPlan, keep, ratio_for
from rankadaptor.shrinking.steps import (
    ADAPTER,
    HOME,
    MODEL,
    PRUNED,
    STUDY_ID,
    Step,
    pruning,
    submission,
    ways_out,
)
from rankspace import SearchSpace, Verdict
from rankspace.errors import RankspaceError
from rankspace.study import StudyState

STOPPED = {StudyState.FAILED, StudyState.PAUSED}


class ShrinkFailed(RankspaceError):
    """A step ended otherwise than well; what was done before it is kept."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What came of it.

    Attributes:
        dense: Parameters of the dense model.
        pruned: Of the pruned one; the adapter is merged into as many.
        study: Its identity at the service of the directory.
        verdict: What it may claim.
        space: What was searched.
        home: The directory.
        has_adapter: Whether the recovered vector trains anything.
    """

    dense: int
    pruned: int
    study: str
    verdict: Verdict
    space: SearchSpace
    home: Path
    has_adapter: bool


def ratio_of(plan: ShrinkPlan) -> float:
    """Return the share to remove of the blocks that the method prunes, for the share to keep.

    Raises:
        InvalidInput: No such method, or the blocks do not hold that much.
    """
    dense = outline_of(survey(Path(plan.model)))
    sizes: dict[int, int] = {}
    for matrix in dense.matrices:
        sizes[matrix.block] = sizes.get(matrix.block, 0) + matrix.weights
    blocks = usual_of(pruner_named(plan.method)).blocks(len(sizes))
    return ratio_for(plan.keep, dense.parameters, sum(sizes[block] for block in blocks))


def prepare(plan: ShrinkPlan, ratio: float, home: Path, device: str | None) -> None:
    """Run what comes before the search, as far as ``home`` does not show it as done.

    Raises:
        InvalidInput: ``home`` is of something else.
        ShrinkFailed: A command failed.
    """
    plan.begin(home)
    for step in pruning(plan, ratio, device, home):
        _do(step)


def search(plan: ShrinkPlan, home: Path, device: str | None, count: int) -> Shrunk:
    """Run the rest of a prepared ``home`` with so many workers.

    Raises:
        ShrinkFailed: A command or the study failed.
    """
    on = () if device is None else ("--device", device.partition(":")[0])
    with service(home / HOME, home / "logs") as client:
        there = {"RANKADAPTOR_URL": client.url, "RANKADAPTOR_DATA_DIRECTORY": str(home / HOME)}
        _do(submission(home), there)
        study = (home / STUDY_ID).read_text(encoding="utf-8").strip()
        verdict, space = _searched(client, study, home, count, on), client.space(study)
        has_adapter = any(verdict.recovered.ranks)
        if has_adapter:
            for step in ways_out(study, home):
                _do(step, there)
    dense = outline_of(survey(Path(plan.model))).parameters
    pruned = outline_of(survey(home / PRUNED)).parameters
    return Shrunk(dense, pruned, study, verdict, space, home, has_adapter)


def commands(plan: ShrinkPlan, ratio: float, home: Path, device: str | None) -> tuple[str, ...]:
    """What to type instead, in order."""
    first = [step.line for step in pruning(plan, ratio, device, home)]
    words = submission(home).line
    after = [step.line.replace("'$STUDY'", "$STUDY") for step in ways_out("$STUDY", home)]
    serve = ("rankadaptor serve &", "rankadaptor worker &", f"STUDY=$({words})")
    return (*first, *serve, "rankadaptor watch $STUDY", "rankadaptor verdict $STUDY", *after)


def _do(step: Step, there: dict[str, str] | None = None) -> None:
    """Run the command unless what it makes is there; its answer is kept where it makes no file."""
    if step.made.exists():
        err.print(Text(f"\n{step.title}: done before, {step.made}", style="dim"))
        return
    err.print(Text(f"\n{step.title}", style="bold"))
    err.print(Text(f"$ {step.line}", style="dim"), soft_wrap=True)
    done = subprocess.run(
        [sys.executable, "-m", "rankadaptor.cli", *step.command],
        env={**clean_environment(), **(there or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ShrinkFailed(
            f"`{step.line}` ended with code {done.returncode}",
            hint="mend what it says above; the same command then goes on from here",
        )
    sys.stderr.write(done.stdout)
    if not step.made.exists():
        keep(done.stdout, step.made)


def _searched(
    client: RestClient, study: str, home: Path, count: int, on: tuple[str, ...]
) -> Verdict:
    state = client.study(study)["state"]
    if state == StudyState.DONE:
        return client.verdict(study)
    if state in STOPPED:
        client.resume(study)
    err.print(Text(f"watch it in a browser (the link works once): {client.login_url()}"))
    with workers(count, client.url, home / HOME, home / "logs", on) as processes:

        def look_after() -> None:
            for process in processes:
                process.check()

        view = follow(client, study, also=look_after)
    if view["state"] != StudyState.DONE:
        problem = f"the study ended as {view['state']}: {view['error'] or view['note']}"
        again = "mend that; the same command then tries again"
        is_final = view["state"] == StudyState.CANCELLED
        raise ShrinkFailed(problem, hint="begin in another directory" if is_final else again)
    return client.verdict(study)


def recovered(verdict: Verdict) -> str:
    """Whose the adapter is: the verdict may send one home with uniform ranks."""
    if verdict.recovered == verdict.best_rank_vector:
        return "the adapter is of the searched ranks"
    if verdict.recovered == verdict.uniform_rank_vector:
        return "the adapter is of uniform ranks: the searched ones were not shown to be better"
    return "the adapter is of the cheapest vector that was not worse than uniform ranks"


def places(outcome: Shrunk) -> Iterable[tuple[str, Path]]:
    """Where everything lies."""
    if outcome.has_adapter:
        yield "the small model, adapter merged", outcome.home / MODEL
        yield "the adapter alone, beside pruned/", outcome.home / ADAPTER
    yield "the pruned model", outcome.home / PRUNED
