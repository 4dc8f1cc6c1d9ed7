"""What a server with many studies takes while nobody asks, and what it then answers in.

    python -m bench.resting [--studies 200] [--trials 500]

Active studies of 128 layers whose histories were written through the service's own tables, so that
the models of all must be learnt at the start. ``load`` is the processor time of the server and its
child per second of the wall clock, over ten seconds, in percent of one core; ``idle`` is how long
after the start it first was below five. Then one worker claims and reports without training.
"""

import argparse
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np

from bench.family import processor_seconds, resident_mebibytes, server_on
from bench.latency.rest import UNLIMITED, claim, key_of, send, server, submit, write_history

WINDOW = 10.0
IDLE = 5.0
PATIENCE = 1200.0
CLAIMS = 40


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.resting")
    parser.add_argument("--studies", type=int, default=200, help="[200]")
    parser.add_argument("--trials", type=int, default=500, help="of each study [500]")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rankadaptor-resting-") as folder:
        home = Path(folder)
        _fill(home, given.studies, given.trials)
        for turn in ("first", "again"):
            print(f"{turn}: {_rest(home)}", flush=True)


def _fill(home: Path, studies: int, trials: int) -> None:
    with server(home, UNLIMITED) as url:
        key = key_of(home, "admin")
        ids = [submit(url, key, trials + 10 * CLAIMS, "additive") for _ in range(studies)]
    for study in ids:
        write_history(home, study, trials)


def _rest(home: Path) -> str:
    begin = time.monotonic()
    with server(home, UNLIMITED) as url:
        pid = server_on(home)
        loads = [_load(pid)]
        while loads[-1] >= IDLE and time.monotonic() - begin < PATIENCE:
            loads.append(_load(pid))
        idle, memory = time.monotonic() - begin, resident_mebibytes(pid)
        times = _claims(url, key_of(home, "worker"))
    p50, most = 1e3 * np.percentile(times, [50, 100])
    return (
        f"idle_s={idle:.0f} load={loads[-1]:.1f}% memory_mib={memory:.0f} "
        f"claim_p50_ms={p50:.1f} claim_max_ms={most:.1f}"
    )


def _load(pid: int) -> float:
    before, begin = processor_seconds(pid), time.monotonic()
    time.sleep(WINDOW)
    return 100 * (processor_seconds(pid) - before) / (time.monotonic() - begin)


def _claims(url: str, key: dict[str, str]) -> list[float]:
    times = []
    with httpx.Client(base_url=url, headers=key, timeout=120) as client:
        for _ in range(CLAIMS):
            seconds, lease = claim(client, "worker-0")
            times.append(seconds)
            send(client, "worker-0", lease)
    return times


if __name__ == "__main__":
    main()
