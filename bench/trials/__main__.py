"""Trials of our loop beside transformers' Trainer with peft.

    python -m bench.trials [--quick] [--pairs N] [--dtype float32|bfloat16] [--device cpu|cuda]

A Llama of random weights is made on the spot and trained from the same adapters, on the same
examples in the same order, with the same rates, by each side in a process of its own. They take
turns, one trial each, after one that does not count; a ratio is the median of those of each turn.
On a CPU seconds are the process's own, of one thread, so that what else the machine does falls out.
A trial is attaching, training and detaching; loading and the held-out loss, which all sides measure
with the same code, are left out. Peak memory is beyond what was resident before the model: on a CPU
VmHWM. The last line is for a machine: how much faster a trial is with the default back end than
with Trainer and peft, and how far their held-out losses are apart, in nats.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.trials.serving import Found, serve
from bench.trials.sides import SIDES, TRAINER
from bench.trials.task import QUICK, SMALL
from tuning.back_ends import DEFAULT_BACK_END

DEFAULT = f"our loop + {DEFAULT_BACK_END}"


class Served:
    """A side in a process of its own."""

    def __init__(self, side: str, options: Sequence[str]) -> None:
        command = [sys.executable, "-m", "bench.trials", "--serve", side, *options]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def trial(self) -> Found:
        """Run one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith('{"'):  # the library prints its figures, too
                return Found(**json.loads(line))
        raise SystemExit(f"a side ended: exit code {self._process.wait()}")

    def end(self) -> None:
        self._process.communicate()


@dataclass(frozen=True, slots=True)
class Row:
    """What a side came to, medians over its trials; ratios over the turns."""

    trials_per_hour: float
    tokens_per_second: float
    peak_mib: float
    loss: float
    ratio: float


def rows(found: Mapping[str, Sequence[Found]]) -> dict[str, Row]:
    """Sum up; every side has as many trials, the first of which does not count."""
    theirs = found[TRAINER][1:]
    return {side: _row(trials[1:], theirs) for side, trials in found.items()}


def _row(trials: Sequence[Found], theirs: Sequence[Found]) -> Row:
    seconds = median(one.seconds for one in trials)
    pairs = zip(theirs, trials, strict=True)
    return Row(
        trials_per_hour=3600 / seconds,
        tokens_per_second=trials[-1].tokens / seconds,
        peak_mib=trials[-1].peak_bytes / 2**20,
        loss=trials[-1].loss,
        ratio=median(their.seconds / our.seconds for their, our in pairs),
    )


def _show(found: Mapping[str, Row]) -> None:
    table = Table(title="Trials, medians; ratio: how much faster than Trainer + peft")
    for column in ("side", "trials / h", "tokens / s", "peak MiB", "held-out loss", "ratio"):
        table.add_column(column, justify="left" if column == "side" else "right")
    for side, row in found.items():
        speeds = f"{row.trials_per_hour:,.0f}", f"{row.tokens_per_second:,.0f}"
        table.add_row(side, *speeds, f"{row.peak_mib:,.0f}", f"{row.loss:.6f}", f"{row.ratio:.2f}")
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a smaller model, under a minute")
    parser.add_argument("--pairs", type=int, help="turns that count")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--json", help="write the figures there, too")
    parser.add_argument("--serve", choices=SIDES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve(SIDES[asked.serve], QUICK if asked.quick else SMALL, asked.dtype, asked.device)
        return
    options = ["--quick"] * asked.quick + ["--dtype", asked.dtype, "--device", asked.device]
    served = {side: Served(side, options) for side in SIDES}
    turns = 1 + (asked.pairs or (3 if asked.quick else 5))
    found: dict[str, list[Found]] = {side: [] for side in served}
    for _ in range(turns):
        for side, process in served.items():
            found[side].append(process.trial())
    for process in served.values():
        process.end()
    result = rows(found)
    _show(result)
    if asked.json:
        figures = {side: asdict(row) for side, row in result.items()}
        Path(asked.json).write_text(json.dumps(figures), encoding="utf-8")
    difference = abs(result[DEFAULT].loss - result[TRAINER].loss)
    print(f"ratio_to_trainer_peft={result[DEFAULT].ratio:.2f} loss_difference={difference:.1e}")


if __name__ == "__main__":
    main()
