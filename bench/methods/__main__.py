"""What every way to prune costs before any recovery, and whether published orderings hold.

    python -m bench.methods MODEL_DIRECTORY TEXT [--quick] [--draws 5] [--blocks 0-4]
        [--only ARM ...] [--json FILE]

At 20 % and 50 % of all blocks, or of those asked for: parameters left, perplexity on windows of the
second half of TEXT, processor seconds and peak memory of the method, beside what it says before it
starts. Each method sees several draws of calibration windows of the first half; an interval is of
95 % (Student's t over draws), of the draws alone: it knows nothing of other models or texts. Every
arm runs in a process of its own, but with ``--quick``, where what a heap kept of those before makes
peaks too small. ``flap-no-bias`` is flap without what it adds to biases; ``loraprune`` trains on
960 windows of a draw where others look at 32 and train on none, at its source's rate or, as
``loraprune/fast``, at thirty times that, and ``loraprune-cut-only`` leaves its adapter out;
``taylor/…`` shares the ratio out by a rule, ``rmi`` with the spread of AlphaPruning, as that of its
authors is less than a head. The last line repeats the losses for a machine. Set
OMP_NUM_THREADS=1 for small models. ``--quick`` takes two draws and few windows: seconds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from bench.methods.arms import ARMS
from bench.methods.measuring import Found, Texts, measure, of_dense
from bench.methods.tables import show, show_orderings
from bench.proposers.intervals import mean_of
from bench.pruners import halves
from pruning.container.contents import survey
from rankadaptor.blocks import parse_blocks
from rankspace.errors import RankspaceError

SAMPLES, LENGTH = 32, 64
TRAINED, TRAINED_QUICKLY = 960, 160
"""Windows of a method that trains: 120 steps of 16, or 20."""


def apart(name: str) -> Found:
    """Measure one arm in a process of its own, whose heap keeps nothing that was freed."""
    command = [sys.executable, "-m", "bench.methods", *sys.argv[1:], "--measure", name]
    exact = {"MALLOC_MMAP_THRESHOLD_": str(2**16)}
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **exact}
    )
    return Found(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("model", type=Path, help="a Hugging Face directory or a container")
    parser.add_argument("text", type=Path, help="UTF-8; half to calibrate on, half to score")
    parser.add_argument("--blocks", help="like 0-4 [all]")
    parser.add_argument("--draws", type=int, default=5, help="of calibration windows [5]")
    parser.add_argument("--quick", action="store_true", help="two draws, few windows")
    parser.add_argument("--only", nargs="+", choices=ARMS, help="these arms [all]")
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    parser.add_argument("--measure", choices=ARMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        run(options)
    except RankspaceError as error:
        parser.error(f"{error.detail}; {error.hint}")


def run(options: argparse.Namespace) -> None:
    """Measure all arms, or in a process of its own the one that is asked for."""
    contents = survey(options.model)
    count = len(contents.structure.blocks)
    blocks = parse_blocks(options.blocks or f"0-{count - 1}", count)
    with tempfile.TemporaryDirectory() as folder:
        first, scored = halves(options.text, Path(folder))
        calibration = replace(first, samples=SAMPLES, length=LENGTH)
        scored = replace(scored, samples=40) if options.quick else scored
        trained = TRAINED_QUICKLY if options.quick else TRAINED
        texts = Texts(calibration, trained, scored, 2 if options.quick else options.draws)
        if options.measure:
            found = measure(ARMS[options.measure], contents, blocks, texts)
            print(json.dumps(asdict(found)))
            return
        dense, arms = of_dense(contents, texts), {}
        for name in options.only or ARMS:
            arm = ARMS[name]
            here = options.quick
            arms[name] = measure(arm, contents, blocks, texts) if here else apart(name)
            print(f"{name}: done", file=sys.stderr, flush=True)
    _report(dense, arms, options.json)


def _report(dense: float, found: Mapping[str, Found], file: Path | None) -> None:
    show(dense, found)
    show_orderings(found)
    if file:
        figures = {name: asdict(one) for name, one in found.items()}
        file.write_text(json.dumps({"dense": dense, "arms": figures}, indent=1))
    losses = (
        f"{name}@{ratio}={mean_of(values).value:.3f}"
        for name, one in found.items()
        for ratio, values in one.losses.items()
    )
    print(f"dense={dense:.3f}", *losses)


if __name__ == "__main__":
    main()
