"""Problems from recordings: consistent with them, and different from draw to draw."""

import json

import numpy as np
import pytest
from scipy.optimize import check_grad

from bench.proposers.problems import surfaces
from bench.proposers.problems.families import problem
from bench.proposers.problems.surfaces import DATA, DRAWS, SURFACES, fitted
from rankspace import RankVector

NAME = "stories-half-1to3-block"
AT = SURFACES.index(NAME) * DRAWS


def test_every_surface_is_recorded_and_gives_draws() -> None:
    assert all((DATA / f"{name}.jsonl").exists() for name in SURFACES)
    assert DRAWS * len(SURFACES) >= 20


def test_the_gradient_is_that_of_the_loss() -> None:
    rng = np.random.default_rng(0)
    rest = (rng.random((15, 3)) * 3, rng.standard_normal(15), np.full(15, 0.1), np.zeros(4))
    off = check_grad(
        lambda logs: surfaces._loss(logs, *rest)[0],
        lambda logs: surfaces._loss(logs, *rest)[1],
        rng.standard_normal(4) * 0.3,
    )
    assert off < 1e-4


def test_a_draw_passes_through_the_recordings_within_their_noise() -> None:
    process, posed = fitted(NAME), problem("surfaces", 0, AT)
    _, *rows = [json.loads(line) for line in (DATA / f"{NAME}.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["seed"] == 0]
    misses = [posed.score(RankVector(tuple(row["ranks"]))) + row["loss"] for row in rows]
    assert float(np.std(misses)) < 2.0 * process.noise
    assert float(np.std([row["loss"] for row in rows])) > 10.0 * process.noise


def test_the_noise_is_what_seeds_do_to_vectors_differently() -> None:
    rng, truth = np.random.default_rng(0), np.random.default_rng(1).normal(0.0, 3.0, 300)
    rows = [
        {"ranks": [i], "seed": seed, "loss": truth[i] + 50.0 * seed + 0.5 * rng.standard_normal()}
        for i in range(300)
        for seed in range(4 if i < 200 else 1)  # the last hundred on the first seed alone
    ]
    _, scores, counts, noise = surfaces._compared(rows)
    assert noise == pytest.approx(0.5, rel=0.1)
    assert counts.tolist() == [4] * 200 + [1] * 100
    assert float(np.std(scores + truth)) < 0.5


def test_draws_of_one_surface_differ_by_less_than_the_process_claims() -> None:
    process = fitted(NAME)
    one, two = problem("surfaces", 0, AT), problem("surfaces", 0, AT + 1)
    assert one.score(one.space.cheapest()) != two.score(one.space.cheapest())
    assert one.space == two.space == process.space
    assert 0.0 < process.trust < 1.0
