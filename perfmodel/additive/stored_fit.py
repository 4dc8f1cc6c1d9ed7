"""A refit as bytes, so that after a restart a long history is not learned anew from its beginning.

Whatever it says follows from the scores it is of: with the same numbers the same computations go
on. NumPy's own format, without pickled objects.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from perfmodel.additive.basis import Basis
from perfmodel.additive.expectation_propagation import Sites
from perfmodel.additive.fit import Fit
from perfmodel.additive.gaussian import Gaussian
from perfmodel.additive.measurements import Measurements
from perfmodel.additive.noise import NoiseModel
from perfmodel.additive.scales import Scales
from rankspace import Observation

VERSION = 3
"""Of the format and of what a fit is: a fit of another version is learned anew."""

ROUNDED = 6
"""Decimals of the opinion that a fit is known by: machines round its last ones differently."""

_NOISE = ("variance", "freedom", "weights", "factors", "slopes", "alone")
_GAUSSIAN = ("rows", "targets", "prior_mean", "prior_variance")


def dump(fit: Fit) -> bytes:
    """Write all of ``fit`` that does not follow at once from its trials."""
    buffer = io.BytesIO()
    np.savez(buffer, **_arrays(fit))
    return buffer.getvalue()


def load(blob: bytes, basis: Basis, seen: tuple[Observation, ...], home: int) -> Fit | None:
    """Read what ``dump`` wrote of a fit of some of the first trials of ``seen``.

    None if it is of other trials, began with another opinion or seed than ``home``, is of another
    version, or damaged.
    """
    try:
        with np.load(io.BytesIO(blob), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        version, count, seed = arrays["head"].tolist()
        mine = seen[:count]
        if (version, seed) != (VERSION, home) or arrays["trials"].tobytes() != _digest(mine, basis):
            return None
        fit = _fit(arrays, Measurements.of(basis, mine, home))
        return fit if _holds(fit.gaussian) else None
    except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile):
        return None


def _arrays(fit: Fit) -> dict[str, Any]:
    seen = fit.measurements.seen
    return {
        "head": np.array([VERSION, len(seen), fit.measurements.indicators.home]),
        "trials": np.frombuffer(_digest(seen, fit.measurements.basis), dtype=np.uint8),
        "misleads": np.array(fit.misleads),
        "common": np.array([fit.scales.common, fit.scales.trust]),
        "shares": fit.scales.shares,
        **{f"factor {axis}": factor for axis, factor in enumerate(fit.scales.factors)},
        **{f"noise {name}": getattr(fit.noise, name) for name in _NOISE},
        **{f"whitening {name}": getattr(fit.whitening, name) for name in _NOISE},
        "site means": fit.sites.mean,
        "site variances": fit.sites.variance,
        **{f"gaussian {name}": getattr(fit.gaussian, name) for name in _GAUSSIAN},
    }


def _fit(arrays: Mapping[str, Any], measurements: Measurements) -> Fit:
    axes = range(len(measurements.basis.hierarchy.axes))
    common, trust = arrays["common"].tolist()
    factors = tuple(arrays[f"factor {axis}"] for axis in axes)
    fit = Fit(
        measurements,
        Scales(common, factors, trust, arrays["shares"]),
        _noise(arrays, "noise"),
        _noise(arrays, "whitening"),
        Sites(arrays["site means"], arrays["site variances"]),
        Gaussian(*(arrays[f"gaussian {name}"] for name in _GAUSSIAN)),
    )
    vars(fit)["misleads"] = bool(arrays["misleads"])
    return fit


def _holds(gaussian: Gaussian) -> bool:
    """Whether all its numbers are finite; ValueError where they cannot be computed with.

    Its factor stays: further trials ask for it.
    """
    given = all(np.isfinite(getattr(gaussian, name)).all() for name in _GAUSSIAN)
    return given and bool(np.isfinite(gaussian.mean).all())


def _noise(arrays: Mapping[str, Any], which: str) -> NoiseModel:
    variance, freedom, weights, factors, slopes, alone = (
        arrays[f"{which} {name}"] for name in _NOISE
    )
    return NoiseModel(float(variance), float(freedom), weights, factors, slopes, float(alone))


def _digest(seen: tuple[Observation, ...], basis: Basis) -> bytes:
    """Which trials a fit is of: their scores, seeds and fidelities, in order, and the opinion.

    Further scores of a survey change that in the middle of a search.
    """
    told = np.array([(one.score, one.seed, one.fidelity) for one in seen], dtype=np.float64)
    worth = np.round(basis.log_worth, ROUNDED) + 0.0
    return hashlib.sha256(told.tobytes() + worth.tobytes()).digest()
