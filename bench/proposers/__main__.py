"""How far each strategy and each peer gets with how many trials.

    python -m bench.proposers [--quick] [--json FILE] [--families A,B] [--dims 32,128]
                              [--arms additive,swap] [--problems 20] [--trials 25,50,100]
    python -m bench.proposers --families neighbours,peaks,worst-few,diverging --first 1000
    python -m bench.proposers --resume answers --minutes 9    # again and again, until all is there
    python -m bench.proposers --peers-only --arms ax,optuna-gp --minutes 60

Every row is an arm on paired problems: one seed is one problem, and the noise of a trial depends
on the problem and the trial's index alone. Regret is 100 at the uniform vector and 0 at the
optimum, both noiseless, for the vector the arm would choose: the first leader of ours, studied
with so many trials planned; of a peer the best feasible trial, or what its library recommends.
The arm ``rankadaptor+rows`` is taught offline by the recorded surfaces that have the problem's
layers, those of its own model left out; it is asked only where there are others: on some problems
of the family ``surfaces``.
The last line reads the family ``reference`` with 32 layers after 50 trials.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from rich.console import Console

from bench.proposers.campaign import campaign, remarks, runnable
from bench.proposers.ledger import lines
from bench.proposers.plan import cells
from bench.proposers.roster import PEERS, default_arms
from bench.proposers.runner import Task, run_all, tasks
from bench.proposers.store import RESULTS, Store
from bench.proposers.summary import summary
from bench.proposers.table import document, legend, show


def main() -> None:
    options = _parser().parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes started below read it
    wanted = cells(options.quick, options.families, options.dims, options.trials)
    count = options.problems or (8 if options.quick else 20)
    problems = range(options.first, options.first + count)
    arms = options.arms or (tuple(PEERS) if options.peers_only else default_arms(options.quick))
    store, mine = Store(options.store), Store(options.resume) if options.resume else None
    todo = campaign(
        tasks(wanted, arms, problems),
        store,
        runnable(options.arms, options.quick or options.stored),
        mine,
    )
    records = list(todo.stored)
    for done, (task, found) in enumerate(
        run_all(todo.waiting, options.processes, options.cap_seconds, options.minutes), start=1
    ):
        records += found
        store.add(record for record in found if record.arm in PEERS)
        if mine:
            mine.add(record for record in found if record.arm not in PEERS)
        _progress(done, len(todo.waiting), task)
    places = lines(records)
    show(places, Console(width=110))
    print("\n".join([legend(), *remarks(todo.left_out)]))
    figures = summary(places)
    if options.json:
        options.json.write_text(json.dumps(document(places) | {"figures": figures}, indent=1))
    print(" ".join(f"{name}={value}" for name, value in figures.items()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.proposers")
    parser.add_argument("--quick", action="store_true", help="8 problems, few arms, under a minute")
    parser.add_argument("--peers-only", action="store_true", help="to fill the store")
    parser.add_argument("--stored", action="store_true", help="run no peer, show stored answers")
    parser.add_argument("--store", type=Path, default=RESULTS, help="answers of the peers")
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    parser.add_argument("--families", type=_words)
    parser.add_argument("--dims", type=_numbers)
    parser.add_argument("--arms", type=_words)
    parser.add_argument("--trials", type=_numbers, help="lengths of the studies")
    parser.add_argument("--problems", type=int, help="how many seeds [20]")
    parser.add_argument("--first", type=int, default=0, help="the first seed: fresh ones")
    parser.add_argument(
        "--resume", type=Path, help="keep our own answers there, and go on where it ended: one code"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--cap-seconds", type=float, default=900.0, help="CPU, of one run")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="then start no more")
    return parser


def _progress(done: int, of: int, task: Task) -> None:
    if sys.stderr.isatty():
        text = f"\r{done}/{of} {task.family}-{task.layers} {task.arm}\033[K"
        print(text, end="\r" if done == of else "", file=sys.stderr, flush=True)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


if __name__ == "__main__":
    main()
