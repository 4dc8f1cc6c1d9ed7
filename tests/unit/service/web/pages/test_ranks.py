"""Where a vector spends: the map, the damage, and the trials by score; the numbers as CSV."""

import csv
import io

import pytest

from rankspace import Layer, RankVector, SearchSpace
from rankspace.layer_profile import LayerProfile
from service.web.pages.charts.field import Scored, evenly, field
from service.web.pages.charts.matrix import BAND, grid, stretches
from service.web.pages.charts.spending import measured, spending
from service.web.pages.study.tables import written
from tests.unit.service.web.pages.conftest import Shown

KINDS = ("q_proj", "o_proj")
BLOCKS = 80


def _space() -> SearchSpace:
    layers = tuple(Layer(f"{b}.{kind}", 1, b, kind) for b in range(BLOCKS) for kind in KINDS)
    return SearchSpace(layers, (0, 4, 8), max_parameters=10**6)


def _profile(name: str, kept: float, error: float | None = None) -> LayerProfile:
    return LayerProfile(name, 0.0, kept, 1.0, 1.0, 0.1, 0.5, error)


def test_a_deep_model_is_laid_out_in_bands_and_turned_for_narrow_screens() -> None:
    space = _space()
    found = grid(space.constant(4), space)
    assert found is not None
    assert [len(band.blocks) for band in found.bands] == [BAND, BAND, BLOCKS - 2 * BAND]
    assert [len(cells) for _, cells in found.bands[-1].rows] == [16, 16]
    assert found.turned[79] == (79, ((4, 5), (4, 5)))


def test_runs_of_one_shade_are_one_path_and_rank_zero_is_none() -> None:
    found = stretches([3, 3, 0, 9, 3])
    assert [(run.shade, run.path) for run in found] == [
        (3, "M0 0h2v10h-2zM4 0h1v10h-1z"),
        (9, "M3 0h1v10h-1z"),
    ]


def test_of_many_trials_the_best_the_worst_and_some_between_are_drawn() -> None:
    chosen = evenly(10_000, 40)
    assert (len(set(chosen)), chosen[0], chosen[-1]) == (40, 0, 9_999)
    assert evenly(3) == [0, 1, 2]


def test_columns_of_one_kind_stand_together() -> None:
    space = _space()
    first = RankVector(tuple(8 if layer.module == "o_proj" else 0 for layer in space.layers))
    found = field([Scored(2, -1.0, first), Scored(1, -2.0, space.constant(4))], space)
    assert found is not None
    assert found.kinds == (("q_proj", 0, BLOCKS), ("o_proj", BLOCKS, BLOCKS))
    assert [run.path for run in found.rows[0].runs] == [f"M{BLOCKS} 0h{BLOCKS}v10h-{BLOCKS}z"]
    assert field([Scored(1, -2.0, space.constant(4))], space) is None


@pytest.mark.parametrize(("turn", "said"), [(1, "more rank"), (-1, "less rank")])
def test_whether_a_vector_spends_where_it_hurt_is_said_in_words(turn: int, said: str) -> None:
    space = _space()
    places = range(len(space.layers))
    profiles = [_profile(space.layers[at].name, 1.0 - at / 1000) for at in places]
    ranks = [4 * (3 * at // len(places)) for at in places][::turn]
    found = spending(RankVector(tuple(ranks)), space, profiles, "removed")
    assert said in found.summary
    assert [kind.layers for kind in found.kinds] == [BLOCKS, BLOCKS]
    even = spending(space.constant(4), space, profiles, "removed")
    assert even.correlation is None
    assert "nothing to tell" in even.summary


def test_only_what_was_measured_of_every_layer_is_offered() -> None:
    known = [_profile("a", 0.9, 0.1), _profile("b", 0.8, None)]
    assert measured(known) == ("removed",)
    assert measured([]) == ()


def test_a_table_is_csv_without_formulas() -> None:
    text = "".join(written([("worker", "score"), ("=1+1", -2.5), ('a "b", c', None)]))
    assert [*csv.reader(io.StringIO(text))] == [
        ["worker", "score"],
        ["'=1+1", "-2.5"],
        ['a "b", c', ""],
    ]


def test_tables_hold_what_the_interface_says(shown: Shown) -> None:
    path = f"/studies/{shown.done}/tables"
    answer = shown.get(f"{path}/trials.csv", "viewer")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = [*csv.DictReader(io.StringIO(answer.text))]
    listed = shown.service.get(f"/v1/studies/{shown.done}/trials?limit=1000")["items"]
    assert [(row["trial"], row["ranks"]) for row in rows] == [
        (str(one["id"]), " ".join(map(str, one["rank_vector"]))) for one in listed
    ]
    layers = [*csv.DictReader(io.StringIO(shown.text(f"{path}/layers.csv")))]
    verdict = shown.service.get(f"/v1/studies/{shown.done}/verdict")
    assert [int(row["rank"]) for row in layers] == verdict["best_rank_vector"]["ranks"]
    scores = [
        float(r["best"]) for r in csv.DictReader(io.StringIO(shown.text(f"{path}/curve.csv")))
    ]
    assert scores == sorted(scores)
    assert shown.get(f"{path}/nonsense.csv").status_code == 404


def test_an_unprofiled_model_and_a_new_study_say_what_to_do(shown: Shown) -> None:
    assert "rankadaptor profile MODEL" in shown.text(f"/studies/{shown.done}/ranks")
    assert "No vector has a score yet" in shown.text(f"/studies/{shown.fresh}/ranks")
