"""What a study keeps of the model's profiles."""

from rankspace import LayerProfile, Matrix, PrunedModel, Study
from rankspace.context import context_of
from rankspace.granularity import search_space
from rankspace.study import Control
from rankspace.wire import decode, encode

SHARES = {"q_proj": (0.6, 0.2, 0.1, 0.05), "down_proj": (0.3, 0.1, 0.1)}
WIDTHS = {"q_proj": 20, "down_proj": 40}
MODEL = PrunedModel(
    "/models/two",
    "0" * 64,
    "LlamaForCausalLM",
    1_000,
    tuple(Matrix(f"model.layers.0.{kind}", 0, kind, width, 10) for kind, width in WIDTHS.items()),
    tuple(
        LayerProfile(f"model.layers.0.{kind}", 0.0, 1.0, 1.0, 1.0, 0.1, 0.5, explained=shares)
        for kind, shares in SHARES.items()
    ),
)


def explained(granularity: str, *controls: Control) -> list[tuple[float, ...]]:
    study = decode(
        Study,
        {
            "name": "two",
            "model": MODEL.path,
            "recipe": {"data": {"train": "train.jsonl"}, "modules": list(WIDTHS)},
            "search": {
                "ranks": [0, 1, 2],
                "granularity": granularity,
                "budget": {"parameters": "uniform:1", "trials": 7},
                "trial": {"steps": 10},
            },
            "verify": {"controls": list(controls)},
            "recover": {"steps": 20},
        },
    )
    space = search_space(MODEL, study.recipe.modules, study.search)
    return [profile.explained for profile in context_of(MODEL, study, space).profiles]


def test_spectra_are_kept_to_the_highest_rank_where_a_control_needs_them() -> None:
    assert explained("module", Control.EVA) == [(0.6, 0.2), (0.3, 0.1)]
    assert explained("module", Control.LARGEST_GRADIENT) == [(), ()]


def test_a_block_explains_the_mean_of_its_matrices_by_their_cost() -> None:
    (block,) = explained("block", Control.EVA)
    costs = [matrix.parameters_per_rank for matrix in MODEL.matrices]
    assert block[0] == (0.6 * costs[0] + 0.3 * costs[1]) / sum(costs)
    assert len(block) == 2


def test_profiles_without_spectra_are_written_as_before() -> None:
    (profile, _) = MODEL.profiles
    assert "explained" in encode(profile)
    assert "explained" not in encode(LayerProfile("x", 0.0, 1.0, 1.0, 1.0, 0.1, 0.5))
