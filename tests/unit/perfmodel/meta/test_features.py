from dataclasses import replace

import numpy as np
import pytest

from perfmodel.meta.features import FEATURES, KINDS, features, kind_of
from rankspace import Context, Layer, LayerProfile, SearchSpace
from rankspace.errors import InvalidInput
from rankspace.recipe import LINEAR_MODULES
from tests.unit.perfmodel.meta.worlds import world


def column(rows: np.ndarray, name: str) -> np.ndarray:
    return rows[:, FEATURES.index(name)]


def scaled(profile: LayerProfile, by: float) -> LayerProfile:
    return replace(
        profile,
        input_norm=profile.input_norm * by,
        output_norm=profile.output_norm * by,
        gradient_norm=profile.gradient_norm * by,
    )


def test_the_unit_of_a_norm_does_not_show() -> None:
    study = world(0).study
    large = tuple(scaled(profile, 50.0) for profile in study.context.profiles)
    rows = features(study.space, study.context)
    same = features(study.space, replace(study.context, profiles=large))
    assert np.allclose(rows, same)


def test_the_width_of_the_model_does_not_show() -> None:
    study = world(0).study
    wide = tuple(
        replace(layer, parameters_per_rank=64 * layer.parameters_per_rank)
        for layer in study.space.layers
    )
    space = SearchSpace(wide, study.space.ranks, 64 * study.space.max_parameters)
    assert np.allclose(features(study.space, study.context), features(space, study.context))


def test_a_norm_is_compared_with_layers_of_its_kind() -> None:
    study = world(0).study
    rows = features(study.space, study.context)
    for kind in KINDS:
        mine = column(rows, kind) == 1.0
        assert mine.sum() == 5
        assert column(rows, "gradient norm")[mine].mean() == pytest.approx(0.0, abs=1e-12)
    first = study.context.profiles[0].gradient_norm / study.context.profiles[7].gradient_norm
    told = column(rows, "gradient norm")
    assert told[0] - told[7] == pytest.approx(np.log(first))


def test_a_block_has_no_kind_and_still_has_features() -> None:
    study = world(0, blocks=4).study
    chosen = range(0, 28, 7)
    blocks = tuple(Layer(f"model.layers.{i}", 700, i) for i in range(4))
    space = SearchSpace(blocks, (0, 1, 2), 2800)
    context = Context(profiles=tuple(study.context.profiles[i] for i in chosen))
    rows = features(space, context)
    assert not rows[:, : len(KINDS)].any()
    assert np.ptp(column(rows, "gradient norm")) > 0.1


def test_unknown_damage_and_recipe_are_nan_and_known_ones_are_not() -> None:
    study = world(0).study
    rows = features(study.space, study.context)
    assert np.isfinite(rows).all()
    unknown = tuple(replace(p, reconstruction_error=None) for p in study.context.profiles)
    rows = features(study.space, Context(profiles=unknown))
    assert np.isnan(column(rows, "damage")).all()
    assert np.isnan(column(rows, "learning")).all()
    assert np.isnan(rows).sum() == 2 * len(rows)


def test_missing_profiles_are_named() -> None:
    study = world(0).study
    with pytest.raises(InvalidInput, match=r"context\.profiles = 0") as error:
        features(study.space, Context())
    assert "rankadaptor profile" in error.value.hint


def test_every_matrix_we_adapt_has_its_own_kind() -> None:
    assert sorted(map(kind_of, LINEAR_MODULES)) == sorted(KINDS)
    assert kind_of("conv1d") == kind_of(None) == ""
