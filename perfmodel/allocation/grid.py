"""Grid: utilities rounded so that two processors agree on what is best.

Two linear algebra libraries, or one on two kinds of processor, give the same utilities but for the
last digits. Layers that the trials do not tell apart then tie on one and not on the other, and a
tie decided by the last digit is another vector.
"""

import numpy as np

from perfmodel.arrays import Floats

GRAIN = 2.0**-20
"""Of the grid, in units of the largest gain of one layer: a millionth is far below what a trial
could tell, and far above what processors differ by. An entry that lies on the edge between two
points of the grid may still go to either; it moves by one grain then, and decides nothing but a
choice between vectors that are a millionth apart."""


def on_grid(utilities: Floats) -> Floats:
    """Round ``(layers, R)`` utilities, as gains over the first column of each row.

    The grid's step is a power of two, so the numbers on it are exact, and so are their sums.
    """
    gains = utilities - utilities[:, :1]
    largest = float(np.abs(gains).max(initial=0.0))
    if not largest > 0.0:
        return gains
    step = GRAIN * 2.0 ** np.floor(np.log2(largest))
    return np.asarray(np.round(gains / step) * step)
